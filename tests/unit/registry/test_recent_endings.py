"""What ended grants lately, over a real database and with clocks that the tests turn."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from conformance.databases import Databases, sqlite_databases
from functional.load import wait_until
from number_verification.domain.approval import ALL
from number_verification.domain.approval_records import Action, Statement
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.registry.approval_records import SqlApprovalRecords
from number_verification.registry.database import open_database
from number_verification.registry.recent_endings import EndingSource, RecentEndings

ANNA, BERT = b"a" * 16, b"b" * 16
BANK, SHOP = "organizations/first-bank/applications/banking-app", "organizations/shop/applications/shop-app"
FRAUD, ADS = "dpv:FraudPreventionAndDetection", "dpv:Advertising"
VERIFY, READ = "number-verification:verify", "number-verification:device-phone-number:read"

GIVE = Statement(Action.GIVEN, ANNA, BANK, FRAUD, "desk", frozenset({VERIFY}))
WITHDRAW = Statement(Action.WITHDRAWN, ANNA, BANK, FRAUD, "desk")
OPT_OUT = Statement(Action.OPTED_OUT, ANNA, ALL, ALL, "desk")

START = 1_700_000_000_000
STALE_AFTER = 30.0


class Clocks:
    """Wall clock and monotonic clock, together."""

    def __init__(self) -> None:
        self.wall = START

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return (self.wall - START) / 1000

    def pass_by(self, seconds: float) -> int:
        self.wall += round(seconds * 1000)
        return self.wall


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return sqlite_databases(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture
def engine(databases: Databases) -> Engine:
    return open_database(databases())


@pytest.fixture
def records(engine: Engine, clocks: Clocks) -> Iterator[SqlApprovalRecords]:
    records = SqlApprovalRecords(engine, clocks.now)
    yield records
    records.close()


def recent_endings(source: EndingSource, clocks: Clocks, capacity: int = 100) -> RecentEndings:
    return RecentEndings(
        source,
        clock=clocks.now,
        poll_interval=0.01,
        stale_after=STALE_AFTER,
        capacity=capacity,
        monotonic=clocks.monotonic,
    )


@pytest.fixture
def recent(records: SqlApprovalRecords, clocks: Clocks) -> RecentEndings:
    recent = recent_endings(records, clocks)
    recent.poll()
    return recent


def objection(
    recent: RecentEndings,
    since: int,
    subscriber: bytes = ANNA,
    application: str = BANK,
    purpose: str = FRAUD,
    *,
    consent_counts: bool = True,
) -> Reason | None:
    return recent.objection(lambda: subscriber, application, purpose, since, consent_counts=consent_counts)


def cannot_be_told(recent: RecentEndings, since: int) -> bool:
    with pytest.raises(Refusal) as refused:
        objection(recent, since)
    refusal = refused.value
    return (refusal.kind, refusal.reason, refusal.retry_after) == (Kind.UNAVAILABLE, Reason.STALE_REGISTRY, 1)


class Slow:
    """A database that takes its time."""

    def __init__(self, records: SqlApprovalRecords, clocks: Clocks, seconds: float) -> None:
        self.endings = records.endings
        self._records, self._clocks, self._seconds = records, clocks, seconds

    def change(self) -> int:
        change = self._records.change()
        self._clocks.pass_by(self._seconds)
        return change


def test_a_poll_that_hangs_makes_memory_no_fresher_than_it_is(records: SqlApprovalRecords, clocks: Clocks) -> None:
    recent = recent_endings(Slow(records, clocks, 20), clocks)
    recent.poll()
    clocks.pass_by(STALE_AFTER - 20 - 0.001)
    assert objection(recent, START) is None
    clocks.pass_by(0.001)
    assert cannot_be_told(recent, START)


def test_before_anything_was_read_nothing_can_be_told(records: SqlApprovalRecords, clocks: Clocks) -> None:
    recent = recent_endings(records, clocks)
    assert not recent.fresh()
    assert cannot_be_told(recent, START)


def test_memory_that_is_not_fresh_is_not_relied_on(recent: RecentEndings, clocks: Clocks) -> None:
    clocks.pass_by(STALE_AFTER - 0.001)
    assert recent.fresh()
    assert objection(recent, clocks.wall) is None
    clocks.pass_by(0.001)
    assert not recent.fresh()
    assert cannot_be_told(recent, clocks.wall)
    recent.poll()
    assert objection(recent, clocks.wall) is None


def test_nobody_is_looked_for_where_nothing_ended(recent: RecentEndings) -> None:
    def asked() -> bytes:
        raise AssertionError

    assert recent.objection(asked, BANK, FRAUD, START, consent_counts=True) is None


def test_a_withdrawal_kills_every_grant_while_it_stands(
    records: SqlApprovalRecords, recent: RecentEndings, clocks: Clocks
) -> None:
    records.record(GIVE)
    issued = clocks.pass_by(1)
    clocks.pass_by(1)
    records.record(WITHDRAW)
    assert objection(recent, issued) is None
    recent.poll()
    # By clocks that differ, one may even seem to be younger.
    assert objection(recent, issued) is objection(recent, clocks.wall + 5_000) is Reason.CONSENT_WITHDRAWN
    assert objection(recent, issued, subscriber=BERT) is None
    assert objection(recent, issued, application=SHOP) is None
    assert objection(recent, issued, purpose=ADS) is None
    assert objection(recent, issued, purpose="") is Reason.CONSENT_WITHDRAWN  # an external issuer need not say
    assert objection(recent, issued, application=SHOP, purpose="") is None
    assert objection(recent, issued, consent_counts=False) is None


def test_consent_given_anew_leaves_older_grants_dead(
    records: SqlApprovalRecords, recent: RecentEndings, clocks: Clocks
) -> None:
    for statement in (GIVE, WITHDRAW):
        records.record(statement)
    anew = clocks.pass_by(1)
    records.record(GIVE)
    recent.poll()
    assert objection(recent, anew - 1) is Reason.CONSENT_WITHDRAWN
    assert objection(recent, anew) is None


def test_consent_for_less_leaves_older_grants_dead(
    records: SqlApprovalRecords, recent: RecentEndings, clocks: Clocks
) -> None:
    records.record(GIVE._replace(scopes=frozenset({VERIFY, READ})))
    less = clocks.pass_by(1)
    records.record(GIVE)
    clocks.pass_by(1)
    records.record(GIVE._replace(expires=clocks.wall + 1))
    recent.poll()
    assert objection(recent, less - 1) is Reason.CONSENT_WITHDRAWN
    assert objection(recent, less) is None


@pytest.mark.parametrize("purpose", [FRAUD, ALL])
@pytest.mark.parametrize("application", [BANK, ALL])
def test_an_opt_out_kills_what_it_was_meant_for(
    records: SqlApprovalRecords, recent: RecentEndings, clocks: Clocks, application: str, purpose: str
) -> None:
    opt_out = OPT_OUT._replace(application=application, purpose=purpose)
    records.record(opt_out)
    recent.poll()
    later = clocks.pass_by(1)
    assert objection(recent, later, consent_counts=False) is Reason.OPTED_OUT
    assert objection(recent, later, application=SHOP) is (Reason.OPTED_OUT if application == ALL else None)
    assert objection(recent, later, purpose=ADS) is (Reason.OPTED_OUT if purpose == ALL else None)
    assert objection(recent, later, purpose="") is Reason.OPTED_OUT
    assert objection(recent, later, subscriber=BERT) is None
    records.record(opt_out._replace(action=Action.OPTED_IN))
    recent.poll()
    assert objection(recent, later - 1) is Reason.OPTED_OUT
    assert objection(recent, later) is None


def test_endings_are_forgotten_when_no_grant_can_be_that_old(
    records: SqlApprovalRecords, recent: RecentEndings, clocks: Clocks
) -> None:
    records.record(OPT_OUT)
    recent.poll()
    clocks.pass_by(400)
    recent.poll()
    assert objection(recent, START) is Reason.OPTED_OUT
    clocks.pass_by(0.001)
    recent.poll()
    assert objection(recent, START) is None


def test_what_came_in_again_is_kept_from_then_on(
    records: SqlApprovalRecords, recent: RecentEndings, clocks: Clocks
) -> None:
    for _ in range(2):
        records.record(OPT_OUT)
        recent.poll()
        clocks.pass_by(300)
    recent.poll()
    assert objection(recent, START) is Reason.OPTED_OUT
    clocks.pass_by(101)
    recent.poll()
    assert objection(recent, START) is None


def test_who_starts_later_reads_the_last_minutes(records: SqlApprovalRecords, clocks: Clocks) -> None:
    records.record(OPT_OUT)
    clocks.pass_by(400)
    records.record(OPT_OUT._replace(subscriber=BERT))
    started = recent_endings(records, clocks)
    started.poll()
    assert objection(started, clocks.wall) is objection(started, clocks.wall, BERT) is Reason.OPTED_OUT
    clocks.pass_by(61)
    started = recent_endings(records, clocks)
    started.poll()
    assert objection(started, clocks.wall) is None
    assert objection(started, clocks.wall, BERT) is Reason.OPTED_OUT


def test_what_a_slow_clock_recorded_is_not_missed(engine: Engine, recent: RecentEndings, clocks: Clocks) -> None:
    clocks.pass_by(3600)
    slow = SqlApprovalRecords(engine, lambda: START)
    slow.record(OPT_OUT)
    slow.close()
    recent.poll()
    assert objection(recent, clocks.wall) is Reason.OPTED_OUT


def test_more_than_can_be_kept_is_no_reason_to_let_anything_through(
    records: SqlApprovalRecords, clocks: Clocks
) -> None:
    recent = recent_endings(records, clocks, capacity=3)
    recent.poll()
    for number in range(4):
        records.record(OPT_OUT._replace(subscriber=bytes([number]) * 16))
    issued = clocks.pass_by(1)
    recent.poll()
    assert cannot_be_told(recent, issued)
    # A second of difference between clocks is allowed for.
    assert cannot_be_told(recent, issued + 1_000)
    assert objection(recent, issued + 1_001) is None
    records.record(OPT_OUT)
    recent.poll()
    assert objection(recent, issued + 1_001) is Reason.OPTED_OUT


def test_more_than_can_be_kept_at_the_start(records: SqlApprovalRecords, clocks: Clocks) -> None:
    for number in range(4):
        records.record(OPT_OUT._replace(subscriber=bytes([number]) * 16))
    recent = recent_endings(records, clocks, capacity=3)
    recent.poll()
    assert cannot_be_told(recent, clocks.wall)
    assert objection(recent, clocks.wall + 1_001) is None


def test_as_many_as_can_be_kept(records: SqlApprovalRecords, clocks: Clocks) -> None:
    recent = recent_endings(records, clocks, capacity=3)
    recent.poll()
    for number in range(3):
        records.record(OPT_OUT._replace(subscriber=bytes([number]) * 16))
        recent.poll()
    assert all(objection(recent, START, bytes([number]) * 16) is Reason.OPTED_OUT for number in range(3))


def test_a_database_that_lost_writes_lets_no_older_grant_through(databases: Databases, clocks: Clocks) -> None:
    class FailingOver:
        def __init__(self, records: list[SqlApprovalRecords]) -> None:
            self.records = records
            self.change = lambda: self.records[0].change()
            self.endings = lambda *arguments: self.records[0].endings(*arguments)

    both = [SqlApprovalRecords(open_database(databases()), clocks.now) for _ in range(2)]
    source = FailingOver(both)
    recent = recent_endings(source, clocks)
    for records, times in zip(both, (2, 1), strict=True):
        for _ in range(times):
            records.record(OPT_OUT._replace(subscriber=BERT))
    recent.poll()
    assert objection(recent, clocks.wall) is None
    source.records = both[1:]
    recent.poll()
    assert cannot_be_told(recent, clocks.wall)
    assert objection(recent, clocks.wall + 1_001) is None
    assert objection(recent, clocks.wall + 1_001, BERT) is Reason.OPTED_OUT
    for records in both:
        records.close()


def test_polling_outlives_a_database_that_is_away(
    engine: Engine, records: SqlApprovalRecords, clocks: Clocks, capfd: pytest.CaptureFixture[str]
) -> None:
    recent = recent_endings(records, clocks)
    recent.start()
    try:
        assert recent.fresh()
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE change_counter RENAME TO away"))
        logged: list[str] = []
        wait_until(lambda: logged.append(capfd.readouterr().err) or "approvals_poll_failed" in "".join(logged))
        clocks.pass_by(STALE_AFTER)
        assert cannot_be_told(recent, clocks.wall)
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO change_counter"))
        wait_until(recent.fresh)
        assert objection(recent, clocks.wall) is None
    finally:
        recent.stop()
