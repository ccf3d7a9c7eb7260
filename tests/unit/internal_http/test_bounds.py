"""Clients that are slow, many or silent."""

import select
import socket
from contextlib import ExitStack

import pytest

from number_verification.internal_http.server import InternalHttpServer
from number_verification.listener_settings import InternalSettings
from unit.internal_http.serving import BODY_TO_COME, ROOT, TOKEN, Listener, application, everything, listening, status


def connected(listener: Listener, stack: ExitStack, content: bytes = b"") -> socket.socket:
    raw = stack.enter_context(socket.create_connection((listener.address.host, listener.address.port), timeout=30))
    raw.sendall(content)
    return raw


@pytest.mark.parametrize(
    ("begun", "expected"), [(b"GET / HT", 408), (b"GET / HTTP/1.1\r\nA", 408), (BODY_TO_COME, 400)]
)
def test_slow_clients_are_cut_off(begun: bytes, expected: int) -> None:
    with listening(patience=0.3) as listener, ExitStack() as stack:
        assert status(everything(connected(listener, stack, begun))) == expected


def test_a_byte_now_and_then_does_not_help() -> None:
    """A timeout of the socket, which each byte begins anew, would let it go on for ever."""
    with listening(patience=0.5) as listener, ExitStack() as stack:
        raw = connected(listener, stack, b"GET / HTTP/1.1\r\nA: ")
        raw.settimeout(0.05)
        answer = b""
        for _ in range(400):
            try:
                raw.sendall(b"a")
                answer = raw.recv(4096)
                break
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_who_says_nothing_holds_no_thread() -> None:
    with listening(threads=1) as listener, ExitStack() as stack:
        for _ in range(20):
            connected(listener, stack)
        assert listener.ask("GET", f"{ROOT}/acme")[0].status == 200


def test_who_says_nothing_is_forgotten() -> None:
    with listening(idle=0.2) as listener, ExitStack() as stack:
        assert everything(connected(listener, stack)) == b""


def test_too_many_are_turned_away_at_once() -> None:
    with listening(threads=1, max_waiting=1) as listener, ExitStack() as stack:
        request = f"GET {ROOT}/held-up HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n".encode()
        first = connected(listener, stack, request)
        listener.registry.reached.acquire()
        others = [connected(listener, stack, request) for _ in range(3)]
        # One of them waits for the thread; which, is the kernel's business.
        told: list[socket.socket] = []
        while len(told) < 2:
            told, _, _ = select.select(others, [], [], 10)
        for raw in told:
            answer = everything(raw)
            assert status(answer) == 503
            assert b"Retry-After: 1" in answer
        (waiting,) = (raw for raw in others if raw not in told)
        listener.registry.may_go.set()
        assert b"200 OK" in everything(first)
        assert b"200 OK" in everything(waiting)


def test_a_client_that_hangs_up_does_no_harm() -> None:
    with listening(threads=1) as listener, ExitStack() as stack:
        for content in (b"", b"GET", BODY_TO_COME, BODY_TO_COME + b"}"):
            connected(listener, stack, content).close()
        assert listener.ask("GET", f"{ROOT}/acme")[0].status == 200


def test_workers_share_the_port() -> None:
    with listening() as listener:
        other = InternalHttpServer(InternalSettings(threads=1), listener.address, application(listener.registry))
        other.start()
        try:
            assert {listener.ask("GET", f"{ROOT}/a")[0].status for _ in range(20)} == {200}
        finally:
            other.stop(1)
        assert {listener.ask("GET", f"{ROOT}/a")[0].status for _ in range(20)} == {200}
