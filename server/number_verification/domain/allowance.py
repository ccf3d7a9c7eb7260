"""How many tokens an application may be given: a token bucket, and quotas a day and a month of UTC.

All of it is integer arithmetic, in milliseconds and millionths of a token, so that nothing is gained by rounding. A
rate counts in millionths of a token a second.
"""

import datetime
from typing import NamedTuple

from number_verification.domain.application import Limits
from number_verification.domain.clock import HOUR, SECOND, Milliseconds
from number_verification.domain.refusal import Reason

_DAY: Milliseconds = 24 * HOUR
_TOKEN = 1_000_000
"""Millionths of one token."""
_EPOCH = datetime.date(1970, 1, 1).toordinal()


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
    waits = [
        (_until_refilled(current, limits), Reason.APPLICATION_RATE),
        (_until_next_day(current, limits), Reason.DAILY_QUOTA),
        (_until_next_month(current, limits), Reason.MONTHLY_QUOTA),
    ]
    wait, reason = max(waits, key=lambda waiting: waiting[0])
    if wait:
        # Where the clock was set back, it stands still for us until it has caught up.
        return Shortage(reason, -(-(current.filled + wait - now) // SECOND))
    return current._replace(
        level=current.level - _TOKEN if limits.rate else 0,
        day_count=current.day_count + 1,
        month_count=current.month_count + 1,
    )


def refund(spent: Spent, limits: Limits, counted: Milliseconds) -> Spent:
    """One token less: it was counted, and not given.

    Args:
        spent: so far.
        limits: as they are now.
        counted: the instant at which it was counted. Counts of a day or month that is over are left alone: another
            day's quota is not to grow by it.
    """
    return spent._replace(
        level=min(_capacity(limits), spent.level + _TOKEN),
        day_count=max(0, spent.day_count - (spent.day == _day_of(counted))),
        month_count=max(0, spent.month_count - (spent.month == _month_of(_day_of(counted)))),
    )


def _at(spent: Spent | None, limits: Limits, now: Milliseconds) -> Spent:
    """What was spent, as of now: the bucket refilled, counts of days and months that are over forgotten."""
    if spent is None:
        day = _day_of(now)
        return Spent(now, _capacity(limits), day, 0, _month_of(day), 0)
    now = max(now, spent.filled)
    day = _day_of(now)
    month = _month_of(day)
    return Spent(
        now,
        min(_capacity(limits), spent.level + (now - spent.filled) * _refill(limits) // SECOND),
        day,
        spent.day_count if day == spent.day else 0,
        month,
        spent.month_count if month == spent.month else 0,
    )


def _refill(limits: Limits) -> int:
    """Millionths of a token a second."""
    return max(1, round(limits.rate * _TOKEN))


def _capacity(limits: Limits) -> int:
    return limits.burst * _TOKEN if limits.rate else 0


def _until_refilled(current: Spent, limits: Limits) -> Milliseconds:
    if not limits.rate or current.level >= _TOKEN:
        return 0
    return -(-(_TOKEN - current.level) * SECOND // _refill(limits))


def _until_next_day(current: Spent, limits: Limits) -> Milliseconds:
    if not limits.daily_quota or current.day_count < limits.daily_quota:
        return 0
    return (current.day + 1) * _DAY - current.filled


def _until_next_month(current: Spent, limits: Limits) -> Milliseconds:
    if not limits.monthly_quota or current.month_count < limits.monthly_quota:
        return 0
    year, month = divmod(current.month + 1, 12)
    return (datetime.date(year, month + 1, 1).toordinal() - _EPOCH) * _DAY - current.filled


def _day_of(instant: Milliseconds) -> int:
    return instant // _DAY


def _month_of(day: int) -> int:
    date = datetime.date.fromordinal(_EPOCH + day)
    return date.year * 12 + date.month - 1
