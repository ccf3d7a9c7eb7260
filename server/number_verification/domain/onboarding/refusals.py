"""The refusals of the use cases."""

from collections.abc import Iterable

from number_verification.domain.refusal import Kind, Reason, Refusal, Violation


def invalid(field: str, description: str) -> Refusal:
    """One field that breaks its rule."""
    return Refusal(Kind.INVALID_ARGUMENT, Reason.INPUT_MALFORMED, violations=[Violation(field, description)])


def refuse_violations(violations: Iterable[Violation]) -> None:
    """Raise INVALID_ARGUMENT with all violations, if there is one."""
    found = tuple(violations)
    if found:
        raise Refusal(Kind.INVALID_ARGUMENT, Reason.INPUT_MALFORMED, violations=found)


def not_found(reason: Reason) -> Refusal:
    """That there is none: also of what is out of the caller's reach, so that the caller cannot tell the difference."""
    return Refusal(Kind.NOT_FOUND, reason)


def denied(reason: Reason, description: str) -> Refusal:
    """That the caller may not."""
    return Refusal(Kind.PERMISSION_DENIED, reason, violations=[Violation("", description)])


def blocked(reason: Reason, *violations: Violation) -> Refusal:
    """That a state stands in the way."""
    return Refusal(Kind.FAILED_PRECONDITION, reason, violations=violations)
