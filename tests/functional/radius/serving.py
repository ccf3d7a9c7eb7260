"""A listener at work for the tests: in a thread beside a store that can be steered, or in a process to be killed."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_network
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from number_verification.domain.clock import now
from number_verification.domain.session import Event
from number_verification.sessions.feeds.radius.clients import RadiusClient, RadiusClients
from number_verification.sessions.feeds.radius.listener import RadiusListener, open_socket
from number_verification.sessions.lmdb import LmdbSessionStore
from unit.sessions.feeds.radius.packets import SECRET, is_answer_to, status_server

MAP_SIZE = 64 * 1024 * 1024
WAIT_SECONDS = 5.0

CLIENTS = RadiusClients(
    [
        RadiusClient("core", ip_network("127.0.0.1/32"), SECRET),
        RadiusClient("lenient", ip_network("127.0.0.2/32"), SECRET, require_event_timestamp=False),
        RadiusClient("six", ip_network("::1/128"), SECRET),
    ]
)


class SteeredStore(LmdbSessionStore):
    """The real store, which a test can make wait or fail before it records."""

    def __init__(self, path: Path, map_size: int) -> None:
        super().__init__(path, map_size)
        self.fault: Callable[[Sequence[Event]], Exception | None] = lambda _: None
        self.go_on = threading.Event()
        self.go_on.set()
        self.batches: list[list[Event]] = []
        """What `record` was called with, noted before it does anything."""

    def record(self, events: Sequence[Event], received: int) -> None:
        self.batches.append(list(events))
        assert self.go_on.wait(WAIT_SECONDS)
        fault = self.fault(events)
        if fault is not None:
            raise fault
        super().record(events, received)

    def probe(self) -> None:
        fault = self.fault(())
        if fault is not None:
            raise fault
        super().probe()


class Serving:
    """A listener that serves, its store, and what it counted."""

    def __init__(self, store: SteeredStore, address: Any, outcomes: Counter[str]) -> None:
        self.store = store
        self.address = address
        self.outcomes = outcomes

    @contextmanager
    def gateway(self, host: str = "127.0.0.1") -> Iterator["Gateway"]:
        """A gateway that sends from an address of its own."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
            sock.connect(self.address[:2])
            sock.settimeout(WAIT_SECONDS)
            yield Gateway(sock)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; fail if it takes too long."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain; outcomes: {dict(self.outcomes)}"
            time.sleep(0.001)


class Gateway:
    """Sends packets and takes answers."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, datagram: bytes) -> None:
        self._sock.send(datagram)

    def receive(self) -> bytes:
        return self._sock.recv(4096)

    def ask(self, datagram: bytes) -> bytes:
        """Send a packet and take its answer, which must be a right one."""
        self.send(datagram)
        answer = self.receive()
        assert is_answer_to(datagram, answer)
        return answer

    def has_answer(self) -> bool:
        """Whether an answer is there already."""
        self._sock.setblocking(False)
        try:
            return bool(self._sock.recv(4096))
        except BlockingIOError:
            return False
        finally:
            self._sock.settimeout(WAIT_SECONDS)

    def gets_no_answer(self, datagram: bytes) -> None:
        """Send a packet that must not be answered, and one that must: its answer has to come first."""
        self.send(datagram)
        self.ask(status_server(identifier=250))
        assert not self.has_answer()


@contextmanager
def serving(
    path: Path, bound: socket.socket | None = None, clients: RadiusClients = CLIENTS, **options: Any
) -> Iterator[Serving]:
    """A listener in a thread. On leaving it must stop by itself."""
    path.mkdir(exist_ok=True)
    store = SteeredStore(path, MAP_SIZE)
    outcomes: Counter[str] = Counter()
    with bound or open_socket("127.0.0.1", 0) as sock:
        listener = RadiusListener(
            sock,
            clients,
            store,
            count=lambda outcome, number: outcomes.update({outcome: number}),
            **{"ip_domain": lambda *_: ""} | options,
        )
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            yield Serving(store, sock.getsockname(), outcomes)
        finally:
            store.go_on.set()
            listener.stop()
            thread.join(WAIT_SECONDS)
            store.close()
    assert not thread.is_alive()


def serve_until_killed(path: Path, ready: Connection) -> None:
    """A listener in a process of its own. Sends its port when it is ready."""
    with open_socket("127.0.0.1", 0) as sock:
        store = LmdbSessionStore(path, MAP_SIZE)
        listener = RadiusListener(
            sock, CLIENTS, store, ip_domain=lambda *_: "", count=lambda *_: None, clock=now, batch_size=50
        )
        ready.send(sock.getsockname()[1])
        listener.serve_forever()
