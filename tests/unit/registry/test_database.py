"""What is particular to the databases behind the registry. What both must do is in `tests/conformance`."""

import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from conformance.entities import application, customer, person
from conformance.registry import add
from number_verification.domain.application import Limits
from number_verification.domain.faults import StoreFull, StoreUnavailable
from number_verification.domain.onboarding.application import RegisteredApplication
from number_verification.registry import database
from number_verification.registry.allowances import SqlAllowances
from number_verification.registry.database import migrate, open_database, reading, writing
from number_verification.registry.sql import SqlRegistry

T = 1_800_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.sqlite"


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    opened = open_database(f"sqlite:///{path}")
    migrate(opened)
    yield opened
    opened.dispose()


class TestUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "",
            "secret",
            "sqlite://",
            "sqlite:///",
            "sqlite:///:memory:",
            "sqlite:///file:secret?mode=ro&uri=true",
            "sqlite+pysqlcipher://:secret@/secret",
            "postgresql://user:secret@host/secret",
            "postgresql+psycopg2://user:secret@host/secret",
            "mysql://user:secret@host/secret",
            "postgresql+psycopg://user:secret@host:port/secret",
        ],
    )
    def test_what_is_not_supported_is_refused_and_not_quoted(self, url: str) -> None:
        with pytest.raises(StoreUnavailable) as refused:
            open_database(url)
        assert "secret" not in str(refused.value)
        assert refused.value.__context__ is None or refused.value.__suppress_context__

    def test_a_password_is_not_shown(self) -> None:
        for opened in (
            open_database("postgresql+psycopg://user:secret@host/db"),
            open_database("postgresql+psycopg://user@host/db", "secret"),
        ):
            assert opened.url.password == "secret"
            assert "secret" not in f"{opened!r} {opened.url} {opened.url!r} {opened.pool!r}"


class TestFile:
    def test_nobody_else_may_read_it_at_any_instant(self, path: Path) -> None:
        """The system is asked with which modes the files were made, whatever the umask allows."""
        before = os.umask(0)
        try:
            opened = open_database(f"sqlite:///{path}")
            migrate(opened)
            with writing(opened) as connection:
                connection.exec_driver_sql("UPDATE change_counter SET value = 1")
            files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
            assert files == dict.fromkeys((path.name, f"{path.name}-wal", f"{path.name}-shm"), 0o600)
        finally:
            os.umask(before)

    def test_one_that_others_may_read_is_closed_to_them(self, path: Path) -> None:
        path.touch(0o644)
        with reading(open_database(f"sqlite:///{path}")):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_opened_again_the_locks_of_this_process_stay(self, engine: Engine, path: Path) -> None:
        """Closing a file gives up all locks that a process has on it (fcntl(2))."""
        with writing(engine) as connection:
            connection.exec_driver_sql("UPDATE change_counter SET value = 1")
            SqlRegistry(open_database(f"sqlite:///{path}")).change()
            script = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
            other = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, check=False)
            assert b"database is locked" in other.stderr

    @pytest.mark.parametrize("where", ["nowhere/registry.sqlite", "file/registry.sqlite", ""])
    def test_where_none_can_be_made_it_says_so(self, tmp_path: Path, where: str) -> None:
        (tmp_path / "file").touch()
        mode = tmp_path.stat().st_mode
        with pytest.raises(StoreUnavailable, match=f"registry: {tmp_path}.* (cannot be opened|is not a file)"):
            migrate(open_database(f"sqlite:///{tmp_path}/{where}"))
        assert tmp_path.stat().st_mode == mode

    @pytest.mark.parametrize("content", [b"not a database " * 100, b"SQLite format 3\0" + bytes(84) + b"?" * 5_000])
    def test_what_is_no_database_is_not_touched(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        with pytest.raises(StoreUnavailable, match=r"registry: SQLITE_(NOTADB|CORRUPT)"):
            migrate(open_database(f"sqlite:///{path}"))
        assert path.read_bytes() == content

    def test_only_what_must_survive_a_power_cut_is_synced(self, engine: Engine) -> None:
        """What is registered, and not what is spent; both use the same connections."""
        said: list[int] = []

        @event.listens_for(engine, "checkin")
        def note(connection: sqlite3.Connection, _: object) -> None:
            said.append(connection.execute("PRAGMA synchronous").fetchone()[0])

        registry, allowances = SqlRegistry(engine), SqlAllowances(engine)
        add(registry, customer())
        allowances.spend("app", Limits(), T)
        add(registry, application())
        assert said == [2, 1, 2]


class TestLocks:
    def test_a_writer_that_keeps_the_lock(self, engine: Engine, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
        other = SqlRegistry(open_database(f"sqlite:///{path}"))
        with SqlRegistry(engine).writing() as held:
            held.add(customer(), T)
            with pytest.raises(StoreUnavailable, match="SQLITE_BUSY"):
                other.probe()
            # Whoever reads does not wait.
            assert other.changes(0) == (0, [])
        other.probe()
        assert other.change() == 1

    def test_all_connections_in_use(self, engine: Engine, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(database, "WAIT_SECONDS", 0.05)
        opened = open_database(f"sqlite:///{path}")
        registry, allowances = SqlRegistry(opened), SqlAllowances(opened)
        with ExitStack() as views:
            for _ in range(database.CONNECTIONS):
                views.enter_context(registry.reading())
            for ask in (registry.change, lambda: allowances.spend("app", Limits(), T)):
                with pytest.raises(StoreUnavailable, match="connections are in use"):
                    ask()
        registry.change()
        assert allowances.spend("app", Limits(), T) is None

    def test_hundreds_of_threads(self, engine: Engine) -> None:
        allowances = SqlAllowances(engine)
        limits = Limits(daily_quota=250)
        with ThreadPoolExecutor(300) as threads:
            outcomes = list(threads.map(lambda _: allowances.spend("app", limits, T), range(300)))
        assert outcomes.count(None) == 250
        assert engine.pool.status().count("Connections in pool") == 1
        assert len(list(Path("/proc/self/fd").iterdir())) < 300


class TestLog:
    def test_it_does_not_grow_for_ever_while_others_read(self, engine: Engine, path: Path) -> None:
        registry, allowances = SqlRegistry(engine), SqlAllowances(engine)
        done = threading.Event()

        def poll() -> None:
            while not done.is_set():
                registry.change()

        pollers = [threading.Thread(target=poll) for _ in range(2)]
        for poller in pollers:
            poller.start()
        for number in range(6_000):
            allowances.spend(f"app-{number % 500}", Limits(), T)
        done.set()
        for poller in pollers:
            poller.join()
        # 6000 transactions of a page and more each would be some 25 MB.
        assert Path(f"{path}-wal").stat().st_size < 16 << 20


class TestNoRoom:
    @pytest.fixture
    def small(self, path: Path) -> Engine:
        """A database that may grow by a few pages: SQLite says the same of it as of a full disk."""
        migrate(open_database(f"sqlite:///{path}"))
        opened = open_database(f"sqlite:///{path}")
        event.listen(opened, "checkout", lambda connection, *_: connection.execute(f"PRAGMA max_page_count={room[0]}"))
        [[pages]] = sqlite3.connect(path).execute("PRAGMA page_count").fetchall()
        room = [pages + 20]
        event.listen(opened, "engine_disposed", lambda _: room.__setitem__(0, pages + 1_000))
        return opened

    def test_nothing_is_written_by_halves_and_more_room_is_enough(self, small: Engine) -> None:
        registry, allowances = SqlRegistry(small), SqlAllowances(small)
        add(registry, customer())
        added = self.fill(registry)
        assert added > 0
        change = registry.change()
        assert change == 1 + added
        with registry.reading() as view:
            stored = view.page(RegisteredApplication, limit=10_000)
        assert len(stored) == 10 * added
        with pytest.raises(StoreFull, match="registry: the disk is full"):
            self.spend_all(allowances)
        # What needs no room goes on.
        assert allowances.spend(f"{0:0250}", Limits(daily_quota=2), T) is None
        assert registry.change() == change
        small.dispose()
        self.add_ten(registry, added)
        assert registry.change() == change + 1
        assert allowances.spend("one more", Limits(), T) is None

    def fill(self, registry: SqlRegistry) -> int:
        """Add ten applications at a time. Returns how often that could be done."""
        for number in range(1_000):
            try:
                self.add_ten(registry, number)
            except StoreFull:
                return number
        raise AssertionError("it never got full")

    def spend_all(self, allowances: SqlAllowances) -> None:
        for number in range(10_000):
            allowances.spend(f"{number:0250}", Limits(), T)

    def add_ten(self, registry: SqlRegistry, number: int) -> None:
        names = [f"organizations/bank/applications/{number:03}-{one}" for one in range(10)]
        add(registry, *(application(name, client_id=name) for name in names))


class TestWriteError:
    def test_a_write_that_fails_is_told_and_leaves_nothing(self, engine: Engine, path: Path) -> None:
        """As on a file system that gives out errors, here by a limit to the size of files."""
        registry = SqlRegistry(engine)
        add(registry, customer())
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{path}-wal").stat().st_size + 5_000, limits[1]))
        try:
            with pytest.raises(StoreUnavailable, match=r"registry: (SQLITE_IOERR_WRITE|the disk is full)"):
                self.write_all(registry)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
        found = registry.changes(0)
        assert len(found.entities) == found.change
        add(registry, application())
        with reading(engine) as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"

    def write_all(self, registry: SqlRegistry) -> None:
        for number in range(100):
            add(registry, application(f"organizations/bank/applications/{number}", client_id=str(number)))


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("organizations", "kind = 'secret'"),
        ("organizations", "state = 'secret'"),
        ("people", """roles = '["secret"]'"""),
        ("people", "roles = '7'"),
        ("people", """jwks = '{"secret'"""),
    ],
)
def test_a_row_that_makes_no_sense(path: Path, engine: Engine, table: str, values: str) -> None:
    """As one that a newer version wrote: whoever keeps a copy is told so, and does not stumble."""
    registry = SqlRegistry(engine)
    add(registry, customer(), person())
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA ignore_check_constraints=ON")
        other.execute(f"UPDATE {table} SET {values}")  # noqa: S608
    with pytest.raises(StoreUnavailable) as told:
        registry.changes(0)
    assert str(told.value) == f"registry: a row of {table} cannot be read"
    assert told.value.__suppress_context__
