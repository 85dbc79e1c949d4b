"""The error table."""

import pytest

from domain.errors import ERRORS, ErrorClass, ErrorCode, HoldfastError


def test_every_code_has_a_kind() -> None:
    """No error is unmapped."""
    assert set(ERRORS) == set(ErrorCode)


def test_every_class_is_used() -> None:
    assert {kind.error_class for kind in ERRORS.values()} == set(ErrorClass)


@pytest.mark.parametrize("code", [code for code, kind in ERRORS.items() if kind.error_class is ErrorClass.VALIDATION])
def test_validation_is_never_retried(code: ErrorCode) -> None:
    """The same input is as wrong the second time."""
    assert not ERRORS[code].retryable


def test_an_error_says_what_and_what_to_do() -> None:
    """Message and hint both reach the reader."""
    error = HoldfastError(ErrorCode.PEER_TIMEOUT, "the proxy did not answer", hint="is it up?")
    assert str(error) == "the proxy did not answer. is it up?"
    assert error.kind.retryable
