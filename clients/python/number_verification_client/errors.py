"""What can go wrong, as exceptions that carry what a caller needs to decide what to do next."""

from collections.abc import Sequence
from typing import NamedTuple

import grpc

MAX_TEXT_LENGTH = 512
"""Characters kept of a text that came from a server (Commonalities 0.9, `ErrorInfo.message`)."""


class FieldViolation(NamedTuple):
    """One field of the input that breaks its rule. Never holds the field's value."""

    field: str
    """The field's name in the contract's JSON; empty for the input as a whole."""
    description: str


class NumberVerificationError(Exception):
    """Base of every exception of this package; raised itself for faults of the service (INTERNAL and the like).

    Args:
        message: what happened, for people.
        code: the gRPC status; None where the failure did not come over gRPC.
        reason: stable and made for programs: the contract's `ErrorInfo.reason`, the `error` of an OAuth answer, or the
            name of the gRPC status where the server gave none.
        correlator: the `x-correlator` to name to the operator; empty where there is none.
        retry_after: seconds after which to try again; None where the server did not say.
        field_violations: which fields of the input break which rule.
        token_may_be_used: whether the access token (in an exchange: the authorization code) may be gone. A token serves
            one call, so nothing is ever sent twice: where this is true, a new try needs a new authorization; where it
            is false, the same token still serves.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: grpc.StatusCode | None = None,
        reason: str = "",
        correlator: str = "",
        retry_after: float | None = None,
        field_violations: Sequence[FieldViolation] = (),
        token_may_be_used: bool = True,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.correlator = correlator
        self.retry_after = retry_after
        self.field_violations = tuple(field_violations)
        self.token_may_be_used = token_may_be_used

    def __str__(self) -> str:
        text = f"{self.reason}: {self.message}" if self.message else self.reason
        return f"{text} (x-correlator {self.correlator})" if self.correlator else text


class InvalidArgument(NumberVerificationError):
    """The input breaks the contract: correct it. See `field_violations`.

    Input that this package can check is refused before anything is sent; then `token_may_be_used` is false.
    """


class Unauthenticated(NumberVerificationError):
    """The token is unknown, expired or used up, or what it was founded on is gone: authorize anew."""


class PermissionDenied(NumberVerificationError):
    """The application may not do this: a scope or a subscription is missing, or it is suspended."""


class UserNotAuthenticatedByMobileNetwork(PermissionDenied):
    """The user was not authenticated by the mobile network or the SIM: use another way to verify this user."""


class ResourceExhausted(NumberVerificationError):
    """Too many requests, or the agreed quota is used up: wait `retry_after` seconds."""


class Unavailable(NumberVerificationError):
    """The service cannot be reached or cannot answer now. Look at `token_may_be_used` before trying again."""


class Timeout(NumberVerificationError):
    """No answer within the deadline. Whether the call took effect is not known."""


class ResponseRejected(NumberVerificationError):
    """An answer failed one of the checks that the standards ask for: do not use it, and look into it.

    `reason` is one of MALFORMED_ANSWER, METADATA_INVALID, ISSUER_MISMATCH, STATE_MISMATCH, ID_TOKEN_INVALID.
    """


class OAuthError(NumberVerificationError):
    """The authorization server refused, with an error code of its standards (RFC 6749 §4.1.2.1 and §5.2).

    `access_denied`: the device was not authenticated by its connection. `consent_required`: the user has to opt in
    first. `invalid_grant`: the code is used, expired or not yours.

    Args:
        error: the standard's error code; also the `reason`.
        description: for people; may be empty. Also the `message`.
        retry_after: seconds after which to try again; None where the server did not say.
    """

    def __init__(self, error: str = "", description: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(description, reason=error, retry_after=retry_after)
        self.error = error
        self.description = description


def invalid_argument(field: str, description: str) -> InvalidArgument:
    """A refusal of ours, before anything was sent. The description must not hold the field's value."""
    return InvalidArgument(
        f"{field}: {description}",
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason="INVALID_ARGUMENT",
        field_violations=[FieldViolation(field, description)],
        token_may_be_used=False,
    )


def legible(text: str) -> str:
    """A server's text made fit for exceptions and logs: printable, on one line, of limited length."""
    return "".join(character for character in text[:MAX_TEXT_LENGTH] if character.isprintable())
