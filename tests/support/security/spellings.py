"""Spellings of secrets."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

Write = Callable[[str], str]


def go_json(text: str) -> str:
    """Write JSON like Go's encoding/json, which escapes what HTML could misread."""
    written = json.dumps(text, ensure_ascii=False)[1:-1]
    return written.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def unicode_escapes(text: str) -> str:
    """Write every character as an escape, in UTF-16 as in JavaScript."""
    units = text.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def json_inside(text: str) -> str:
    return json.dumps(text)[1:-1]


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def in_base64_after(lead: str) -> Write:
    return lambda text: base64.b64encode(f"{lead}{text}:pass".encode()).decode()


def url_safe(text: str) -> str:
    return base64.urlsafe_b64encode(f"user:{text}".encode()).decode().rstrip("=")


SPELLINGS: dict[str, Write] = {
    "plain": str,
    "JSON": json_inside,
    "JSON twice": lambda text: json_inside(json_inside(text)),
    "JSON three times": lambda text: json_inside(json_inside(json_inside(text))),
    "html.escape": html.escape,
    "html.escape twice": lambda text: html.escape(html.escape(text)),
    "numeric entities": lambda text: "".join(f"&#{ord(sign)};" for sign in text),
    "hexadecimal entities": lambda text: "".join(f"&#x{ord(sign):x};" for sign in text),
    "Go's JSON": go_json,
    "encodeURIComponent": lambda text: quote(text, safe="!'()*"),
    "encodeURI": lambda text: quote(text, safe=";,/?:@&=+$!*'()#"),
    "Go's PathEscape": lambda text: quote(text, safe="$&+:=@"),
    "yarl's query": lambda text: quote_plus(text, safe="!$'()*,/:;?@"),
    "a form": quote_plus,
    "lower-case percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent three times": lambda text: quote(quote(quote(text, safe=""), safe=""), safe=""),
    "unicode escapes": unicode_escapes,
    "percent of JSON": lambda text: quote(json_inside(text), safe=""),
    "hex": lambda text: text.encode().hex(),
    "upper-case hex": lambda text: text.encode().hex().upper(),
    "base64": in_base64,
    "base64, shifted by one": in_base64_after("u"),
    "base64, shifted by two": in_base64_after("u:"),
    "URL-safe base64, bare": url_safe,
    "base64 of base64": lambda text: in_base64(in_base64(text)),
    "base64 of JSON": lambda text: in_base64(json.dumps({"token": text})),
    "percent of base64": lambda text: quote(in_base64(text), safe=""),
    "hex of base64": lambda text: in_base64(text).encode().hex(),
}
"""How services write a text. Nothing in the text shows its spelling."""
