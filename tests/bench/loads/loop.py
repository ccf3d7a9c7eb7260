"""A closed loop: so many requests in flight, the next one sent when an answer comes.

Runs in a process of its own, where it reads the server's CPU clocks right before and after what it measures.
"""

import selectors
import socket
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from bench.measure import Sample, cpu_seconds

_SILENCE_SECONDS = 1.0
_PATIENCE = 20
_RECEIVE_BYTES = 1 << 16


class Connection(Protocol):
    """One connection of the load generator."""

    socket: socket.socket

    def submit(self, request: bytes) -> None:
        """Send a request."""
        ...

    def received(self, data: bytes) -> list[bytes]:
        """The answers that are complete with these bytes.

        Raises:
            ConnectionError: the server broke the protocol or a call failed.
        """
        ...

    def again(self) -> None:
        """Nothing came for a second: send again what the protocol lets be sent again."""
        ...


class Load(NamedTuple):
    """One run of the generator."""

    connect: Sequence[Callable[[], Connection]]
    in_flight: int
    """Requests in flight on each connection."""
    requests: Sequence[bytes]
    """Each connection in turn sends one."""
    warm_up: int
    """How many of the requests go before the measured ones."""
    processes: Sequence[int]
    """The server's processes."""
    proof: bytes = b""
    """What every answer must hold."""


class Measured(NamedTuple):
    """What came of a run."""

    sample: Sample
    answers: list[bytes]
    """To the measured requests, in their order where the protocol keeps it."""


def run(load: Load) -> Measured:
    """Send the requests.

    Raises:
        ConnectionError: an answer was not what it must be, or did not come.
    """
    connections = [connect() for connect in load.connect]
    try:
        _Exchange(connections, load.requests[: load.warm_up], load.proof).run(load.in_flight)
        measured = _Exchange(connections, load.requests[load.warm_up :], load.proof)
        cpu, started = cpu_seconds(load.processes), time.perf_counter()
        measured.run(load.in_flight)
        seconds = time.perf_counter() - started
        cpu = cpu_seconds(load.processes) - cpu
    finally:
        for connection in connections:
            connection.socket.close()
    return Measured(Sample(len(measured.answers), seconds, cpu), measured.answers)


class _Exchange:
    """Requests over connections, until every one is answered. Each connection sends every n-th of them."""

    def __init__(self, connections: Sequence[Connection], requests: Sequence[bytes], proof: bytes) -> None:
        self._connections = connections
        self._requests = requests
        self._left = len(requests)
        self._proof = proof
        shares = [range(first, len(requests), len(connections)) for first in range(len(connections))]
        self._unsent = dict(zip(connections, map(iter, shares), strict=True))
        self._unanswered = dict(zip(connections, map(iter, shares), strict=True))
        self.answers = [b""] * len(requests)

    def run(self, in_flight: int) -> None:
        silences = 0
        with selectors.DefaultSelector() as selector:
            for connection in self._connections:
                selector.register(connection.socket, selectors.EVENT_READ, connection)
            for _ in range(in_flight):
                for connection in self._connections:
                    self._submit(connection)
            while self._left:
                ready = selector.select(_SILENCE_SECONDS)
                silences = 0 if ready else silences + 1
                if silences > _PATIENCE:
                    raise ConnectionError("the server does not answer any more")
                for key, _ in ready:
                    self._receive(key.data)
                for connection in self._connections if silences else ():
                    connection.again()

    def _submit(self, connection: Connection) -> None:
        index = next(self._unsent[connection], None)
        if index is not None:
            connection.submit(self._requests[index])

    def _receive(self, connection: Connection) -> None:
        data = connection.socket.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionError("the server closed the connection")
        for answer in connection.received(data):
            if self._proof not in answer:
                raise ConnectionError(f"an answer was not what it must be: {answer[:60]!r}")
            self.answers[next(self._unanswered[connection])] = answer
            self._left -= 1
            self._submit(connection)
