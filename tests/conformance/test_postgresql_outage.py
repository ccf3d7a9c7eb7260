"""A PostgreSQL that hangs, dies and comes back, and what its clients see of it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from conformance.databases import migrated, open_allowances, open_registry
from conformance.entities import customer
from conformance.registry import add
from number_verification.domain.application import Limits
from number_verification.domain.faults import StoreUnavailable
from number_verification.domain.onboarding.organization import Organization
from number_verification.registry import database
from number_verification.registry.database import open_database
from number_verification.registry.patience import PATIENCE_SECONDS
from postgresql import Postgresql, running_postgresql

LIMITS = Limits(daily_quota=1_000)
NOW = 1_800_000_000_000
BOUND = 2 * PATIENCE_SECONDS + 3 * database.WAIT_SECONDS
"""Seconds within which one is told: a connection is tried, a new one is made, and both time out."""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    """One of our own, for it is not left alone."""
    with running_postgresql() as started:
        yield started


@pytest.fixture(scope="module")
def url(server: Postgresql) -> str:
    return migrated(server.database())


def seconds_until_refused(ask: Callable[[], object]) -> float:
    before = time.monotonic()
    with pytest.raises(StoreUnavailable) as refused:
        ask()
    told = str(refused.value)
    assert told.startswith("registry: ")
    assert not any(word in told for word in ("SELECT", "UPDATE", "PGSQL", "postgres@"))
    return time.monotonic() - before


def why_refused(ask: Callable[[], object]) -> str:
    with pytest.raises(StoreUnavailable) as refused:
        ask()
    return str(refused.value)


def until_answered(ask: Callable[[], object]) -> None:
    """What is asked is answered in the end, by the same client."""
    deadline = time.monotonic() + 60
    while True:
        with suppress(StoreUnavailable):
            ask()
            return
        assert time.monotonic() < deadline, "the client did not find back"


def test_one_that_hangs_is_given_up(server: Postgresql, url: str) -> None:
    registry, allowances = open_registry(url), open_allowances(url)
    asked: tuple[Callable[[], object], ...] = (
        registry.change,
        registry.probe,
        lambda: allowances.spend("app", LIMITS, NOW),
    )
    # Connections in both pools, as after some time of service.
    for ask in asked:
        ask()
    server.pause()
    try:
        with ThreadPoolExecutor(len(asked)) as threads:
            assert max(threads.map(seconds_until_refused, asked)) < BOUND
    finally:
        server.resume()
    for ask in asked:
        until_answered(ask)


def test_more_threads_than_connections_while_it_hangs(server: Postgresql, url: str) -> None:
    allowances = open_allowances(url)
    crowd = 3 * database.CONNECTIONS

    def spend(number: int) -> object:
        return allowances.spend(f"app-{number}", LIMITS, NOW)

    with ThreadPoolExecutor(crowd) as threads:
        assert list(threads.map(spend, range(crowd))) == [None] * crowd
        server.pause()
        try:
            waited = threads.map(lambda number: seconds_until_refused(lambda: spend(number)), range(crowd))
            assert max(waited) < BOUND
        finally:
            server.resume()
        until_answered(lambda: spend(0))
        assert list(threads.map(spend, range(crowd))) == [None] * crowd


def test_while_it_hangs_only_one_waits(server: Postgresql, url: str) -> None:
    """The others are told before the one who waits is: threads that need nothing of it are not taken up by it."""
    registry = open_registry(url)
    crowd = 3 * database.CONNECTIONS
    server.pause()
    try:
        seconds_until_refused(registry.change)
        with ThreadPoolExecutor(crowd) as threads:
            for _ in range(3):
                told = list(threads.map(why_refused, [registry.change] * crowd))
                assert sum("a moment ago" not in why for why in told) <= 1
    finally:
        server.resume()
    until_answered(registry.change)
    with ThreadPoolExecutor(crowd) as threads:
        assert list(threads.map(lambda _: registry.change(), range(crowd))) == [registry.change()] * crowd


def test_the_default_isolation_of_the_server_does_not_matter(server: Postgresql) -> None:
    url = migrated(server.database())
    administrator(url, f"ALTER DATABASE {make_url(url).database} SET default_transaction_isolation = 'serializable'")
    first, second = open_registry(url), open_registry(url)
    with ThreadPoolExecutor(1) as threads:
        with first.writing() as writing:
            later = threads.submit(add, second, customer("organizations/later"))
            until_one_waits_for_a_lock(url)
            writing.add(customer("organizations/sooner"), NOW)
        later.result()
    assert [entity.name for entity in second.changes(1).entities] == ["organizations/later"]


def test_one_that_died_is_found_again(server: Postgresql, url: str) -> None:
    registry, allowances = open_registry(url), open_allowances(url)
    add(registry, customer())
    change = registry.change()
    assert allowances.spend("once", Limits(daily_quota=1), NOW) is None

    def die_while_writing() -> None:
        with registry.writing() as writing:
            writing.add(customer("organizations/half"), NOW)
            server.kill()
            writing.add(customer("organizations/other"), NOW)

    try:
        seconds_until_refused(die_while_writing)
        seconds_until_refused(registry.change)
        seconds_until_refused(lambda: allowances.spend("once", LIMITS, NOW))
    finally:
        server.start()
    assert registry.change() == change
    assert [entity.name for entity in registry.changes(change - 1).entities] == ["organizations/bank"]
    assert allowances.spend("once", Limits(daily_quota=1), NOW) is not None
    registry.probe()


def test_a_view_that_was_cut_does_not_spoil_its_connection(server: Postgresql, url: str) -> None:
    registry = open_registry(url)

    def cut_while_reading() -> None:
        with registry.reading() as reading:
            reading.find(Organization, "organizations/bank")
            administrator(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            reading.find(Organization, "organizations/bank")

    seconds_until_refused(cut_while_reading)
    # Views are read-only and writers are not, on whichever connection.
    for number in range(2 * database.CONNECTIONS):
        registry.change()
        add(registry, customer(f"organizations/after-{number:02}"))


def test_a_writer_that_waits_too_long_is_told(server: Postgresql, url: str) -> None:
    patient, other = open_registry(url), open_registry(url)
    with patient.writing() as writing:
        writing.page(Organization, limit=1)
        assert seconds_until_refused(other.probe) < BOUND
        # Whoever only reads does not wait.
        other.change()
    other.probe()


def test_a_password_is_told_to_nobody(server: Postgresql, url: str, tmp_path: Path) -> None:
    administrator(url, "CREATE ROLE locked LOGIN PASSWORD 'right-secret'")
    address = make_url(url).set(username="locked")
    for engine in (
        open_database(address.set(password="wrong-secret").render_as_string(hide_password=False)),
        open_database(address.render_as_string(), "wrong-secret"),
        open_database(address.set(database="nowhere").render_as_string(), "wrong-secret"),
    ):
        with pytest.raises(StoreUnavailable) as refused, database.reading(engine) as connection:
            connection.exec_driver_sql("SELECT 'wrong-secret' FROM nowhere")
        for told in (str(refused.value), repr(refused.value), repr(engine), repr(engine.url), str(engine.pool)):
            assert "secret" not in told
        assert refused.value.__suppress_context__


def administrator(url: str, statement: str) -> None:
    address = make_url(url)
    with psycopg.connect(
        host=str(address.query["host"]), user="postgres", dbname=address.database, autocommit=True
    ) as connection:
        connection.execute(statement.encode())


def until_one_waits_for_a_lock(url: str) -> None:
    address = make_url(url)
    with psycopg.connect(host=str(address.query["host"]), user="postgres", dbname=address.database) as connection:
        connection.autocommit = True
        query = b"SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        deadline = time.monotonic() + 60
        while connection.execute(query).fetchone() is None:
            assert time.monotonic() < deadline, "nobody waits"
