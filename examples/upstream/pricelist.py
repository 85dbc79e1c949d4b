"""A page that shows one item with its price, and the two services that it asks. None of them has heard of Holdfast.

    python pricelist.py prices --port 8502
    python pricelist.py catalog --port 8503
    python pricelist.py page --port 8501 --prices URL --catalog URL

Without prices the page asks the catalog for the list price, under a path that it needs at no other time. Without the
catalog it shows the item by its number. With `--price-on-request` it can do without any price.
"""

import argparse
from typing import Any

from bookshop import Answer, ask, serve

ITEM: dict[str, Any] = {"id": 1, "name": "Storm lantern"}
PRICE: dict[str, Any] = {"amount": 49}
LIST_PRICE: dict[str, Any] = {"amount": 59}


def page(prices: str, catalog: str, baggage: str, patience: float, *, price_on_request: bool) -> Answer:
    """What a customer sees: an item and what it costs."""
    item = ask(f"{catalog}/items/1", baggage, patience)
    price = ask(f"{prices}/prices/1", baggage, patience)
    if price is None:
        price = ask(f"{catalog}/listprices/1", baggage, patience)
    if price is None and not price_on_request:
        return 500, {"error": "there is no price"}
    shown: dict[str, Any] = {"item": item["name"] if item else "item 1"}
    return 200, shown | {"price": price["amount"] if price else "on request"}


def main() -> None:
    """Read the command line and be one of the three."""
    parser = argparse.ArgumentParser(description="An item with its price, of three services.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("page", "prices", "catalog"):
        command = commands.add_parser(name)
        command.add_argument("--port", type=int, required=True)
        if name == "page":
            command.add_argument("--prices", required=True, metavar="URL")
            command.add_argument("--catalog", required=True, metavar="URL")
            command.add_argument("--patience", type=float, default=1.0, metavar="SECONDS", help="for each neighbour")
            command.add_argument("--price-on-request", action="store_true", help="do without any price")
    chosen = parser.parse_args()
    if chosen.command == "prices":
        serve(chosen.port, {"/prices/1": lambda _: (200, PRICE)})
    elif chosen.command == "catalog":
        serve(chosen.port, {"/items/1": lambda _: (200, ITEM), "/listprices/1": lambda _: (200, LIST_PRICE)})
    else:
        neighbours = (chosen.prices, chosen.catalog)
        last_resort = chosen.price_on_request
        serve(chosen.port, {"/page": lambda it: page(*neighbours, it, chosen.patience, price_on_request=last_resort)})


if __name__ == "__main__":
    main()
