"""Paths that hold secrets: stored with references, restored for rules.

A rule matches the path exactly as it is on the wire, but the store must not hold that path. The stored path therefore
names the secret and its spelling: `/t/${env:SHOP_TOKEN}/x`, or `${env:SHOP_TOKEN|component}` when percent-encoded. Only
a spelling that some encoder derives from the value alone is stored this way. Any other spelling would reveal something
about the value.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import quote, quote_plus

from clients.secrets.encodings import layers
from clients.secrets.spellings import Finder, TooDeepError
from domain.errors import ErrorCode, HoldfastError

HIDDEN = "${hidden}"
"""Placeholder for a secret without a name or in an unknown spelling.

A login's token, for example, has no name. A spelling is unknown when no encoder in `_WRITERS` produces it.
This also replaces a whole path that cannot be searched, or in which secrets overlap.
"""
_LITERAL = "${literal}"
"""Placeholder for a `${` that belongs to the path itself."""
_KEPT = re.compile(r"\$\{(literal|hidden|(?:env|file):[A-Za-z0-9_][A-Za-z0-9._-]*)(?:\|([a-z0-9-]+))?\}")
_PERCENT = re.compile("%[0-9A-F]{2}")


Writer = Callable[[str], str]


def _percent(safe: str) -> Writer:
    return partial(quote, safe=safe, errors="replace")


_PERCENT_WRITERS: dict[str, Writer] = {
    "component": _percent(""),
    "segments": _percent("/"),
    "js-component": _percent("!'()*"),
    "js-uri": _percent(";,/?:@&=+$!*'()#"),
    "go-segment": _percent("$&+:=@"),
    "go-path": _percent("$&+,/:;=@"),
    "rfc-segment": _percent("!$&'()*+,;=:@"),
    "rfc-path": _percent("!$&'()*+,;=:@/"),
    "plus": partial(quote_plus, errors="replace"),
}
"""Percent-encoders by name. The names must never change: stored paths contain them."""


def _lower_escapes(text: str) -> str:
    return _PERCENT.sub(lambda code: code[0].lower(), text)


def _compose(first: Writer, second: Writer) -> Writer:
    return lambda value: second(first(value))


def _base64(value: str) -> str:
    return base64.b64encode(value.encode(errors="replace")).decode()


def _base64_url(value: str) -> str:
    return base64.urlsafe_b64encode(value.encode(errors="replace")).decode()


_WRITERS: dict[str, Writer] = {
    "plain": str,
    **_PERCENT_WRITERS,
    **{f"{name}-lower": _compose(write, _lower_escapes) for name, write in _PERCENT_WRITERS.items()},
    **{f"{name}-twice": _compose(write, _percent("")) for name, write in _PERCENT_WRITERS.items()},
    "base64": _base64,
    "base64-url": _base64_url,
    "base64-url-bare": lambda value: _base64_url(value).rstrip("="),
    "hex": lambda value: value.encode(errors="replace").hex(),
}


def kept_path(path: str, named: Mapping[str, str], everything: Finder) -> str:
    """Return the path in the form that may be stored.

    Args:
        path: The path as it is on the wire.
        named: References, by the value each stands for.
        everything: Finds every secret, including those without a name.
    """
    data = path.encode(errors="surrogatepass")
    reading = layers(data)
    try:
        if reading.deeper:
            return HIDDEN
        spans = sorted(everything.spans(reading.forms), key=lambda match: (match.start, -match.end))
    except TooDeepError:
        return HIDDEN
    out = ""
    last = 0
    for span in spans:
        if span.start < last:
            if span.end > last:
                # Two secrets overlap: no reference can stand for both.
                return HIDDEN
            continue
        out += _escape_literal(data[last : span.start]) + _reference(data[span.start : span.end], named)
        last = span.end
    return out + _escape_literal(data[last:])


def _escape_literal(data: bytes) -> str:
    return data.decode(errors="replace").replace("${", _LITERAL)


def _reference(spelling: bytes, named: Mapping[str, str]) -> str:
    written = spelling.decode(errors="replace")
    for value, reference in named.items():
        for name, write in _WRITERS.items():
            if write(value) == written:
                return f"${{{reference}}}" if name == "plain" else f"${{{reference}|{name}}}"
    return HIDDEN


def path_on_the_wire(kept: str, resolve: Callable[[str], str]) -> str:
    """Restore a stored path to what it is on the wire.

    Raises:
        HoldfastError: RULES_REJECTED when it holds a secret that cannot be put back, such as one without a name;
            whatever `resolve` raises.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] == "literal":
            return "${"
        if match[1] == "hidden" or (match[2] and match[2] not in _WRITERS):
            raise HoldfastError(
                ErrorCode.RULES_REJECTED,
                "the path of a recorded request holds a secret that cannot be restored, such as the token of a login",
                hint="send it in a header, or leave the service out",
            )
        return _WRITERS[match[2] or "plain"](resolve(f"${{{match[1]}}}"))

    return _KEPT.sub(value, kept)
