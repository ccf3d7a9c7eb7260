"""(f) Whether a subscriber agrees, among few and among very many approvals, and while others are being recorded."""

import multiprocessing
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path

from bench.context import Context
from bench.measure import Sample, in_turn, microseconds, rate, ratio, running_on, spread
from bench.processes import STRIDE
from bench.report import Report, Row, at_most, of, thousands
from number_verification.domain import clock
from number_verification.domain.application import Application, Flow, LegalBasis
from number_verification.domain.approval_records import SUBSCRIBER_BYTES, Action, Ending, Statement
from number_verification.domain.clock import Milliseconds
from number_verification.domain.session import Subscriber
from number_verification.registry.approval_records import SqlApprovalRecords
from number_verification.registry.approval_schema import CONSENT
from number_verification.registry.approvals import SqlApprovals
from number_verification.registry.database import migrate, open_database
from number_verification.registry.recent_endings import CAPACITY, RecentEndings
from number_verification.registry.subscriber_hash import subscriber_hash

FEW = 10_000
MICROSECONDS = 50
"""What a look-up among the most of them may cost."""

MICROSECONDS_AT_A_CALL = 5
"""What a call may cost more (the whole of the access check)."""

WRITES_A_SECOND = 100

_APPLICATION = "organizations/first-bank/applications/banking-app"
_PURPOSE = "dpv:FraudPreventionAndDetection"
_SCOPES = ("number-verification:device-phone-number:read", "number-verification:verify")
_BARE = (
    "SELECT scopes, given, expires, withdrawn FROM approvals"
    " WHERE subscriber = ? AND application = ? AND purpose = ? AND kind = ?"
)
_CAPTION = (
    "In process, from a phone number to the decision, on SQLite: the number's hash, one statement that finds consent "
    "and opt-outs, the rule. Beside it, one row by its primary key with sqlite3 alone. Every look-up is of "
    "another subscriber, in no order. Files are in the page cache."
)
_CAPTION_CALL = (
    "In process: withdrawals and opt-outs of the last minutes, in memory. The number is hashed only if there are any."
)
_CAPTION_WRITING = (
    "One thread looks up and another process records withdrawals, one commit each. Time on the clock, the machine's "
    "other work included, within which 999 of 1000 look-ups were answered."
)


def measure(context: Context) -> list[Report]:
    """Look-ups at both sizes, bare ones, and look-ups beside a writer."""
    many = context.sessions[1] * 10
    paths = {number: context.directory / f"approvals-{number}.db" for number in (FEW, many)}
    for number, path in paths.items():
        _fill(path, number)
    times = context.requests * 4
    with _approvals(paths[FEW], FEW) as few, _approvals(paths[many], many) as most:
        bare = sqlite3.connect(paths[many])
        with closing(bare), running_on(context.cores.server):
            samples = in_turn(
                context.rounds,
                {
                    "most": lambda: _decide(most, many, times),
                    "few": lambda: _decide(few, FEW, times),
                    "bare": lambda: _bare(bare, many, times),
                },
            )
            quiet = [_slow(most, many, times) for _ in range(context.rounds)]
            with _writing(paths[many], context.cores.load):
                disturbed = [_slow(most, many, times) for _ in range(context.rounds)]
    rows = [
        Row(
            f"among {thousands(many)}",
            of(microseconds(samples["most"]), 1),
            thousands(rate(samples["most"]).median),
            against,
            of(microseconds(samples[name]), 1),
            of(ratio(samples["most"], samples[name]), 2),
            at_most(microseconds(samples["most"]).median, MICROSECONDS, "{} µs"),
        )
        for name, against in (("few", f"among {thousands(FEW)}"), ("bare", "bare sqlite3 by primary key"))
    ]
    writing = Row(
        f"beside {WRITES_A_SECOND} writes a second",
        of(spread(disturbed)),
        baseline="beside none",
        baseline_value=of(spread(quiet)),
    )
    return [
        Report("(f) Whether a subscriber agrees, by approvals on record", "CPU µs", rows, _CAPTION),
        Report("(f) Whether a subscriber agrees, while others are recorded", "µs", [writing], _CAPTION_WRITING),
        Report("(f) Whether a grant was withdrawn, at a call", "CPU µs", [_at_a_call(context)], _CAPTION_CALL),
    ]


def _at_a_call(context: Context) -> Row:
    with running_on(context.cores.server):
        samples = in_turn(
            context.rounds,
            {str(number): partial(_look, _remembering(number), context.requests * 10) for number in (CAPACITY, 0)},
        )
    full, empty = samples[str(CAPACITY)], samples["0"]
    return Row(
        f"{thousands(CAPACITY)} in memory",
        of(microseconds(full), 2),
        thousands(rate(full).median),
        "none in memory",
        of(microseconds(empty), 2),
        reach=at_most(microseconds(full).median, MICROSECONDS_AT_A_CALL, "{} µs"),
    )


class _Endings:
    """As many as are wanted."""

    def __init__(self, number: int) -> None:
        self._number = number

    def change(self) -> int:
        return self._number

    def endings(self, after: int, until: int, recorded_from: Milliseconds, limit: int) -> Sequence[Ending]:
        return [
            Ending(Action.WITHDRAWN, _subscriber(index, until), _APPLICATION, _PURPOSE, recorded_from)
            for index in range(after, until)
        ]


def _remembering(number: int) -> SqlApprovals:
    recent = RecentEndings(_Endings(number), clock=clock.now, poll_interval=1, stale_after=3_600)
    recent.poll()
    # The records are not asked at a call.
    records = SqlApprovalRecords(open_database("sqlite:////nowhere"), clock.now)
    return SqlApprovals(records, recent, subscriber_hash(b"k" * 32))


def _look(approvals: SqlApprovals, times: int) -> Sample:
    application, now = _application(), clock.now()
    wanted = [f"+990{index:09d}" for index in range(times)]
    started, cpu = time.perf_counter(), time.process_time()
    dead = sum(approvals.withdrawal(each, application, _PURPOSE, now) is not None for each in wanted)
    sample = Sample(times, time.perf_counter() - started, time.process_time() - cpu)
    if dead:
        raise RuntimeError(f"{dead} grants were taken for dead")
    return sample


def _subscriber(index: int, number: int) -> bytes:
    """One of `number` subscribers: in the order of the table, and spread as hashes are."""
    return (index * ((1 << 8 * SUBSCRIBER_BYTES) // number) + index * 2_654_435_761).to_bytes(SUBSCRIBER_BYTES, "big")


def _fill(path: Path, number: int) -> None:
    engine = open_database(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    now, scopes = clock.now(), " ".join(_SCOPES)
    rows = (
        (_subscriber(index, number), _APPLICATION, _PURPOSE, CONSENT, index, scopes, now, 0, 0)
        for index in range(number)
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "BEGIN"):
            connection.execute(statement)
        connection.executemany("INSERT INTO approvals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        connection.execute("COMMIT")


@contextmanager
def _approvals(path: Path, number: int) -> Iterator[SqlApprovals]:
    engine = open_database(f"sqlite:///{path}")
    records = SqlApprovalRecords(engine, clock.now)
    hashed = subscriber_hash(b"k" * 32)

    def known(phone_number: str) -> bytes:
        # The hash is made for its cost; whose approval there is, the table says.
        hashed(phone_number)
        return _subscriber(int(phone_number), number)

    yield SqlApprovals(records, RecentEndings(records, clock=clock.now, poll_interval=1, stale_after=1), known)
    records.close()
    engine.dispose()


def _application() -> Application:
    return Application(
        client_id="bench",
        name=_APPLICATION,
        customer="organizations/first-bank",
        channel_partner="",
        jwks={},
        jwks_uri="",
        redirect_uris=frozenset(),
        flows=frozenset({Flow.AUTHORIZATION_CODE}),
        scopes=frozenset({_PURPOSE, *_SCOPES}),
        legal_bases={_PURPOSE: LegalBasis.CONSENT},
    )


def _asking(
    approvals: SqlApprovals, number: int, times: int
) -> tuple[Callable[[Subscriber], object], Sequence[Subscriber]]:
    application, scopes, now = _application(), frozenset({"openid", _PURPOSE, *_SCOPES}), clock.now()
    return (
        lambda subscriber: approvals.objection(subscriber, application, _PURPOSE, scopes, now),
        [Subscriber("", str(index * STRIDE % number)) for index in range(times)],
    )


def _decide(approvals: SqlApprovals, number: int, times: int) -> Sample:
    ask, wanted = _asking(approvals, number, times)
    started, cpu = time.perf_counter(), time.process_time()
    refused = sum(ask(each) is not None for each in wanted)
    sample = Sample(times, time.perf_counter() - started, time.process_time() - cpu)
    if refused:
        raise RuntimeError(f"{refused} subscribers were not found to agree")
    return sample


def _bare(connection: sqlite3.Connection, number: int, times: int) -> Sample:
    wanted = [_subscriber(index * STRIDE % number, number) for index in range(times)]
    started, cpu = time.perf_counter(), time.process_time()
    found = sum(len(connection.execute(_BARE, (each, _APPLICATION, _PURPOSE, CONSENT)).fetchall()) for each in wanted)
    sample = Sample(times, time.perf_counter() - started, time.process_time() - cpu)
    if found != times:
        raise RuntimeError(f"only {found} rows were found")
    return sample


def _slow(approvals: SqlApprovals, number: int, times: int) -> float:
    """Microseconds on the clock within which 999 of 1000 look-ups were answered."""
    ask, wanted = _asking(approvals, number, times)
    taken = []
    for each in wanted:
        started = time.perf_counter()
        ask(each)
        taken.append(time.perf_counter() - started)
    return sorted(taken)[len(taken) * 999 // 1000] * 1e6


@contextmanager
def _writing(path: Path, chosen: frozenset[int]) -> Iterator[None]:
    spawn = multiprocessing.get_context("spawn")
    begun, enough = spawn.Event(), spawn.Event()
    writer = spawn.Process(target=_write, args=(path, begun, enough))
    with running_on(chosen):
        writer.start()
    try:
        if not begun.wait(60):
            raise RuntimeError("the writer does not write")
        yield
    finally:
        enough.set()
        writer.join()


def _write(path: Path, begun: Event, enough: Event) -> None:
    engine = open_database(f"sqlite:///{path}")
    records = SqlApprovalRecords(engine, clock.now)
    statement = Statement(Action.OPTED_OUT, b"", _APPLICATION, "", "bench")
    serial = 0
    while not enough.wait(1 / WRITES_A_SECOND):
        serial += 1
        records.record(statement._replace(subscriber=b"writer" + serial.to_bytes(10, "big")))
        begun.set()
    records.close()
    engine.dispose()
