"""Quantities are written with their unit and can be read back."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.units import (
    LEAST_PER_SECOND,
    LONGEST,
    MOST_PER_SECOND,
    Share,
    Ttl,
    format_duration,
    format_percent,
    format_rate,
    parse_duration,
    parse_percent,
    parse_rate,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("2s", timedelta(seconds=2)),
        ("1.5 m", timedelta(seconds=90)),
        (" 1h ", timedelta(hours=1)),
        ("0.001ms", timedelta(microseconds=1)),
        ("168h", timedelta(days=7)),
    ],
)
def test_durations_are_read_with_or_without_a_space(text: str, value: timedelta) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "'3' needs a unit: write '3s' or '3ms'"),
        ("3", "'3' needs a unit: write '3s' or '3ms'"),
        (2.5, "'2.5' needs a unit"),
        (True, "write text such as"),
        (None, "write text such as"),
        ([], "write text such as"),
        ("", "is not a duration"),
        ("-3s", "is not a duration"),
        ("3 s s", "is not a duration"),
        ("3d", "is not a duration"),
        ("1e3s", "is not a duration"),
        ("٣s", "is not a duration"),
        ("9" * 14 + "h", "too long: at most 168h"),
        ("9" * 500 + "h", "is not a duration"),
        ("168.01h", "too long"),
        (float("nan"), "is not a duration"),
        (float("inf"), "is not a duration"),
        (10**400, "is not a duration"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_an_invalid_duration_is_a_value_error_with_a_hint(value: object, text: str) -> None:
    """The message does not repeat an endless text."""
    with pytest.raises(ValueError, match=r"duration|unit|long") as caught:
        parse_duration(value)
    assert text in str(caught.value)
    assert len(str(caught.value)) < 160


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "write '1%'"),
        ("1", "write '1%'"),
        ("1 %%", "is not a share"),
        ("-1%", "is not a share"),
        (False, "text such"),
        ("9" * 12 + "%", "too large"),
        ("9" * 500 + "%", "is not a share"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_an_invalid_share_is_a_value_error_with_a_hint(value: object, text: str) -> None:
    """The sign is required, because the peers read 0.5 as 50 %."""
    with pytest.raises(ValueError, match=r"share|sign|large") as caught:
        parse_percent(value)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(0), "0ms"),
        (timedelta(seconds=90), "90s"),
        (timedelta(minutes=90), "90m"),
        (timedelta(hours=2), "2h"),
        (timedelta(milliseconds=1_234_567), "1234567ms"),
        (timedelta(microseconds=1_500), "1.5ms"),
    ],
)
def test_durations_are_written_in_the_largest_unit_that_fits(value: timedelta, text: str) -> None:
    """Exactly, however many digits that takes."""
    assert format_duration(value) == text


@given(st.timedeltas(timedelta(0), LONGEST))
def test_a_written_duration_is_read_back_to_the_microsecond(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


@given(st.floats(0, 1_000_000))
def test_a_written_share_is_read_back_to_nine_digits(value: float) -> None:
    """A plan holds no more digits."""
    assert parse_percent(format_percent(round(value, 9))) == round(value, 9)


@given(st.text() | st.floats() | st.integers() | st.none() | st.binary())
def test_reading_anything_returns_a_value_or_raises_value_error(value: object) -> None:
    """pydantic turns ValueError, and only that, into a problem."""
    for read in (parse_duration, parse_percent):
        try:
            read(value)
        except ValueError:
            continue


def test_a_ttl_is_at_least_a_second() -> None:
    """The peers count whole seconds, and 0 means never, or is refused."""
    assert TypeAdapter(Ttl).validate_python("1s") == timedelta(seconds=1)
    with pytest.raises(ValidationError, match="at least 1s"):
        TypeAdapter(Ttl).validate_python("999ms")


def test_a_share_is_at_most_100_percent() -> None:
    """A larger share could never be exceeded."""
    assert TypeAdapter(Share).validate_python("100%") == 100
    with pytest.raises(ValidationError, match="at most 100%"):
        TypeAdapter(Share).validate_python("100.1%")


@pytest.mark.parametrize(
    ("text", "rate", "written"),
    [("20/s", 20.0, "20/s"), (" 90 / m ", 1.5, "90/m"), ("0.5/s", 0.5, "30/m"), ("1/m", 0.016666666667, "1/m")],
)
def test_rates_are_read_and_written_per_second_or_per_minute(text: str, rate: float, written: str) -> None:
    """The shorter form is written."""
    assert parse_rate(text) == rate
    assert format_rate(rate) == written


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (20, "'20' needs its time: write '20/s' or '20/m'"),
        ("20", "'20' needs its time"),
        ("20/h", "write a number and /s or /m"),
        ("-1/s", "is not a rate"),
        ("0/s", "too low"),
        ("99999/s", "too high: at most 10000/s"),
        (True, "is not a rate"),
        (None, "is not a rate"),
    ],
)
def test_an_invalid_rate_is_a_value_error_with_a_hint(value: object, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_rate(value)


@given(st.floats(LEAST_PER_SECOND, MOST_PER_SECOND).map(lambda number: round(number, 12)))
def test_a_written_rate_is_read_back_exactly(rate: float) -> None:
    """Plans are stored and read again."""
    assert parse_rate(format_rate(rate)) == rate
