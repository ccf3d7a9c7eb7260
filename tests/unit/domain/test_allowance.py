import datetime
from collections import Counter
from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_verification.domain.allowance import Shortage, Spent, refund, spend
from number_verification.domain.application import Limits
from number_verification.domain.clock import SECOND, Milliseconds
from number_verification.domain.refusal import Reason

DAY = 86_400 * SECOND

# Rates as they are written down, with up to six decimals.
_RATES = st.integers(1, 20_000_000).map(lambda millionths: millionths / 1_000_000)
_BUCKETS = st.tuples(_RATES, st.integers(1, 20)).map(lambda bucket: Limits(*bucket))
_QUOTAS = st.tuples(st.integers(0, 4), st.integers(0, 9)).map(lambda quotas: Limits(0, 0, *quotas))
_BOTH = st.tuples(_BUCKETS, _QUOTAS).map(lambda both: Limits(*both[0][:2], *both[1][2:]))
_LIMITS = _BOTH | _BUCKETS | _QUOTAS
_INSTANTS = st.datetimes(datetime.datetime(1970, 1, 2), datetime.datetime(9998, 12, 31)).map(
    lambda moment: int(moment.replace(tzinfo=datetime.UTC).timestamp() * SECOND)
)
_STEPS = st.one_of(
    st.integers(0, 50), st.integers(0, 5 * SECOND), st.integers(0, 2 * DAY), st.sampled_from((0, DAY, 31 * DAY))
)


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> Milliseconds:
    return int(datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC).timestamp()) * SECOND


class Life:
    """An application that spends, and the instants at which it was given a token."""

    def __init__(self) -> None:
        self.spent: Spent | None = None
        self.given: list[Milliseconds] = []

    def spend(self, limits: Limits, now: Milliseconds) -> Shortage | None:
        outcome = spend(self.spent, limits, now)
        if isinstance(outcome, Shortage):
            return outcome
        self.spent = outcome
        self.given.append(now)
        return None

    def refund(self, limits: Limits, counted: Milliseconds) -> None:
        assert self.spent is not None
        self.spent = refund(self.spent, limits, counted)
        self.given.remove(counted)


def instants(start: Milliseconds, steps: list[Milliseconds]) -> list[Milliseconds]:
    moments = [start]
    for step in steps:
        moments.append(moments[-1] + step)
    return moments


class TestBucket:
    @given(_BUCKETS, _INSTANTS, st.lists(_STEPS, max_size=60))
    def test_never_more_than_the_rate_and_the_burst(
        self, limits: Limits, start: Milliseconds, steps: list[Milliseconds]
    ) -> None:
        life = Life()
        for now in instants(start, steps):
            life.spend(limits, now)
        rate = Fraction(str(limits.rate)) / SECOND
        for first, begins in enumerate(life.given):
            for last in range(first, len(life.given)):
                assert last - first + 1 <= limits.burst + rate * (life.given[last] - begins)

    @given(_BUCKETS, _INSTANTS)
    def test_the_burst_can_be_had_at_once(self, limits: Limits, now: Milliseconds) -> None:
        life = Life()
        assert [life.spend(limits, now) for _ in range(limits.burst)] == [None] * limits.burst
        shortage = life.spend(limits, now)
        assert shortage is not None
        assert shortage.reason is Reason.APPLICATION_RATE

    @given(_RATES, st.integers(2, 20), _INSTANTS)
    def test_the_rate_can_be_had_for_long(self, refill: float, burst: int, now: Milliseconds) -> None:
        """Not a token is lost by rounding; only a bucket for one token runs over in the last millisecond."""
        limits, life = Limits(refill, burst), Life()
        rate = Fraction(str(limits.rate)) / SECOND
        for number in range(limits.burst + 100):
            assert life.spend(limits, now + -(-max(0, number - limits.burst + 1) // rate)) is None

    def test_a_slow_rate(self) -> None:
        limits = Limits(rate=0.000001, burst=1)
        life = Life()
        assert life.spend(limits, DAY) is None
        assert life.spend(limits, DAY) == (Reason.APPLICATION_RATE, 1_000_000)
        assert life.spend(limits, DAY + 1_000_000 * SECOND - 1) == (Reason.APPLICATION_RATE, 1)
        assert life.spend(limits, DAY + 1_000_000 * SECOND) is None


class TestQuotas:
    @given(_QUOTAS, _INSTANTS, st.lists(_STEPS, max_size=60))
    def test_exact_by_day_and_month(self, limits: Limits, start: Milliseconds, steps: list[Milliseconds]) -> None:
        """Refused is exactly what would be more than a quota."""
        life = Life()
        days: Counter[datetime.date] = Counter()
        months: Counter[tuple[int, int]] = Counter()
        for now in instants(start, steps):
            date = datetime.date(1970, 1, 1) + datetime.timedelta(days=now // DAY)
            month = (date.year, date.month)
            room = not limits.daily_quota or days[date] < limits.daily_quota
            room = room and (not limits.monthly_quota or months[month] < limits.monthly_quota)
            assert (life.spend(limits, now) is None) == room
            if room:
                days[date] += 1
                months[month] += 1

    @pytest.mark.parametrize(
        ("now", "following"),
        [
            (at(2027, 2, 28, 23, 59, 59), at(2027, 3, 1)),
            (at(2028, 2, 28, 23, 59, 59), at(2028, 3, 1)),
            (at(2028, 2, 29, 12), at(2028, 3, 1)),
            (at(2000, 2, 1), at(2000, 3, 1)),
            (at(2100, 2, 28), at(2100, 3, 1)),
            (at(2026, 12, 31, 23, 59, 59), at(2027, 1, 1)),
            (at(2026, 4, 30), at(2026, 5, 1)),
            (at(1970, 1, 1), at(1970, 2, 1)),
            (at(9998, 12, 1), at(9999, 1, 1)),
        ],
    )
    def test_a_month_ends_when_it_ends(self, now: Milliseconds, following: Milliseconds) -> None:
        limits, life = Limits(monthly_quota=1), Life()
        assert life.spend(limits, now) is None
        assert life.spend(limits, now) == (Reason.MONTHLY_QUOTA, (following - now) // SECOND)
        assert life.spend(limits, following - 1) == (Reason.MONTHLY_QUOTA, 1)
        assert life.spend(limits, following) is None

    def test_the_same_day_of_another_month_and_the_same_month_of_another_year(self) -> None:
        life = Life()
        for now in (at(2026, 5, 7), at(2026, 6, 7), at(2027, 6, 7), at(2127, 6, 7)):
            assert life.spend(Limits(daily_quota=1, monthly_quota=1), now) is None

    def test_the_reason_is_the_one_that_lasts_longest(self) -> None:
        limits, life, now = Limits(1, 1, 1, 1), Life(), at(2026, 5, 7, 23, 59, 59)
        life.spend(limits, now)
        shortage = life.spend(limits, now)
        assert shortage is not None
        assert shortage.reason is Reason.MONTHLY_QUOTA
        shortage = life.spend(limits._replace(monthly_quota=0), now - 60 * SECOND)
        assert shortage == (Reason.APPLICATION_RATE, 61)
        assert life.spend(Limits(daily_quota=1), now - 60 * SECOND) == (Reason.DAILY_QUOTA, 61)


class TestRetryAfter:
    @given(_LIMITS, _INSTANTS, st.lists(st.integers(-2 * DAY, 2 * DAY) | st.integers(-900, 900), max_size=40))
    def test_it_is_the_truth(self, limits: Limits, start: Milliseconds, steps: list[Milliseconds]) -> None:
        life = Life()
        for now in instants(start, steps):
            shortage = life.spend(limits, now)
            if shortage is None:
                continue
            assert shortage.retry_after >= 1
            later = now + shortage.retry_after * SECOND
            assert isinstance(spend(life.spent, limits, later), Spent)
            # And not more than a second too long.
            if shortage.retry_after > 1:
                assert isinstance(spend(life.spent, limits, later - SECOND), Shortage)


class TestClockSetBack:
    @given(_LIMITS, _INSTANTS, st.lists(st.integers(-2 * DAY, 2 * DAY), max_size=60))
    def test_it_gives_nothing_twice(self, limits: Limits, start: Milliseconds, steps: list[Milliseconds]) -> None:
        """As much as by a clock that stood still meanwhile."""
        erring, still = Life(), Life()
        latest = 0
        for now in instants(start, steps):
            given = erring.spend(limits, now) is None
            assert given == (still.spend(limits, max(now, latest)) is None)
            latest = max(latest, now) if given else latest
        assert erring.spent == still.spent


class Change(NamedTuple):
    """A step in the life of an application whose plan changes."""

    limits: Limits
    step: Milliseconds
    refunds: bool


class TestRefundsAndPlans:
    @given(_BOTH, _INSTANTS, st.lists(st.tuples(_STEPS, st.integers(0, 3)), max_size=60))
    def test_no_more_is_given_than_without_refunds(
        self, limits: Limits, start: Milliseconds, steps: list[tuple[Milliseconds, int]]
    ) -> None:
        """Counting only what was really given, whenever it is taken back, all limits hold."""
        life, now = Life(), start
        for step, back in steps:
            now += step
            life.spend(limits, now)
            if back and back <= len(life.given):
                life.refund(limits, life.given[-back])
        days = Counter(given // DAY for given in life.given)
        assert not limits.daily_quota or all(count <= limits.daily_quota for count in days.values())
        months = Counter(_month(given) for given in life.given)
        assert not limits.monthly_quota or all(count <= limits.monthly_quota for count in months.values())
        rate = Fraction(str(limits.rate)) / SECOND
        for first, begins in enumerate(life.given):
            for last in range(first, len(life.given)):
                assert last - first + 1 <= limits.burst + rate * (life.given[last] - begins)

    @given(_LIMITS, _INSTANTS)
    def test_a_refund_at_once_leaves_what_was(self, limits: Limits, now: Milliseconds) -> None:
        life = Life()
        assert life.spend(limits, now) is None
        before = life.spent
        assert before is not None
        once = spend(before, limits, now)
        if isinstance(once, Spent):
            assert refund(once, limits, now) == before

    @given(_INSTANTS, st.lists(st.builds(Change, _LIMITS, _STEPS, st.booleans()), max_size=40))
    def test_whatever_the_plan_the_state_stays_within_it(self, start: Milliseconds, changes: list[Change]) -> None:
        life, now = Life(), start
        for limits, step, refunds in changes:
            now += step
            shortage = life.spend(limits, now)
            if refunds and life.given:
                life.refund(limits, life.given[-1])
            spent = life.spent
            if shortage is None and spent is not None:
                assert 0 <= spent.level <= limits.burst * 1_000_000_000
                assert spent.filled <= now
                assert 1 - refunds <= spent.day_count <= spent.month_count

    def test_a_smaller_plan_counts_at_once(self) -> None:
        life, now = Life(), at(2026, 5, 7)
        for _ in range(5):
            assert life.spend(Limits(100, 100, 10, 100), now) is None
        assert life.spend(Limits(100, 100, 5, 100), now) == (Reason.DAILY_QUOTA, 86_400)
        assert life.spend(Limits(1, 1, 10, 100), now) is None
        assert life.spend(Limits(1, 1, 10, 100), now) == (Reason.APPLICATION_RATE, 1)

    def test_a_greater_plan_gives_the_difference(self) -> None:
        life, now = Life(), at(2026, 5, 7)
        small, great = Limits(daily_quota=1), Limits(daily_quota=3)
        assert life.spend(small, now) is None
        assert life.spend(small, now) is not None
        assert [life.spend(great, now) for _ in range(2)] == [None, None]
        assert life.spend(great, now) is not None

    def test_a_token_of_yesterday_is_no_room_for_today(self) -> None:
        limits, life = Limits(daily_quota=1), Life()
        evening, morning = at(2026, 5, 7, 23, 59, 59), at(2026, 5, 8)
        assert life.spend(limits, evening) is None
        assert life.spend(limits, morning) is None
        life.refund(limits, evening)
        assert life.spend(limits, morning) is not None


def _month(instant: Milliseconds) -> tuple[int, int]:
    date = datetime.date(1970, 1, 1) + datetime.timedelta(days=instant // DAY)
    return date.year, date.month
