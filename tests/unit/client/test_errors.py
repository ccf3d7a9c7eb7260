import copy
import pickle

import grpc
import pytest

from number_verification_client import FieldViolation, NumberVerificationError, OAuthError, ResourceExhausted, errors


@pytest.mark.parametrize(
    "error",
    [
        NumberVerificationError("text", code=grpc.StatusCode.INTERNAL, reason="INTERNAL", correlator="c"),
        ResourceExhausted("text", reason="TOO_MANY_REQUESTS", retry_after=2.0, token_may_be_used=False),
        errors.invalid_argument("phoneNumber", "wrong"),
        OAuthError("invalid_grant", "used"),
        OAuthError("invalid_grant"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_exceptions_cross_processes(error: NumberVerificationError) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own
        assert type(other) is type(error)
        assert vars(other) == vars(error)
        assert str(other) == str(error)


def test_text() -> None:
    assert str(NumberVerificationError("for people", reason="R", correlator="c")) == "R: for people (x-correlator c)"
    assert str(OAuthError("access_denied", "for people")) == "access_denied: for people"
    assert str(OAuthError("access_denied")) == "access_denied"


def test_a_refusal_of_ours() -> None:
    error = errors.invalid_argument("phoneNumber", "wrong")
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.field_violations == (FieldViolation("phoneNumber", "wrong"),)
    assert not error.token_may_be_used


def test_every_exception_has_the_one_base() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) == 10
    assert all(issubclass(kind, NumberVerificationError) for kind in kinds)
