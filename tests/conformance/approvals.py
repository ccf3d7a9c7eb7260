"""What every record of approvals must do. A test module of each engine subclasses the suite and gives `databases`."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from threading import Barrier
from typing import TypeAlias

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import update

from conformance.databases import Databases
from functional.load import wait_until
from number_verification.domain.approval import ALL, Consent, OptOut
from number_verification.domain.approval_records import (
    Action,
    ApprovalRecords,
    Ending,
    NothingRecorded,
    RequestIdUsed,
    Statement,
)
from number_verification.domain.clock import now
from number_verification.domain.refusal import Reason
from number_verification.registry.approval_records import SqlApprovalRecords
from number_verification.registry.approval_schema import events
from number_verification.registry.database import open_database, reading, writing
from number_verification.registry.recent_endings import RecentEndings
from number_verification.registry.schema import change_counter

Opener: TypeAlias = Callable[[], ApprovalRecords]
"""Opens the same record each time it is called, in whichever process, with the real clock. It can be pickled."""

ANNA, BERT = b"a" * 16, bytes(range(16))
BANK, SHOP = "organizations/first-bank/applications/banking-app", "organizations/shop/applications/shop-app"
FRAUD, ADS = "dpv:FraudPreventionAndDetection", "dpv:Advertising"
VERIFY, READ = "number-verification:verify", "number-verification:device-phone-number:read"
FOREVER = 4_000_000_000_000
REQUEST = "7b0c1b1e-0c5f-4a52-9a5d-6a2f0d6e3c11"

GIVE = Statement(Action.GIVEN, ANNA, BANK, FRAUD, "desk", frozenset({VERIFY}), evidence="said so")
WITHDRAW = Statement(Action.WITHDRAWN, ANNA, BANK, FRAUD, "desk")
OPT_OUT = Statement(Action.OPTED_OUT, ANNA, ALL, ALL, "desk")
OPT_IN = OPT_OUT._replace(action=Action.OPTED_IN)


def opened(url: str) -> ApprovalRecords:
    return SqlApprovalRecords(open_database(url), now)


@contextmanager
def writing_in(url: str) -> Iterator[None]:
    with writing(open_database(url)) as connection:
        connection.execute(update(change_counter).values(value=change_counter.c.value + 1))
        yield


def in_another_process(target: Callable[..., None], *arguments: object) -> multiprocessing.process.BaseProcess:
    child = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    child.start()
    return child


def record_all(opener: Opener, statements: list[Statement]) -> None:
    records = opener()
    for statement in statements:
        records.record(statement)
    records.close()


def record_and_die(opener: Opener, statement: Statement) -> None:
    opener().record(statement)
    os.kill(os.getpid(), signal.SIGKILL)


class ApprovalRecordsSuite:
    @pytest.fixture
    def url(self, databases: Databases) -> str:
        return databases()

    @pytest.fixture
    def opener(self, url: str) -> Opener:
        return partial(opened, url)

    @pytest.fixture
    def records(self, opener: Opener) -> Iterator[ApprovalRecords]:
        records = opener()
        yield records
        records.close()

    def test_migrations_make_the_tables_that_the_code_works_with(self, url: str) -> None:
        with reading(open_database(url)) as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, events.metadata) == []

    def test_nothing_is_on_record_at_first(self, records: ApprovalRecords) -> None:
        assert list(records.concerning(ANNA, BANK, FRAUD)) == []
        assert list(records.entries(ANNA, 0, 10)) == []
        assert records.change() == 0
        assert list(records.endings(0, 10, 0, 10)) == []

    def test_consent_that_was_given_is_on_record(self, records: ApprovalRecords) -> None:
        before = now()
        entry = records.record(GIVE._replace(expires=FOREVER))
        assert before <= entry.recorded <= now()
        assert entry.standing == (frozenset({VERIFY}), entry.recorded, FOREVER, 0)
        assert list(records.concerning(ANNA, BANK, FRAUD)) == [
            Consent(BANK, FRAUD, frozenset({VERIFY}), entry.recorded, FOREVER)
        ]
        for other in ((BERT, BANK, FRAUD), (ANNA, SHOP, FRAUD), (ANNA, BANK, ADS)):
            assert list(records.concerning(*other)) == []

    def test_consent_given_anew_takes_the_place_of_the_old(self, records: ApprovalRecords) -> None:
        records.record(GIVE._replace(expires=FOREVER))
        entry = records.record(GIVE._replace(scopes=frozenset({VERIFY, READ})))
        assert list(records.concerning(ANNA, BANK, FRAUD)) == [
            Consent(BANK, FRAUD, frozenset({VERIFY, READ}), entry.recorded)
        ]

    def test_consent_that_was_withdrawn_stays_on_record_as_such(self, records: ApprovalRecords) -> None:
        given = records.record(GIVE)
        withdrawn = records.record(WITHDRAW)
        again = records.record(WITHDRAW)
        assert (given.change, withdrawn.change, again.change) == (1, 2, 3)
        assert withdrawn.standing == again.standing == given.standing._replace(withdrawn=withdrawn.recorded)
        [consent] = records.concerning(ANNA, BANK, FRAUD)
        assert isinstance(consent, Consent)
        assert consent.withdrawn == withdrawn.recorded

    def test_consent_can_be_given_after_it_was_withdrawn(self, records: ApprovalRecords) -> None:
        for statement in (GIVE, WITHDRAW):
            records.record(statement)
        entry = records.record(GIVE)
        assert list(records.concerning(ANNA, BANK, FRAUD)) == [
            Consent(BANK, FRAUD, frozenset({VERIFY}), entry.recorded)
        ]

    @pytest.mark.parametrize(
        "other",
        [
            WITHDRAW._replace(subscriber=BERT),
            WITHDRAW._replace(application=SHOP),
            WITHDRAW._replace(purpose=ADS),
            OPT_IN,
            OPT_IN._replace(application=BANK, purpose=FRAUD),
        ],
    )
    def test_what_is_not_there_cannot_be_withdrawn_or_lifted(self, records: ApprovalRecords, other: Statement) -> None:
        records.record(GIVE)
        with pytest.raises(NothingRecorded):
            records.record(other)
        assert records.change() == 1
        assert len(records.entries(other.subscriber, 0, 10)) == (other.subscriber == ANNA)

    @pytest.mark.parametrize("purpose", [FRAUD, ALL])
    @pytest.mark.parametrize("application", [BANK, ALL])
    def test_an_opt_out_concerns_what_it_was_meant_for(
        self, records: ApprovalRecords, application: str, purpose: str
    ) -> None:
        opt_out = OPT_OUT._replace(application=application, purpose=purpose)
        entry = records.record(opt_out)
        records.record(opt_out)
        expected = OptOut(application, purpose, entry.recorded)
        assert list(records.concerning(ANNA, BANK, FRAUD)) == [expected]
        assert list(records.concerning(ANNA, SHOP, FRAUD)) == ([expected] if application == ALL else [])
        assert list(records.concerning(ANNA, BANK, ADS)) == ([expected] if purpose == ALL else [])
        assert list(records.concerning(BERT, BANK, FRAUD)) == []

    def test_opting_in_lifts_exactly_what_was_opted_out_of(self, records: ApprovalRecords) -> None:
        narrow = OPT_OUT._replace(application=BANK, purpose=FRAUD)
        for statement in (OPT_OUT, narrow, GIVE, OPT_IN):
            records.record(statement)
        concerning = records.concerning(ANNA, BANK, FRAUD)
        assert {(type(each), each.application) for each in concerning} == {(OptOut, BANK), (Consent, BANK)}
        records.record(narrow._replace(action=Action.OPTED_IN))
        assert [type(each) for each in records.concerning(ANNA, BANK, FRAUD)] == [Consent]

    def test_giving_consent_lifts_no_opt_out(self, records: ApprovalRecords) -> None:
        for statement in (OPT_OUT._replace(application=BANK, purpose=FRAUD), GIVE):
            records.record(statement)
        assert {type(each) for each in records.concerning(ANNA, BANK, FRAUD)} == {OptOut, Consent}

    def test_the_history_tells_everything_in_order(self, records: ApprovalRecords) -> None:
        said = [GIVE, OPT_OUT, WITHDRAW._replace(evidence="call 17"), OPT_IN, GIVE._replace(expires=FOREVER)]
        for statement in said:
            records.record(GIVE._replace(subscriber=BERT))
            records.record(statement)
        entries = records.entries(ANNA, 0, 10)
        assert [entry.statement for entry in entries] == said
        assert [entry.change for entry in entries] == [2, 4, 6, 8, 10]
        assert [entry.current for entry in entries] == [False, False, False, False, True]
        assert all(earlier.recorded <= later.recorded for earlier, later in pairwise(entries))
        assert entries[2].standing == entries[0].standing._replace(withdrawn=entries[2].recorded)

    def test_the_history_comes_in_pages(self, records: ApprovalRecords) -> None:
        for statement in (GIVE, WITHDRAW, GIVE, OPT_OUT):
            records.record(statement)
        pages = [[entry.change for entry in records.entries(ANNA, after, 2)] for after in (0, 2, 4)]
        assert pages == [[1, 2], [3, 4], []]
        assert [entry.change for entry in records.entries(ANNA, 0, 10, current=True)] == [3, 4]
        assert [entry.change for entry in records.entries(ANNA, 3, 10, current=True)] == [4]

    def test_a_request_is_recorded_once(self, records: ApprovalRecords) -> None:
        first = records.record(GIVE._replace(request_id=REQUEST))
        records.record(WITHDRAW)
        again = records.record(GIVE._replace(request_id=REQUEST))
        assert again == first._replace(current=False)
        assert records.change() == 2
        assert records.record(GIVE._replace(request_id=REQUEST, recorded_by="shop")).change == 3

    @pytest.mark.parametrize(
        "other",
        [
            GIVE._replace(scopes=frozenset({READ})),
            GIVE._replace(expires=FOREVER),
            GIVE._replace(subscriber=BERT),
            GIVE._replace(evidence="else"),
            WITHDRAW,
        ],
    )
    def test_a_request_id_is_not_for_something_else(self, records: ApprovalRecords, other: Statement) -> None:
        records.record(GIVE._replace(request_id=REQUEST))
        with pytest.raises(RequestIdUsed):
            records.record(other._replace(request_id=REQUEST))
        assert records.change() == 1

    def test_a_request_that_comes_many_times_at_once_is_recorded_once(self, opener: Opener) -> None:
        records, line = opener(), Barrier(4)

        def run() -> int:
            line.wait()
            return records.record(GIVE._replace(request_id=REQUEST)).change

        with ThreadPoolExecutor(4) as pool:
            assert [future.result() for future in [pool.submit(run) for _ in range(4)]] == [1, 1, 1, 1]
        assert len(records.entries(ANNA, 0, 10)) == 1
        records.close()

    def test_what_ends_grants(self, records: ApprovalRecords) -> None:
        wide = GIVE._replace(scopes=frozenset({VERIFY, READ}))
        said = [wide, wide, GIVE, WITHDRAW, GIVE, OPT_OUT, OPT_IN, GIVE._replace(expires=FOREVER)]
        entries = [records.record(statement) for statement in said]
        ending = [entries[index] for index in (2, 3, 4, 5, 6)]
        expected = [
            Ending(e.statement.action, ANNA, e.statement.application, e.statement.purpose, e.recorded) for e in ending
        ]
        assert list(records.endings(0, records.change(), 0, 10)) == expected
        assert list(records.endings(3, 5, 0, 10)) == expected[1:3]
        assert list(records.endings(0, 8, 0, 2)) == expected[:2]
        assert list(records.endings(0, 8, now() + 60_000, 10)) == []

    def test_giving_and_withdrawing_at_once_leaves_one_of_both(self, opener: Opener, records: ApprovalRecords) -> None:
        records.record(GIVE)
        times = 40
        children = [in_another_process(record_all, opener, [statement] * times) for statement in (GIVE, WITHDRAW)]
        for child in children:
            child.join()
        assert [child.exitcode for child in children] == [0, 0]
        entries = records.entries(ANNA, 0, 1000)
        assert [entry.change for entry in entries] == list(range(1, 2 * times + 2))
        assert sum(entry.statement.action is Action.GIVEN for entry in entries) == times + 1
        [standing] = records.concerning(ANNA, BANK, FRAUD)
        assert standing == Consent(BANK, FRAUD, *entries[-1].standing)
        assert [entry.current for entry in entries] == [False] * (2 * times) + [True]

    def test_what_was_recorded_outlives_the_process(self, opener: Opener, records: ApprovalRecords) -> None:
        child = in_another_process(record_and_die, opener, GIVE)
        child.join()
        assert child.exitcode == -signal.SIGKILL
        assert len(records.concerning(ANNA, BANK, FRAUD)) == 1

    def test_a_writer_keeps_no_reader_waiting(self, records: ApprovalRecords, url: str) -> None:
        records.record(GIVE)
        with writing_in(url):
            # Would fail when the engine gives up waiting for the writer.
            assert len(records.concerning(ANNA, BANK, FRAUD)) == 1
            assert records.change() == 1
            assert len(records.entries(ANNA, 0, 10)) == 1
            assert list(records.endings(0, 1, 0, 10)) == []

    def test_a_withdrawal_reaches_other_processes(self, opener: Opener, records: ApprovalRecords) -> None:
        issued = records.record(GIVE).recorded
        recent = RecentEndings(records, clock=now, poll_interval=0.2, stale_after=60)

        def objection() -> Reason | None:
            return recent.objection(lambda: ANNA, BANK, FRAUD, issued, consent_counts=True)

        recent.start()
        try:
            assert objection() is None
            in_another_process(record_all, opener, [WITHDRAW]).join()
            wait_until(lambda: objection() is Reason.CONSENT_WITHDRAWN)
        finally:
            recent.stop()
