"""What everybody who keeps usage must do. A test module of each engine subclasses the suite."""

import pytest

from conformance.databases import Databases, open_usage
from number_verification.domain.faults import StoreUnavailable
from number_verification.registry.audit.usage import Usage
from number_verification.registry.usage import SqlUsage, UsageRow

A = Usage("2027-01-01", "organizations/a/applications/x", "organizations/a", "organizations/hub", "token", "OK")
B = A._replace(customer="organizations/b", application="organizations/b/applications/x", channel_partner="")
ALWAYS = {"first_day": "2000-01-01", "last_day": "2999-12-31"}


class UsageSuite:
    @pytest.fixture
    def usage(self, databases: Databases) -> SqlUsage:
        return open_usage(databases())

    def test_nothing_yet(self, usage: SqlUsage) -> None:
        assert usage.checkpoints() == {}
        assert usage.page(**ALWAYS, limit=10) == []
        usage.add({}, {})

    def test_counts_add_up_and_checkpoints_move(self, usage: SqlUsage) -> None:
        usage.add({A: 2, B: 1}, {"one": 100})
        usage.add({A: 3}, {"one": 250, "two": 7})
        assert usage.checkpoints() == {"one": 250, "two": 7}
        assert usage.page(**ALWAYS, limit=10) == [UsageRow(A, 5), UsageRow(B, 1)]

    def test_both_or_nothing(self, usage: SqlUsage) -> None:
        usage.add({A: 2}, {"one": 100})
        with pytest.raises(StoreUnavailable):
            usage.add({A: 3, B: 4}, {"one": None})  # type: ignore[dict-item]
        assert usage.checkpoints() == {"one": 100}
        assert usage.page(**ALWAYS, limit=10) == [UsageRow(A, 2)]

    def test_whose_and_when(self, usage: SqlUsage) -> None:
        later = A._replace(day="2027-01-02", outcome="UNAVAILABLE")
        usage.add({A: 1, B: 2, later: 3}, {})
        assert usage.page(reach="organizations/hub", **ALWAYS, limit=10) == [(A, 1), (later, 3)]
        assert usage.page(reach="organizations/b", **ALWAYS, limit=10) == [(B, 2)]
        assert usage.page(reach="organizations/c", **ALWAYS, limit=10) == []
        assert usage.page(application=B.application, **ALWAYS, limit=10) == [(B, 2)]
        assert usage.page(first_day="2027-01-02", last_day="2027-01-02", limit=10) == [(later, 3)]
        assert usage.page(first_day="2027-01-01", last_day="2027-01-01", limit=10) == [(A, 1), (B, 2)]

    def test_pages_follow_each_other_in_the_order_of_bytes(self, usage: SqlUsage) -> None:
        rows = [A._replace(operation=operation) for operation in ("token", "Token", "a-b", "ab", "a.b", "/x.Y/Z")]
        rows += [A._replace(outcome=outcome) for outcome in ("B", "a", "A")]
        usage.add(dict.fromkeys(rows, 1), {})
        seen: list[Usage] = []
        while page := usage.page(**ALWAYS, after=seen[-1] if seen else None, limit=2):
            assert len(page) <= 2
            seen += [row.usage for row in page]
        assert seen == sorted(rows)
