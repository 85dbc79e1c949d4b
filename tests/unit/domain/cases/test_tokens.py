"""Baggage tokens select rules; markers name cases."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cases.tokens import (
    analysis_marker,
    baggage_of,
    baggage_token,
    calls_marker,
    case_of_marker,
    is_analysis_marker,
    overlapping,
    without_markers,
)
from domain.names import record_id

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
TYPES = st.from_regex(r"[a-z][a-z0-9-]{0,15}", fullmatch=True)


@given(st.sets(st.tuples(NAMES, TYPES), min_size=2, max_size=12))
def test_no_token_contains_a_different_token(pairs: set[tuple[str, str]]) -> None:
    """The proxy matches substrings."""
    tokens = [baggage_token(service, kind) for service, kind in pairs]
    assert len(set(tokens)) == len(pairs)
    assert overlapping(tokens) == []


@given(NAMES, TYPES)
def test_a_token_is_a_valid_baggage_member(service: str, kind: str) -> None:
    """It is key=value, in the characters that the proxy takes unescaped."""
    assert re.fullmatch(r"[A-Za-z0-9._-]+=[A-Za-z0-9._-]+", baggage_token(service, kind))


def test_tokens_of_hyphenated_names_and_types_are_not_ambiguous() -> None:
    """Service `a-b` with type `c` and service `a` with type `b-c` had the same token in the original orchestrator."""
    assert baggage_token("a-b", "c") != baggage_token("a", "b-c")


def test_overlapping_tokens_are_found() -> None:
    """The check itself can fail."""
    assert overlapping(["chaos.a-cpu", "chaos.a-cpu-load"]) == [("chaos.a-cpu", "chaos.a-cpu-load")]


def test_the_baggage_of_a_case_needs_the_tokens_of_all_its_services() -> None:
    """A case never runs with part of its header missing."""
    with pytest.raises(KeyError):
        baggage_of(["a", "b"], {"a": "chaos.a.remove=1"})


def test_tokens_are_joined_without_spaces() -> None:
    """The original orchestrator builds the header the same way."""
    assert baggage_of(["a", "b"], {"a": "x=1", "b": "y=1"}) == "x=1,y=1"


def test_the_analysis_marker_overlaps_no_token() -> None:
    """It selects no rule."""
    assert overlapping([analysis_marker(record_id(5)), baggage_token("holdfast", "analysis")]) == []


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
def test_the_marker_of_a_case_is_found_among_other_baggage_members(
    record: str, case: int, number: int, before: list[str], after: list[str], properties: str, space: str
) -> None:
    """Propagators join headers, put spaces around members, and keep the properties after a semicolon."""
    member = f"{space}{calls_marker(record, case, number).replace('=', f'{space}={space}')}{space}{properties}"
    assert case_of_marker(record, ",".join([*before, member, *after])) == (case, number)


@given(EXECUTIONS, EXECUTIONS, CASES)
def test_the_marker_of_another_execution_is_ignored(ours: str, theirs: str, case: int) -> None:
    found = case_of_marker(ours, calls_marker(theirs, case, 7))
    assert found == ((case, 7) if ours == theirs else None)


def test_a_percent_encoded_marker_is_understood() -> None:
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
        analysis_marker("hf1x"),
    ],
)
def test_a_header_without_a_valid_marker_names_no_case(header: str) -> None:
    assert case_of_marker("hf1x", header) is None


def test_markers_of_calls_and_of_the_analysis_are_distinct() -> None:
    """Neither selects a rule."""
    assert is_analysis_marker(analysis_marker("hf1x"))
    assert not is_analysis_marker(calls_marker("hf1x", 3, 1))
    assert overlapping([calls_marker("hf1x", 3, 1), analysis_marker("hf1x"), baggage_token("holdfast", "calls")]) == []


def test_only_our_markers_are_removed_from_a_header() -> None:
    header = f"user=7, {calls_marker('hf1x', 3, 1)} ,{analysis_marker('hf1x')},chaos.a.remove=1"
    assert without_markers(header) == "user=7,chaos.a.remove=1"
    assert without_markers(calls_marker("hf1x", 3, 1)) == without_markers("") == ""
