"""A bookshop's two services, as somebody might have written them who never heard of Holdfast.

    python bookshop.py make-books books.db            the data that Datasette serves: the third service
    python bookshop.py picks --port 8402 --books URL
    python bookshop.py page --port 8401 --books URL --picks URL

The page asks both others and shows whatever it gets; only with neither of them it has nothing to show. Without picks
it asks the books for their first one instead, which it does at no other time. The picks ask for one book, and name
another when they get none. Two things make such a system testable: every address of a neighbour
is configuration, and every request goes on with the `baggage` header that it came with.
"""

import argparse
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

BOOKS = ["The Left Hand of Darkness", "Invisible Cities", "Kindred", "Solaris"]
Answer = tuple[int, dict[str, Any]]


def ask(url: str, baggage: str, patience: float) -> Any:
    """A neighbour's JSON; None when there is none within so many seconds."""
    try:
        with urlopen(Request(url, headers={"baggage": baggage}), timeout=patience) as response:  # noqa: S310
            return json.load(response)
    except (OSError, ValueError):
        return None


def page(books: str, picks: str, baggage: str, patience: float) -> Answer:
    """What a customer sees: all books, and the pick of the week."""
    shelf = ask(f"{books}/books/books.json?_shape=array", baggage, patience)
    pick = ask(f"{picks}/pick", baggage, patience)
    if pick is None:
        first = ask(f"{books}/books/books/1.json?_shape=objects", baggage, patience)
        pick = first and {"title": first["rows"][0]["title"]}
    if shelf is None and pick is None:
        return 503, {"error": "nothing to show"}
    return 200, {"books": shelf and [book["title"] for book in shelf], "pick": pick}


def picks(books: str, baggage: str, patience: float) -> Answer:
    """The pick of the week: the second book, or the one that is always there."""
    found = ask(f"{books}/books/books/2.json?_shape=objects", baggage, patience)
    return 200, {"title": found["rows"][0]["title"] if found else "Moby-Dick"}


def serve(port: int, answers: Mapping[str, Callable[[str], Answer]]) -> None:
    """Answer GET requests for these paths, each in a thread of its own, until somebody ends the process."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path)
            status, content = answer(self.headers.get("baggage", "")) if answer else (404, {})
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    ThreadingHTTPServer.request_queue_size = 64
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    print(f"http://127.0.0.1:{server.server_port}{' '.join(answers)}", flush=True)
    server.serve_forever()


def make_books(file: str) -> None:
    """Write the table of books into a new SQLite file."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT)")
        database.executemany("INSERT INTO books (title) VALUES (?)", [(title,) for title in BOOKS])
    print(f"written: {file}")


def main() -> None:
    """Read the command line and do one of the three."""
    parser = argparse.ArgumentParser(description="A bookshop of two services.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make-books").add_argument("file")
    for name in ("page", "picks"):
        command = commands.add_parser(name)
        command.add_argument("--port", type=int, required=True)
        command.add_argument("--books", required=True, metavar="URL")
        command.add_argument("--patience", type=float, default=1.0, metavar="SECONDS", help="for each neighbour")
        command.add_argument("--forget-baggage", action="store_true", help="do what makes a system untestable")
        if name == "page":
            command.add_argument("--picks", required=True, metavar="URL")
    chosen = parser.parse_args()
    if chosen.command == "make-books":
        make_books(chosen.file)
        return

    def baggage(came: str) -> str:
        return "" if chosen.forget_baggage else came

    if chosen.command == "page":
        serve(chosen.port, {"/page": lambda it: page(chosen.books, chosen.picks, baggage(it), chosen.patience)})
    else:
        serve(chosen.port, {"/pick": lambda it: picks(chosen.books, baggage(it), chosen.patience)})


if __name__ == "__main__":
    main()
