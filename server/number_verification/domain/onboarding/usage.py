"""Use case: what was used, for billing."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple, Protocol

from number_verification.domain.onboarding import reach
from number_verification.domain.onboarding.application import RegisteredApplication
from number_verification.domain.onboarding.principal import Principal
from number_verification.domain.onboarding.refusals import denied, invalid
from number_verification.domain.refusal import Reason
from number_verification.domain.usage import Usage, UsageRow
from number_verification.registry.store import Reading

MAX_DAYS = 400
"""More than a year, so that a year can be asked for at once."""


class UsageReading(Protocol):
    """Where usage is looked up."""

    def page(
        self, *, reach: str, application: str, first_day: str, last_day: str, after: Usage | None, limit: int
    ) -> Sequence[UsageRow]:
        """Up to `limit` rows in the order of what they count, compared byte by byte.

        Args:
            reach: only what this customer used, or the customers of this channel partner; empty for all.
            application: only rows of the application with this name; empty for all.
            first_day: only rows of this day or later.
            last_day: only rows of this day or before.
            after: only rows that come after this one; None for the first page.
            limit: at least 1.

        Raises:
            StoreUnavailable: nothing could be read.
        """
        ...


class UsageQuery(NamedTuple):
    """Which usage is asked for."""

    parent: str
    """The name of an organization; empty for all within reach."""
    first_day: str
    last_day: str
    application: str = ""


def query(
    reading: Reading, usage: UsageReading, principal: Principal, asked: UsageQuery, after: Usage | None, limit: int
) -> Sequence[UsageRow]:
    """Up to `limit` rows of usage within the caller's reach.

    Raises:
        Refusal: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT.
    """
    _require_days(asked.first_day, asked.last_day)
    if asked.parent:
        reach.organization(reading, principal, asked.parent)
    elif not principal.is_staff and not principal.organization:
        raise denied(Reason.ROLE_MISSING, "the caller acts for no organization")
    if asked.application:
        reach.within(reading, principal, RegisteredApplication, asked.application)
    return usage.page(
        reach=asked.parent or ("" if principal.is_staff else principal.organization),
        application=asked.application,
        first_day=asked.first_day,
        last_day=asked.last_day,
        after=after,
        limit=limit,
    )


def _require_days(first_day: str, last_day: str) -> None:
    first, last = _day("firstDay", first_day), _day("lastDay", last_day)
    if last < first:
        raise invalid("lastDay", "is before firstDay")
    if (last - first).days >= MAX_DAYS:
        raise invalid("lastDay", f"must be less than {MAX_DAYS} days after firstDay")


def _day(field: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid(field, "is not a day") from None
