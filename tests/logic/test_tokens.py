"""Baggage tokens."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.logic.tokens import baggage_of, baggage_token, marker, overlapping
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
