"""The servers that are measured: the service's sandbox, and the bare ones it is compared with."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from bench import population
from bench.bare import envoy
from bench.measure import Cores, process_tree, running_on
from number_verification.authorization import reference_tokens
from number_verification.domain import clock
from number_verification.domain.attribution import AttributionPolicy
from number_verification.domain.clock import SECOND
from number_verification.domain.grant import AccessGrant, AuthenticationMethod, SessionAnchor
from number_verification.domain.location import still_there
from number_verification.domain.refusal import Reason
from number_verification.domain.session import Ipv4Address
from number_verification.onetime.lmdb import LmdbOneTimeStore
from number_verification.sandbox.devices import APN
from number_verification.sandbox.onboarding import SCOPES
from number_verification.sandbox.run import DESCRIPTION
from number_verification.sessions.lmdb import LmdbSessionStore

LOOPBACK = "127.0.0.1"
SESSION_BYTES, ONE_TIME_BYTES = 1024 << 20, 64 << 20
"""The map sizes of the sandbox's stores: every process must open them with the same."""

STRIDE = 7_654_321
"""A prime: stepping by it visits every subscriber, in no order of theirs."""

_POLICY = AttributionPolicy(apns=frozenset({APN}))
_PATIENCE_SECONDS = 60
_SCRIPT = Path(sys.executable).parent / "number-verification"


class Server(NamedTuple):
    """A server that listens on loopback."""

    port: int
    processes: Sequence[int]
    """All that it runs in."""


class Permit(NamedTuple):
    """What one call needs."""

    token: str
    phone_number: str


class Service:
    """The sandbox, and tokens for it that no call was measured to obtain."""

    def __init__(self, data_dir: Path, processes: Sequence[int]) -> None:
        self.description = json.loads((data_dir / DESCRIPTION).read_text())
        self.processes = processes
        self.http, self.grpc, self.radius = (
            (LOOPBACK, int(text.rpartition(":")[2]))
            for text in (self.description["api_root"], self.description["grpc"], self.description["radius"]["address"])
        )
        self._sessions = LmdbSessionStore(data_dir / "sessions", SESSION_BYTES)
        self._one_time = LmdbOneTimeStore(data_dir / "one-time", ONE_TIME_BYTES, clock.now)

    def permits(self, number: int, sessions: int) -> list[Permit]:
        """Fresh access tokens for subscribers in turn, put straight into the store that the service takes them from.

        Args:
            number: how many.
            sessions: how many sessions of the population the service knows.
        """
        return [self._permit(index * STRIDE % sessions) for index in range(number)]

    def _permit(self, serial: int) -> Permit:
        address, now = Ipv4Address("", population.address(serial)), clock.now()
        found = still_there(address, self._sessions, _POLICY, now)
        if isinstance(found, Reason):
            raise LookupError(f"subscriber {serial} has no session: {found}")  # noqa: TRY004 - it is no fault of typing
        session = found.sessions[0]
        client = self.description["clients"][0]
        grant = AccessGrant(
            client_id=client["client_id"],
            scopes=frozenset(SCOPES),
            purpose=next(scope for scope in SCOPES if scope.startswith("dpv:")),
            method=AuthenticationMethod.NETWORK,
            authenticated_at=now,
            issued_at=now,
            expires_at=now + 300 * SECOND,
            anchor=SessionAnchor(session.key, session.began, found.subscriber, address),
            application=client["application"],
            customer=client["customer"],
        )
        return Permit(reference_tokens.issue(grant, self._one_time), population.phone_number(serial))

    def close(self) -> None:
        """Release the stores."""
        self._sessions.close()
        self._one_time.close()


@contextmanager
def service(data_dir: Path, cores: Cores, sessions: int) -> Iterator[Service]:
    """The sandbox on the server's core, with so many sessions. Its log goes to a file of the data directory."""
    population.fill(data_dir / "sessions", SESSION_BYTES, sessions)
    command = [str(_SCRIPT), "sandbox", "--data-dir", str(data_dir)]
    for listener in ("http", "grpc", "radius", "admin"):
        command += [f"--{listener}", f"{LOOPBACK}:0"]
    with (data_dir / "log").open("wb") as log, _running(command, cores, log) as process:
        _wait_until((data_dir / DESCRIPTION).exists, process)
        started = Service(data_dir, process_tree(process.pid))
        try:
            yield started
        finally:
            started.close()


@contextmanager
def bare(name: str, cores: Cores, *arguments: str, answers_tcp: bool = True) -> Iterator[Server]:
    """One of the servers of `bench.bare` on the server's core."""
    port = _free_port()
    with _running([sys.executable, "-m", f"bench.bare.{name}", str(port), *arguments], cores) as process:
        if answers_tcp:
            _wait_until(lambda: _accepts(port), process)
        yield Server(port, process_tree(process.pid))


@contextmanager
def transcoder(directory: Path, cores: Cores, grpc_port: int) -> Iterator[Server]:
    """Envoy on the server's core."""
    port = _free_port()
    with _running(envoy.command(directory, port, grpc_port), cores) as process:
        _wait_until(lambda: _accepts(port), process)
        yield Server(port, process_tree(process.pid))


@contextmanager
def _running(command: Sequence[str], cores: Cores, log: IO[bytes] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    with running_on(cores.server):
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_PATIENCE_SECONDS)


def _wait_until(is_ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not start")
        time.sleep(0.02)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
