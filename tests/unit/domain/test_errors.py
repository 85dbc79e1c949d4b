"""The table of errors is complete and consistent."""

import pytest

from domain.errors import ERRORS, ErrorClass, ErrorCode, HoldfastError


def test_every_error_code_has_a_kind() -> None:
    assert set(ERRORS) == set(ErrorCode)


def test_every_error_class_is_used() -> None:
    assert {kind.error_class for kind in ERRORS.values()} == set(ErrorClass)


@pytest.mark.parametrize("code", [code for code, kind in ERRORS.items() if kind.error_class is ErrorClass.VALIDATION])
def test_validation_errors_are_never_retryable(code: ErrorCode) -> None:
    """The same input fails again."""
    assert not ERRORS[code].retryable


def test_an_error_shows_its_message_and_its_hint() -> None:
    error = HoldfastError(ErrorCode.PEER_TIMEOUT, "the proxy did not answer", hint="is it up?")
    assert str(error) == "the proxy did not answer. is it up?"
    assert error.kind.retryable
