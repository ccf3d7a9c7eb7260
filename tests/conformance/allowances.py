"""What everybody who counts tokens must do. A test module of each engine subclasses the suite."""

from multiprocessing.synchronize import Barrier

import pytest

from conformance.databases import Databases, open_allowances
from conformance.processes import together
from number_verification.domain.application import Limits
from number_verification.domain.clock import SECOND
from number_verification.domain.refusal import Reason
from number_verification.registry.store import Allowances

NOON = 1_800_014_400_000
"""2027-01-15 12:00 UTC."""
SPENDS = 120
DAY = 86_400 * SECOND


class AllowancesSuite:
    @pytest.fixture
    def url(self, databases: Databases) -> str:
        return databases()

    @pytest.fixture
    def allowances(self, url: str) -> Allowances:
        return open_allowances(url)

    def test_up_to_the_quota(self, allowances: Allowances) -> None:
        limits = Limits(daily_quota=3)
        assert [allowances.spend("app", limits, NOON) for _ in range(3)] == [None] * 3
        assert allowances.spend("app", limits, NOON) == (Reason.DAILY_QUOTA, 12 * 3600)
        assert allowances.spend("App", limits, NOON) is None
        assert allowances.spend("app", limits, NOON + DAY) is None

    def test_what_is_refused_is_not_counted(self, allowances: Allowances) -> None:
        limits = Limits(rate=1, burst=1, monthly_quota=2)
        assert allowances.spend("app", limits, NOON) is None
        for _ in range(5):
            assert allowances.spend("app", limits, NOON) == (Reason.APPLICATION_RATE, 1)
        assert allowances.spend("app", limits, NOON + SECOND) is None
        shortage = allowances.spend("app", limits, NOON + 2 * SECOND)
        assert shortage is not None
        assert shortage.reason is Reason.MONTHLY_QUOTA

    def test_what_was_not_given_is_taken_back(self, allowances: Allowances) -> None:
        limits = Limits(rate=1, burst=1, daily_quota=1, monthly_quota=1)
        for _ in range(5):
            assert allowances.spend("app", limits, NOON) is None
            assert allowances.spend("app", limits, NOON) is not None
            allowances.refund("app", limits, NOON)
        allowances.refund("nobody", limits, NOON)
        assert allowances.spend("nobody", limits, NOON) is None
        assert allowances.spend("nobody", limits, NOON) is not None

    def test_no_limit_is_no_limit(self, allowances: Allowances) -> None:
        assert all(allowances.spend("app", Limits(), NOON) is None for _ in range(50))
        # It was counted all the same.
        assert allowances.spend("app", Limits(daily_quota=50), NOON) is not None
        assert allowances.spend("app", Limits(daily_quota=51), NOON) is None

    @pytest.mark.parametrize("limits", [Limits(daily_quota=200), Limits(monthly_quota=200), Limits(0.001, 200)])
    def test_processes_are_given_the_limit_and_no_more(self, url: str, limits: Limits) -> None:
        assert sum(together(_spend_all, [(url, limits, 0)] * 3)) == 200

    def test_processes_never_get_more_than_the_bucket_allows(self, url: str) -> None:
        # Each of three clocks goes 119 times 10 ms further.
        limits = Limits(rate=50, burst=20)
        given = sum(together(_spend_all, [(url, limits, 10)] * 3))
        assert 20 <= given <= 20 + 50 * (SPENDS - 1) // 100

    def test_the_first_token_is_counted_once(self, url: str) -> None:
        won = together(_spend_first, [url] * 2)
        assert all(sorted(by) == [False, True] for by in zip(*won, strict=True))


def _spend_all(argument: tuple[str, Limits, int], _: Barrier) -> int:
    url, limits, step = argument
    allowances = open_allowances(url)
    return sum(allowances.spend("app", limits, NOON + number * step) is None for number in range(SPENDS))


def _spend_first(url: str, barrier: Barrier) -> list[bool]:
    allowances = open_allowances(url)
    got = []
    for number in range(20):
        barrier.wait(30)
        got.append(allowances.spend(f"app-{number}", Limits(daily_quota=1), NOON) is None)
    return got
