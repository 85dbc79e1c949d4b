"""No spelling of a secret survives redaction, in any shape of body.

Every spelling meets every shape, each with a secret of its own. The output is searched by other means than the code
uses: plainly, and by the libraries that undo each spelling.
"""

from __future__ import annotations

import base64
import html
import json
import random
import string
from urllib.parse import quote

import pytest

from clients.secrets.encodings import MOST_LAYERS, layers
from clients.secrets.redaction import LONGEST_TEXT, KnownValues
from clients.secrets.spellings import MOST_PACKINGS, Finder
from clients.secrets.values import REDACTED, Redactor
from tests.support.security.spellings import (
    SPELLINGS,
    Write,
    in_base64,
)

SHAPES: dict[str, Write] = {
    "alone": str,
    "in a sentence": lambda text: f"the token {text} is not valid",
    "JSON": lambda text: json.dumps({"a": [1, {"echo": text}]}),
    "JSON in JSON": lambda text: json.dumps({"log": json.dumps({"echo": text})}),
    "lines of JSON": lambda text: f'{{"n":1}}\n{{"echo":{json.dumps(text)}}}\n',
    "events": lambda text: f"event: x\ndata: {json.dumps({'echo': text})}\n\n",
    "JSONP": lambda text: f"callback({json.dumps({'echo': text})});",
    "behind a prefix": lambda text: f")]}}',\n{json.dumps({'echo': text})}",
    "behind a byte order mark": lambda text: "\ufeff" + json.dumps({"echo": text}),
    "before garbage": lambda text: json.dumps({"echo": text}) + "<!-- trailer -->",
    "XML": lambda text: f"<r><echo v='1'>{html.escape(text)}</echo></r>",
}

TOGETHER = [(spelling, shape) for spelling in SPELLINGS for shape in SHAPES]


def a_secret(seed: str) -> str:
    """Return a secret of characters that encoders treat in different ways.

    These are signs of URLs, JSON, HTML and base64, and a letter beyond ASCII.
    """
    dice = random.Random(seed)  # noqa: S311 - a test's
    letters = "".join(dice.choice(string.ascii_letters + string.digits) for _ in range(20))
    return f"{letters[:9]}/&=<\"+'é {letters[9:]}~"


def readings(text: str) -> set[str]:
    """Return a text and everything that independent libraries decode it to, layer by layer."""
    found, new = set(), {text}
    for _ in range(6):
        found |= new
        ahead = {html.unescape(reading) for reading in new}
        ahead |= {_unquoted(reading) for reading in new} | {_unescaped(reading) for reading in new}
        new = ahead - found
    return found


def _unquoted(text: str) -> str:
    from urllib.parse import unquote_plus  # noqa: PLC0415 - only here

    return unquote_plus(text)


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text.replace('\\"', '"')


def holds(text: str, secret: str) -> bool:
    """Return whether a text reveals a secret: eight of its characters, in any reading, are enough."""
    parts = [secret[at : at + 8] for at in range(len(secret) - 7)]
    packed = [in_base64(part)[:8] for part in parts] + [part.encode().hex() for part in parts]
    return any(part in reading for reading in readings(text) for part in (*parts, *packed))


@pytest.mark.parametrize("shape", SHAPES)
def test_no_spelling_survives_in_any_shape(shape: str) -> None:
    """More than three hundred combinations, each with a secret of its own, and without a content type."""
    assert len(TOGETHER) >= 300
    for spelling, write in SPELLINGS.items():
        secret = a_secret(f"{spelling} in {shape}")
        body = SHAPES[shape](write(secret))
        cleaned = Redactor([], [secret]).body(body)
        assert REDACTED in cleaned, spelling
        assert not holds(cleaned, secret), spelling


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_occurrence_of_a_secret_is_removed(spelling: str) -> None:
    """The same spelling twice, then escaped once more: no occurrence hides another."""
    secret = a_secret(spelling)
    written = SPELLINGS[spelling](secret)
    body = json.dumps({"one": written, "two": [written, quote(written, safe="")], "three": html.escape(written)})
    for cleaned in (Redactor([], [secret]).body(body), Redactor([], [secret]).text(body)):
        assert cleaned.count(REDACTED) >= 4
        assert not holds(cleaned, secret)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_text_around_a_secret_is_kept(spelling: str) -> None:
    """Only the secret is removed: a rule answers with the rest of the body."""
    secret = a_secret(spelling)
    body = json.dumps({"before": "x/y & z", "echo": SPELLINGS[spelling](secret), "after": ["\u00e9", 7]})
    cleaned = json.loads(Redactor([], [secret]).body(body))
    assert cleaned["before"] == "x/y & z"
    assert cleaned["after"] == ["\u00e9", 7]


@pytest.mark.parametrize("spelling", [name for name in SPELLINGS if name not in ("hex of base64", "base64 of base64")])
def test_a_secret_at_the_cut_of_a_body_is_removed(spelling: str) -> None:
    """Wherever the body was cut within it."""
    secret = a_secret(spelling)
    written = SPELLINGS[spelling](secret)
    redactor = Redactor([], [secret])
    for length in range(0, len(written), 3):
        cleaned = redactor.body('{"n": 1, "echo": "' + written[:length], cut=True)
        assert cleaned.startswith('{"n": 1')
        assert not holds(cleaned, secret), length


NAMED: dict[str, str] = {
    "JSON beyond what is kept": '{"pad": "' + "x" * 5_000 + '", "password": "f1eld-s3cret"',
    "cut in the value": '{"a": 1, "password": "f1eld-s3cr',
    "cut in what it holds": '{"a": 1, "password": {"x": ["f1eld-s3cret", {"y": "f1eld-s3cr',
    "lines of JSON": '{"n":1}\n{"password":"f1eld-s3cret"}\n',
    "events": 'data: {"password": "f1eld-s3cret"}\n\n',
    "JSONP": 'cb({"password":"f1eld-s3cret"});',
    "a script": "cb({password: 'f1eld-s3cret'});",
    "behind a prefix": ')]}\',\n{"password":"f1eld-s3cret"}',
    "behind a byte order mark": '\ufeff{"password":"f1eld-s3cret"}',
    "before garbage": '{"password":"f1eld-s3cret"}}}garbage',
    "with escapes in its name": 'x{"p\\u0061ssword":"f1eld-\\"s3cret"}',
    "with escaped quotes": 'x{"password":"\\"f1eld-s3cret"}',
    "JSON in JSON": json.dumps({"log": json.dumps({"password": 'f1eld-"s3cret'})}),
    "JSON in JSON, cut": json.dumps({"log": json.dumps({"password": 'f1eld-"s3cret'})})[:-6],
    "JSON in lines of JSON": json.dumps({"log": json.dumps({"a": json.dumps({"password": 'f1eld-"s3cret'})})}) + "\n{}",
    "XML": "<r><password>f1eld-s3cret</password></r>",
    "XML of a namespace": "<w:r><w:PassWord x='1'>f1eld-s3cret</w:PassWord></w:r>",
    "XML, cut": "<r><password>f1eld-s3cr",
    "an attribute": '<user password="f1eld-s3cret"/>',
    "an attribute, cut": '<user password="f1eld-s3cr',
    "an input of HTML": '<input name="password" value="f1eld-s3cret">',
    "XML in JSON": json.dumps({"soap": '<r><password>f1eld-"s3cret</password></r>'}),
    "XML as text": html.escape("<r><password>f1eld-s3cret</password></r>"),
    "an address": 'see http://a/x?y=1&password=f1eld-s3cret for "more"',
    "an address in JSON": json.dumps({"next": "http://a/x?password=f1eld-s3cret"}),
    "a header in text": "Host: a\npassword: f1eld-s3cret\n",
    "a number": 'x {"password": 15332201, "n": 1}',
}


@pytest.mark.parametrize("shape", NAMED)
def test_a_named_field_is_hidden_in_any_shape(shape: str) -> None:
    """Even if nothing can be parsed."""
    cleaned = Redactor(["passWord"], []).body(NAMED[shape])
    assert "redacted" in cleaned
    assert not any(part in cleaned for part in ("f1eld", "s3cr", "15332201"))


def test_a_user_name_and_password_in_an_address_are_hidden() -> None:
    """Also in addresses within headers and bodies."""
    redactor = Redactor([], [])
    assert redactor.url("http://ada:s3cret@a/x") == f"http://{REDACTED}@a/x"
    assert redactor.headers({"location": "http://ada:s3cret@a/"}) == {"location": f"http://{REDACTED}@a/"}
    assert redactor.body('{"u": "http://ada:s3cret@a/"}') == f'{{"u":"http://{REDACTED}@a/"}}'


def test_a_field_in_a_fragment_is_hidden() -> None:
    """OAuth's implicit flow puts tokens there."""
    assert Redactor(["access_token"], []).url("/cb#access_token=s3cret&x=1") == "/cb#access_token=%5Bredacted%5D&x=1"


def test_a_redactor_removes_secrets_learned_after_it_was_made() -> None:
    """Such as the token of a login, and the token after its renewal: a redactor asks what is known when it redacts."""
    known = KnownValues()
    redactor = Redactor([], known)
    assert redactor.text("t0ken-one t0ken-two") == "t0ken-one t0ken-two"
    known.add("t0ken-one")
    assert redactor.text("t0ken-one t0ken-two") == f"{REDACTED} t0ken-two"
    known.add("t0ken-two")
    assert redactor.text("t0ken-one t0ken-two") == f"{REDACTED} {REDACTED}"


HOSTILE = {
    "percent inside percent": "%25" * 100_000,
    "backslashes": "\\" * 300_000,
    "escapes": "\\u0041" * 50_000,
    "entities": "&amp;" * 60_000,
    "base64": base64.b64encode(random.Random(1).randbytes(225_000)).decode(),  # noqa: S311 - a test's
    "base64 inside base64": in_base64(in_base64(in_base64("x" * 120_000))),
    "hex": random.Random(2).randbytes(150_000).hex(),  # noqa: S311 - a test's
    "one letter": "a" * 300_000,
    "open brackets": '{"password":' * 25_000,
    "open quotes": '"password":"' * 25_000,
    "open tags": "<password>" * 30_000,
    "tags of attributes": '<a name="password" ' * 15_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_work_is_bounded_whatever_a_service_sends(kind: str) -> None:
    """Counted, not timed: the bytes that are searched for each byte of the text."""
    reading = layers(HOSTILE[kind].encode())
    assert len(reading.forms) <= MOST_LAYERS + 1
    finder = Finder(["s3cret" * 10, "t" * 4_096])
    finder.spans(reading.forms)
    assert finder.work <= len(HOSTILE[kind]) * (MOST_LAYERS + 1 + 6 * MOST_PACKINGS)
    assert len(Redactor(["password"], ["s3cret" * 10]).body(HOSTILE[kind])) <= 2 * len(HOSTILE[kind])


def test_text_that_cannot_be_searched_is_not_kept() -> None:
    """Too many layers, or too long."""
    redactor = Redactor([], ["s3cret"])
    deep = "s3cret &"
    for _ in range(MOST_LAYERS + 2):
        deep = quote(deep, safe="")
    assert redactor.text(deep) == REDACTED
    assert redactor.body("x" * (LONGEST_TEXT + 1)) == REDACTED
    assert redactor.text("x" * (LONGEST_TEXT + 1)) == REDACTED


def test_an_error_is_redacted_whole_before_it_is_cut() -> None:
    """If it were cut first, the beginning of the secret would stay."""
    redactor = Redactor([], ["s3cret-and-long"])
    shown = redactor.shown("x" * 290 + "s3cret-and-long", 300)
    assert "s3c" not in shown
    assert len(shown) <= 301
