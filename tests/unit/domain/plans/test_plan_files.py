"""Plan files: nothing is lost silently, and every mistake is reported with its position."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clients.plans.files import PlanFileError, read_plan_file
from domain.errors import ErrorCode
from tests.support.paths import EXAMPLES

# Each line uses the one before ten times.
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

WRONG: list[tuple[str, str | bytes, int | None, int | None, str]] = [
    # Keys: once, and text.
    ("a.yaml", "name: shop\nload: {requests: 1, requests: 2}\n", 2, 21, "'requests' is given twice"),
    ("a.yaml", "name: shop\nslo: {}\nname: other\n", 3, 1, "'name' is given twice"),
    ("a.json", '{"name": "shop",\n "name": "other"}', 2, 2, "'name' is given twice"),
    ("a.json", '{\n\t"a": {"b": 1,\t"b": 2}}', None, None, "'b' is given twice"),
    ("-.txt", '{"a": 1, "a": 2}', 1, 10, "'a' is given twice"),
    ("a.yaml", "503: x\n", 1, 1, "a key must be text: put it in quotes"),
    ("a.yaml", "a:\n  true: x\n", 2, 3, "a key must be text"),
    ("a.yaml", "? [a]\n: x\n", 1, 3, "a key must be text"),
    ("a.yaml", '"\\e[31m": 1\n"\\e[31m": 2\n', 2, 1, "'?[31m' is given twice"),
    ("a.json", '{"\\u001b[31m": 1, "\\u001b[31m": 2}', 1, 19, "'?[31m' is given twice"),
    # Syntax.
    ("a.yaml", "a: 1\n\tb: 2\n", 2, 1, "indent with spaces, not tabs"),
    ("a.yaml", "a: b: c\n", 1, 5, "put a value with ': ' in it in quotes"),
    ("a.yaml", "a: 1\n b: 2\n", 2, 3, "check the indentation"),
    ("a.yaml", "a: %x\n", 1, 4, "in quotes"),
    ("a.yaml", 'a: "open\n', 2, 1, "unexpected end"),
    ("a.json", '{"a": 1', 1, 8, "is not JSON: expecting ',' delimiter"),
    ("a.json", "a: 1", 1, 1, "YAML files end in .yaml"),
    ("-.txt", '{"a": 1', 1, 8, "is not JSON"),
    # Features of YAML that are not supported, and files that hold no document.
    ("a.yaml", "a: !!python/object/apply:os.system [id]\n", 1, 4, "means nothing in a plan: leave it out"),
    ("a.yaml", "a: !env TOKEN\n", 1, 4, "the tag '!env' means nothing"),
    ("a.yaml", "a: &a {b: 1}\nc: {<<: *a}\n", 2, 5, "merge keys are not supported: write the fields out"),
    ("a.yaml", "a: *b\n", 1, 4, "put a value that begins with * in quotes"),
    ("a.yaml", "a: &a [*a]\n", 1, 4, "must not be inside the value that it stands for"),
    ("a.yaml", "a: &a x\nb: [" + "*a, " * 101 + "]\n", 2, 405, "more than 100 aliases"),
    ("a.yaml", BOMB, None, None, "expands to more than 100000 values"),
    ("a.yaml", "a: 1\n---\nb: 2\n", None, None, "holds 2 documents"),
    ("a.yaml", "", None, None, "the file is empty"),
    ("a.json", " \n", None, None, "the file is empty"),
    ("a.yaml", "# nothing\n", None, None, "the file is empty"),
    ("a.yaml", "---\n", None, None, "the file is empty"),
    ("a.yaml", "a: " + "9" * 5_000, 1, 4, "too long: put it in quotes"),
    ("a.json", '{"a": ' + "9" * 5_000 + "}", None, None, "a number is too long"),
    ("a.json", '{"a":\n NaN}', 2, 2, "NaN is not a valid number in JSON"),
    ("a.json", "[" * 100_000, None, None, "nested too deeply"),
    ("a.yaml", "[" * 5_000, None, None, "nested too deeply"),
    # Bytes.
    ("a.yaml", b"name: shop\nb: \xff\xfe\n", 2, None, "is not UTF-8 text at byte 14"),
    ("a.yaml", "name: shop".encode("utf-16"), 1, None, "save it as UTF-8"),
    ("a.yaml", b"a: b\nc: \x01\n", 2, 4, "holds a control character"),
    ("a.yaml", b"x" * 1_048_577, None, None, "is larger than 1 MiB"),
]


@pytest.mark.parametrize(("name", "content", "line", "column", "text"), WRONG, ids=lambda value: str(value)[:30])
def test_a_mistake_is_reported_with_file_line_and_column(
    name: str, content: str | bytes, line: int | None, column: int | None, text: str, tmp_path: Path
) -> None:
    """The message also explains what is wrong and what to do."""
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(PlanFileError) as caught:
        read_plan_file(path)
    error = caught.value
    assert error.code is ErrorCode.VALIDATION_ERROR
    assert (error.line, error.column) == (line, column)
    where = ":".join(str(part) for part in (path, line, column) if part is not None)
    assert str(error).startswith(f"{where}: ")
    assert text in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    ("path", "text"), [("missing.yaml", "No such file"), ("", "Is a directory"), ("a\0b.yaml", "is not a path")]
)
def test_an_unreadable_file_is_reported_as_a_plan_file_error(path: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(PlanFileError, match=text):
        read_plan_file(tmp_path / path)


def test_yaml_values_mean_what_they_look_like(tmp_path: Path) -> None:
    """Only true and false are booleans. Dates, times and versions are text. A leading zero makes no octal number."""
    path = tmp_path / "a.yml"
    path.write_text(
        "on: yes\nno: off\nday: 2024-01-01\ntime: 12:30:00\nversion: 1.2.3\nunderscored: 1_000\n"
        "zero: 012\nhex: 0x1f\noctal: 0o17\nfloat: 1e3\nhalf: .5\nnothing:\ntilde: ~\nyes: true\nquoted: '5'\n"
    )
    assert read_plan_file(path) == {
        "on": "yes",
        "no": "off",
        "day": "2024-01-01",
        "time": "12:30:00",
        "version": "1.2.3",
        "underscored": "1_000",
        "zero": 12,
        "hex": 31,
        "octal": 15,
        "float": 1000.0,
        "half": 0.5,
        "nothing": None,
        "tilde": None,
        "yes": True,
        "quoted": "5",
    }


def test_a_few_yaml_aliases_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {x: [1]}\nb: *a\n")
    assert read_plan_file(path) == {"a": {"x": [1]}, "b": {"x": [1]}}


@pytest.mark.parametrize("content", ['{"name": "shop"}', "name: shop\n", "{name: shop}", '\ufeff{"name": "shop"}'])
def test_standard_input_is_json_or_yaml(content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first character decides. A byte order mark does not matter."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    assert read_plan_file(Path("-")) == {"name": "shop"}


def test_errors_call_a_hyphen_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lone hyphen means nothing to a reader of a pipeline's log."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a: 1\na: 2\n")))
    with pytest.raises(PlanFileError, match="standard input:2:1: 'a' is given twice"):
        read_plan_file(Path("-"))


def test_other_yaml_readers_read_the_examples_the_same() -> None:
    """Nothing in them depends on our own rules for YAML."""
    for path in EXAMPLES.glob("*.yaml"):
        assert read_plan_file(path) == yaml.safe_load(path.read_text())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(JSON.filter(lambda value: value is not None))
def test_json_is_read_as_by_pythons_own_reader(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(value))
    assert read_plan_file(path) == value


@given(st.text() | st.text(alphabet=" \n\t:-?[]{},&*!|>'\"%@`#<~a1.") | st.binary())
def test_any_file_is_a_document_or_a_plan_file_error(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    """Never a traceback."""
    for name in ("any.yaml", "any.json", "any"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(content.encode(errors="surrogatepass") if isinstance(content, str) else content)
        try:
            read_plan_file(path)
        except PlanFileError as error:
            assert str(error).startswith(str(path))  # noqa: PT017 - an error is one of two good ends


def test_a_plan_of_too_many_values_is_refused_where_they_become_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a lower limit, because reading so much YAML takes seconds."""
    monkeypatch.setattr("clients.plans.yaml12.MOST_NODES", 200)
    path = tmp_path / "a.yaml"
    path.write_text("[" + "a," * 200 + "]")
    with pytest.raises(PlanFileError, match="more than 200 values and names") as raised:
        read_plan_file(path)
    assert f"{path}:1:400" in str(raised.value)
