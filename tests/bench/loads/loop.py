"""A closed loop: so many requests in flight, the next one sent when an answer comes.

Runs in a process of its own, where it reads the server's CPU clocks right before and after what it measures.
"""

import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
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

    connect: Callable[[], Connection]
    connections: int
    in_flight: int
    """Requests in flight on each connection."""
    requests: Sequence[bytes]
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
    """To the measured requests, in no particular order."""


def run(load: Load) -> Measured:
    """Send the requests.

    Raises:
        ConnectionError: an answer was not what it must be, or did not come.
    """
    connections = [load.connect() for _ in range(load.connections)]
    try:
        _exchange(connections, load.in_flight, load.requests[: load.warm_up], load.proof)
        cpu, started = cpu_seconds(load.processes), time.perf_counter()
        answers = _exchange(connections, load.in_flight, load.requests[load.warm_up :], load.proof)
        seconds = time.perf_counter() - started
        cpu = cpu_seconds(load.processes) - cpu
    finally:
        for connection in connections:
            connection.socket.close()
    return Measured(Sample(len(answers), seconds, cpu), answers)


def _exchange(
    connections: Sequence[Connection], in_flight: int, requests: Sequence[bytes], proof: bytes
) -> list[bytes]:
    waiting = iter(requests)
    answers: list[bytes] = []
    silences = 0
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        for _ in range(in_flight):
            for connection in connections:
                for request in islice(waiting, 1):
                    connection.submit(request)
        while len(answers) < len(requests):
            ready = selector.select(_SILENCE_SECONDS)
            silences = 0 if ready else silences + 1
            if silences:
                _wake(connections, silences)
            for key, _ in ready:
                _serve(key.data, waiting, answers, proof)
    return answers


def _serve(connection: Connection, waiting: Iterator[bytes], answers: list[bytes], proof: bytes) -> None:
    data = connection.socket.recv(_RECEIVE_BYTES)
    if not data:
        raise ConnectionError("the server closed the connection")
    for answer in connection.received(data):
        if proof not in answer:
            raise ConnectionError(f"an answer was not what it must be: {answer[:60]!r}")
        answers.append(answer)
        for request in islice(waiting, 1):
            connection.submit(request)


def _wake(connections: Sequence[Connection], silences: int) -> None:
    if silences > _PATIENCE:
        raise ConnectionError("the server does not answer any more")
    for connection in connections:
        connection.again()
