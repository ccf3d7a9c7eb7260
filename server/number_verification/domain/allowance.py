"""How many tokens an application may be given: a token bucket, and quotas a day and a month of UTC.

All of it is integer arithmetic, in milliseconds and millionths of a token, so that nothing is gained by rounding.
"""

import datetime
from typing import NamedTuple

from number_verification.domain.application import Limits
from number_verification.domain.clock import SECOND, Milliseconds
from number_verification.domain.refusal import Reason

_DAY: Milliseconds = 86_400 * SECOND
_TOKEN = 1_000_000
"""Millionths of one token."""


class Shortage(NamedTuple):
    """That a limit leaves no room for one more token."""

    reason: Reason
    """APPLICATION_RATE, DAILY_QUOTA or MONTHLY_QUOTA; the one that lasts longest."""
    retry_after: int
    """Seconds after which there is room again, at least 1, rounded up."""


class Spent(NamedTuple):
    """What an application has spent so far."""

    filled: Milliseconds
    """When the bucket was last looked at."""
    level: int
    """What was in it then, in millionths of a token."""
    day: int
    """The day of the last token, in days since the epoch."""
    day_count: int
    month: int
    """Its month, in months since the year 0."""
    month_count: int


def spend(spent: Spent | None, limits: Limits, now: Milliseconds) -> Spent | Shortage:
    """One token more, if every limit has room for it.

    Args:
        spent: so far; None for nothing.
        limits: as they are now.
        now: the instant. One before the last token counts as the last token's: a clock that was set back gives nothing
            twice.
    """
    current = _at(spent, limits, now)
    shortages = [
        Shortage(reason, max(1, -(-wait // SECOND)))
        for reason, wait in (
            (Reason.APPLICATION_RATE, _until_refilled(current, limits)),
            (Reason.DAILY_QUOTA, _until_next_day(current, limits)),
            (Reason.MONTHLY_QUOTA, _until_next_month(current, limits)),
        )
        if wait
    ]
    if shortages:
        longest = max(shortages, key=lambda shortage: shortage.retry_after)
        # The clock stands still for us until it has caught up.
        behind = -(-(current.filled - now) // SECOND)
        return longest._replace(retry_after=longest.retry_after + behind)
    return current._replace(
        level=current.level - _TOKEN if limits.rate else 0,
        day_count=current.day_count + 1,
        month_count=current.month_count + 1,
    )


def refund(spent: Spent, limits: Limits, now: Milliseconds) -> Spent:
    """One token less: it was counted, and not given."""
    current = _at(spent, limits, now)
    return current._replace(
        level=min(_capacity(limits), current.level + _TOKEN) if limits.rate else 0,
        day_count=max(0, current.day_count - 1),
        month_count=max(0, current.month_count - 1),
    )


def _at(spent: Spent | None, limits: Limits, now: Milliseconds) -> Spent:
    """What was spent, as of now: the bucket refilled, counts of days and months that are over forgotten."""
    if spent is None:
        return Spent(now, _capacity(limits), _day_of(now), 0, _month_of(now), 0)
    now = max(now, spent.filled)
    gained = int((now - spent.filled) * limits.rate * _TOKEN / SECOND)
    day, month = _day_of(now), _month_of(now)
    return Spent(
        now,
        min(_capacity(limits), spent.level + gained),
        day,
        spent.day_count if day == spent.day else 0,
        month,
        spent.month_count if month == spent.month else 0,
    )


def _capacity(limits: Limits) -> int:
    return limits.burst * _TOKEN if limits.rate else 0


def _until_refilled(current: Spent, limits: Limits) -> Milliseconds:
    if not limits.rate or current.level >= _TOKEN:
        return 0
    return int((_TOKEN - current.level) * SECOND / (limits.rate * _TOKEN)) + 1


def _until_next_day(current: Spent, limits: Limits) -> Milliseconds:
    if not limits.daily_quota or current.day_count < limits.daily_quota:
        return 0
    return (current.day + 1) * _DAY - current.filled


def _until_next_month(current: Spent, limits: Limits) -> Milliseconds:
    if not limits.monthly_quota or current.month_count < limits.monthly_quota:
        return 0
    year, month = divmod(current.month + 1, 12)
    begins = datetime.datetime(year, month + 1, 1, tzinfo=datetime.UTC)
    return int(begins.timestamp()) * SECOND - current.filled


def _day_of(instant: Milliseconds) -> int:
    return instant // _DAY


def _month_of(instant: Milliseconds) -> int:
    date = datetime.datetime.fromtimestamp(instant / SECOND, tz=datetime.UTC)
    return date.year * 12 + date.month - 1
