"""Baggage tokens."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.logic.tokens import (
    baggage_of,
    baggage_token,
    calls_marker,
    case_of_marker,
    is_marker,
    marker,
    overlapping,
    without_markers,
)
from workflows.names import record_id

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
TYPES = st.from_regex(r"[a-z][a-z0-9-]{0,15}", fullmatch=True)


@given(st.sets(st.tuples(NAMES, TYPES), min_size=2, max_size=12))
def test_no_token_is_part_of_another(pairs: set[tuple[str, str]]) -> None:
    """The proxy matches substrings, so tokens of different (service, type) never contain each other."""
    tokens = [baggage_token(service, kind) for service, kind in pairs]
    assert len(set(tokens)) == len(pairs)
    assert overlapping(tokens) == []


@given(NAMES, TYPES)
def test_a_token_is_a_valid_baggage_member(service: str, kind: str) -> None:
    """key=value in the characters that the proxy takes unescaped."""
    assert re.fullmatch(r"[A-Za-z0-9._-]+=[A-Za-z0-9._-]+", baggage_token(service, kind))


def test_the_documented_ambiguity_is_gone() -> None:
    """Service `a-b` with type `c` and service `a` with type `b-c` differ, unlike in the original's form."""
    assert baggage_token("a-b", "c") != baggage_token("a", "b-c")


def test_overlaps_are_found() -> None:
    """The check itself can fail."""
    assert overlapping(["chaos.a-cpu", "chaos.a-cpu-load"]) == [("chaos.a-cpu", "chaos.a-cpu-load")]


def test_a_case_without_a_token_cannot_be_built() -> None:
    """A case never runs with part of its header missing."""
    with pytest.raises(KeyError):
        baggage_of(["a", "b"], {"a": "chaos.a.remove=1"})


def test_tokens_are_joined_without_spaces() -> None:
    """The header's form is the original's."""
    assert baggage_of(["a", "b"], {"a": "x=1", "b": "y=1"}) == "x=1,y=1"


def test_the_marker_is_no_token() -> None:
    """The analysis marker selects no rule."""
    assert overlapping([marker(record_id(5)), baggage_token("holdfast", "analysis")]) == []


EXECUTIONS = st.integers(0, 2**53 - 1).map(record_id)
CASES = st.integers(0, 500_500)
MEMBERS = st.lists(st.tuples(NAMES, st.text("abc;= %", max_size=9)).map("=".join), max_size=4)


@given(
    EXECUTIONS,
    CASES,
    st.integers(0, 10_000),
    MEMBERS,
    MEMBERS,
    st.sampled_from(["", ";p=1", " ; p ; q=2"]),
    st.sampled_from(["", " ", "\t"]),
)
def test_a_case_is_known_by_its_marker_among_other_members(
    record: str, case: int, number: int, before: list[str], after: list[str], properties: str, space: str
) -> None:
    """Propagators join headers, put spaces around members, and keep what stands behind a semicolon."""
    member = f"{space}{calls_marker(record, case, number).replace('=', f'{space}={space}')}{space}{properties}"
    assert case_of_marker(record, ",".join([*before, member, *after])) == (case, number)


@given(EXECUTIONS, EXECUTIONS, CASES)
def test_the_marker_of_another_execution_is_none_of_ours(ours: str, theirs: str, case: int) -> None:
    found = case_of_marker(ours, calls_marker(theirs, case, 7))
    assert found == ((case, 7) if ours == theirs else None)


def test_an_encoded_marker_is_understood() -> None:
    assert case_of_marker("hf1x", "holdfast.calls=hf1x%2E12%2E3") == (12, 3)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "holdfast.calls",
        "holdfast.calls=hf1x",
        "holdfast.calls=hf1x.",
        "holdfast.calls=hf1x.1",
        "holdfast.calls=hf1x.-1.1",
        "holdfast.calls=hf1x.1a.1",
        "holdfast.calls=hf1x.1.\u0661",
        "holdfast.calls=hf1x.1." + "9" * 10_000,
        "xholdfast.calls=hf1x.1.1",
        "a=holdfast.calls=hf1x.1.1",
        "a=b;holdfast.calls=hf1x.1.1",
        marker("hf1x"),
    ],
)
def test_what_is_no_marker_of_calls_has_no_case(header: str) -> None:
    assert case_of_marker("hf1x", header) is None


def test_the_markers_of_calls_and_analysis_are_kept_apart() -> None:
    """And neither selects a failure."""
    assert is_marker(marker("hf1x"))
    assert not is_marker(calls_marker("hf1x", 3, 1))
    assert overlapping([calls_marker("hf1x", 3, 1), marker("hf1x"), baggage_token("holdfast", "calls")]) == []


def test_only_our_markers_are_taken_out_of_a_header() -> None:
    header = f"user=7, {calls_marker('hf1x', 3, 1)} ,{marker('hf1x')},chaos.a.remove=1"
    assert without_markers(header) == "user=7,chaos.a.remove=1"
    assert without_markers(calls_marker("hf1x", 3, 1)) == without_markers("") == ""
