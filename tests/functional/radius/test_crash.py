"""A process that dies under load has recorded all that it answered."""

import multiprocessing
import socket
import time
from pathlib import Path

from functional.radius.serving import MAP_SIZE, serve_until_killed
from number_verification.domain.session import SessionKey
from number_verification.sessions.lmdb import LmdbSessionStore
from unit.sessions.feeds.radius.packets import is_answer_to, request, session

WINDOW = 200
"""Packets on their way at once: fewer than there are identifiers, so that each answer is told from the others."""


def answered_until_killed(path: Path, round_number: int, answers: int) -> set[str]:
    """Start a listener, feed it, kill it after so many answers. Returns the sessions that were answered."""
    spawn = multiprocessing.get_context("spawn")
    parent, child = spawn.Pipe()
    process = spawn.Process(target=serve_until_killed, args=(path, child))
    process.start()
    answered: set[str] = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            assert parent.poll(20), "the listener did not start"
            sock.connect(("127.0.0.1", parent.recv()))
            sock.settimeout(5)
            on_the_way: dict[int, tuple[str, bytes]] = {}
            number = 0

            def send(identifier: int) -> None:
                nonlocal number
                number += 1
                name = f"{round_number}-{number}"
                timestamp = int(time.time())
                attributes = session(session_id=name.encode(), timestamp=timestamp, address=number.to_bytes(4, "big"))
                on_the_way[identifier] = name, request(attributes, identifier=identifier)
                sock.send(on_the_way[identifier][1])

            def take() -> None:
                answer = sock.recv(4096)
                name, datagram = on_the_way.pop(answer[1])
                assert is_answer_to(datagram, answer)
                answered.add(name)

            for identifier in range(WINDOW):
                send(identifier)
            while len(answered) < answers:
                take()
                send(next(n for n in range(256) if n not in on_the_way))
        finally:
            process.kill()
            process.join(10)
        sock.setblocking(False)
        while True:
            try:
                take()
            except OSError:
                return answered


def test_kill_under_load_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """Invariant 2, with a real death. With the answers sent before `store.record`, sessions are missing here."""
    path = tmp_path / "sessions"
    path.mkdir()
    answered: set[str] = set()
    for round_number, answers in enumerate((300, 950, 1500)):
        answered |= answered_until_killed(path, round_number, answers)
    store = LmdbSessionStore(path, MAP_SIZE)
    try:
        missing = [name for name in answered if store.session(SessionKey("core/pgw-1", name)) is None]
    finally:
        store.close()
    assert len(answered) >= 2_750
    assert not missing
