"""Unary gRPC calls by grpcio's own client, so many in flight over several channels."""

from __future__ import annotations  # the stubs' classes are generic, grpc's own are not

import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import grpc

from bench.measure import Sample, cpu_seconds

_CHANNELS = 4
_IN_FLIGHT = 64
_PATIENCE_SECONDS = 60


class Calls(NamedTuple):
    """One run of the generator."""

    address: str
    path: str
    """The method's."""
    calls: Sequence[tuple[str, bytes]]
    """Token and message of each."""
    warm_up: int
    """How many of the calls go before the measured ones."""
    processes: Sequence[int]
    """The server's processes."""
    proof: bytes
    """What every answer must be."""


def run(load: Calls) -> Sample:
    """Make the calls.

    Raises:
        ConnectionError: an answer was not what it must be, or did not come.
    """
    # A subchannel pool of its own gives each channel a connection of its own.
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(load.address, options) for _ in range(_CHANNELS)]
    methods = [channel.unary_unary(load.path, None, None) for channel in channels]
    try:
        _Exchange(methods, load.proof, load.calls[: load.warm_up]).run()
        cpu, started = cpu_seconds(load.processes), time.perf_counter()
        _Exchange(methods, load.proof, load.calls[load.warm_up :]).run()
        seconds = time.perf_counter() - started
        return Sample(len(load.calls) - load.warm_up, seconds, cpu_seconds(load.processes) - cpu)
    finally:
        for channel in channels:
            channel.close()


class _Exchange:
    """So many calls in flight, until every one has ended."""

    def __init__(self, methods: Sequence[Any], proof: bytes, calls: Sequence[tuple[str, bytes]]) -> None:
        self._methods = methods
        self._proof = proof
        self._calls = iter(calls)
        self._left = len(calls)
        self._lock = threading.Lock()
        self._finished = threading.Event()
        self._fault = ""

    def run(self) -> None:
        for index in range(_IN_FLIGHT):
            self._call(self._methods[index % len(self._methods)])
        if self._left and not self._finished.wait(_PATIENCE_SECONDS):
            raise ConnectionError("the server does not answer any more")
        if self._fault:
            raise ConnectionError(self._fault)

    def _call(self, method: Any) -> None:
        with self._lock:
            token, message = next(self._calls, ("", b""))
        if token:
            call = method.future(message, metadata=(("authorization", f"Bearer {token}"),))
            call.add_done_callback(lambda ended: self._ended(method, ended))

    def _ended(self, method: Any, call: Any) -> None:
        if call.code() is not grpc.StatusCode.OK:
            self._fault = f"a call ended with {call.code()}"
        elif call.result() != self._proof:
            self._fault = "an answer was not what it must be"
        with self._lock:
            self._left -= 1
            if not self._left or self._fault:
                self._finished.set()
        if not self._fault:
            self._call(method)
