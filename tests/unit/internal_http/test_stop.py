"""A stop lets what runs finish, and nothing keep it from ending."""

import select
import socket
import threading
from contextlib import ExitStack, suppress

import pytest

from unit.internal_http.serving import BODY_TO_COME, ROOT, TOKEN, everything, listening

REQUEST = f"GET {ROOT}/held-up HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()


def accepts(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=10).close()
    except ConnectionRefusedError:
        return False
    return True


def is_closed(raw: socket.socket) -> bool:
    """Whether the other end closes the connection; waits for it."""
    with suppress(ConnectionResetError):
        everything(raw)
    return True


def test_what_runs_is_finished() -> None:
    with listening() as listener, ExitStack() as stack:
        address = (listener.address.host, listener.address.port)
        running = stack.enter_context(socket.create_connection(address, timeout=10))
        kept = stack.enter_context(socket.create_connection(address, timeout=10))
        running.sendall(REQUEST)
        listener.registry.reached.acquire()
        stopping = threading.Thread(target=listener.server.stop, args=(10,))
        stopping.start()
        # An idle connection is closed when the stop begins.
        assert everything(kept) == b""
        while accepts(address):
            pass
        listener.registry.may_go.set()
        answer = everything(running)
        stopping.join()
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"Connection: close" in answer


@pytest.mark.parametrize("begun", [b"GET /", BODY_TO_COME])
def test_slow_clients_do_not_hold_it_up(begun: bytes) -> None:
    """More of them than threads and places; each could go on for an hour."""
    with listening(threads=1, max_waiting=4, patience=3600, idle=3600) as listener, ExitStack() as stack:
        address = (listener.address.host, listener.address.port)
        slow = [stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(10)]
        for raw in slow:
            raw.sendall(begun)
        told: list[socket.socket] = []
        while len(told) < 5:  # one has the thread, four have places
            told, _, _ = select.select(slow, [], [], 10)
        stopping = threading.Thread(target=listener.server.stop, args=(0.5,), daemon=True)
        stopping.start()
        stopping.join(30)
        assert not stopping.is_alive()
        for raw in slow:
            assert is_closed(raw)
