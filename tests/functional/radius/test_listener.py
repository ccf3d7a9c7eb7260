"""What is answered, when, and what is not. Real sockets, the real store."""

import logging
import random
import socket
import time
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from functional.radius.serving import Serving, serving
from number_verification.domain.attribution import AttributionPolicy, LiveSession, attribute
from number_verification.domain.clock import HOUR, SECOND, now
from number_verification.domain.faults import StoreFull, StoreUnavailable
from number_verification.domain.refusal import Reason
from number_verification.domain.session import Ipv4Address, SessionEvent, SessionKey
from number_verification.sessions.feeds.radius.clients import RadiusClient, RadiusClients
from number_verification.sessions.feeds.radius.listener import open_socket
from unit.sessions.feeds.radius import packets
from unit.sessions.feeds.radius.packets import (
    INTERIM,
    PHONE_NUMBER,
    SECRET,
    START,
    STOP,
    integer,
    is_answer_to,
    port_range,
    request,
    signed_request,
    status_server,
)
from unit.sessions.feeds.radius.packets import (
    attribute as raw_attribute,
)

ADDRESS = Ipv4Address("", b"\x0a\0\0\x01")
POLICY = AttributionPolicy(apns=frozenset({"internet"}))


def session(status: int = START, *, session_id: bytes = b"session-1", delay: int = 0, more: bytes = b"") -> bytes:
    return packets.session(status, session_id=session_id, timestamp=int(time.time()), delay=delay, more=more)


def key(session_id: str = "session-1") -> SessionKey:
    return SessionKey("core/pgw-1", session_id)


def resolve(feed: Serving) -> LiveSession | Reason:
    return attribute(feed.store.sightings(ADDRESS), POLICY, now())


def test_nothing_is_answered_before_it_is_recorded(feed: Serving) -> None:
    """Invariant 2. With the answers sent before `store.record` in the listener, `has_answer` is true here."""
    with feed.gateway() as gateway:
        feed.store.go_on.clear()
        gateway.send(request(session()))
        feed.wait_for(lambda: bool(feed.store.batches))
        assert not gateway.has_answer()
        feed.store.go_on.set()
        gateway.receive()
        assert feed.store.session(key()) is not None


@pytest.mark.parametrize("fault", [StoreFull("no room"), StoreUnavailable("no disk"), RuntimeError("a bug")])
def test_a_store_that_fails_means_silence_and_the_retry_succeeds(feed: Serving, fault: Exception) -> None:
    with feed.gateway() as gateway:
        datagram = request(session())
        feed.store.fault = lambda _: fault
        for attempt in (1, 2):
            gateway.send(datagram)
            feed.wait_for(lambda attempt=attempt: feed.outcomes["store_failed"] == attempt)  # type: ignore[misc]
        feed.store.fault = lambda _: None
        gateway.ask(datagram)
        assert not gateway.has_answer()
        assert feed.store.session(key()) is not None
        assert feed.outcomes == {"store_failed": 2, "recorded": 1}


def test_a_server_that_cannot_record_does_not_claim_to_be_alive(feed: Serving) -> None:
    with feed.gateway() as gateway:
        feed.store.fault = lambda _: StoreUnavailable("no disk")
        gateway.send(request(session()))
        feed.wait_for(lambda: feed.outcomes["store_failed"] == 1)
        gateway.send(status_server(identifier=1))
        feed.wait_for(lambda: feed.outcomes["store_failed"] == 2)
        feed.store.fault = lambda _: None
        gateway.ask(status_server(identifier=2))
        assert not gateway.has_answer()


def test_an_event_that_the_store_chokes_on_does_not_lose_its_neighbours(feed: Serving) -> None:
    def fault(events: object) -> Exception | None:
        assert isinstance(events, list)
        poisoned = any(isinstance(event, SessionEvent) and event.key.session_id == "poison" for event in events)
        return ValueError("poison") if poisoned else None

    names = [b"session-%d" % n for n in range(20)]
    with feed.gateway() as gateway:
        feed.store.go_on.clear()
        feed.store.fault = fault
        gateway.send(request(session(session_id=b"first"), identifier=100))
        feed.wait_for(lambda: bool(feed.store.batches))
        for n, name in enumerate([*names[:7], b"poison", *names[7:]]):
            gateway.send(request(session(session_id=name), identifier=n))
        feed.store.go_on.set()
        answered = {gateway.receive()[1] for _ in range(21)}
        assert answered == {100, *range(21)} - {7}
        assert not gateway.has_answer()
        assert len(feed.store.batches[1]) == 21
        for name in names:
            assert feed.store.session(key(name.decode())) is not None


def test_what_comes_meanwhile_is_recorded_at_once(feed: Serving) -> None:
    with feed.gateway() as gateway:
        feed.store.go_on.clear()
        gateway.send(request(session(session_id=b"first"), identifier=255))
        feed.wait_for(lambda: bool(feed.store.batches))
        for n in range(100):
            gateway.send(request(session(session_id=b"%d" % n), identifier=n))
        feed.store.go_on.set()
        assert {gateway.receive()[1] for _ in range(101)} == {255, *range(100)}
        assert [len(batch) for batch in feed.store.batches] == [1, 100]


def test_a_packet_sent_again_is_answered_again_and_recorded_once(feed: Serving) -> None:
    with feed.gateway() as gateway:
        datagram = request(session(more=raw_attribute(33, b"state")))
        first = gateway.ask(datagram)
        assert [gateway.ask(datagram) for _ in range(3)] == [first] * 3
        assert len(feed.store.batches) == 1
        assert feed.outcomes == {"recorded": 1, "duplicate": 3}


def test_a_packet_sent_again_while_it_is_recorded_is_recorded_once(feed: Serving) -> None:
    with feed.gateway() as gateway:
        feed.store.go_on.clear()
        gateway.send(request(session(session_id=b"first"), identifier=1))
        feed.wait_for(lambda: bool(feed.store.batches))
        for _ in range(5):
            gateway.send(request(session(), identifier=2))
        feed.store.go_on.set()
        assert [gateway.receive()[1] for _ in range(2)] == [1, 2]
        gateway.ask(status_server())
        assert feed.outcomes == {"recorded": 2, "duplicate": 4, "status_server": 1}


def test_the_same_packet_from_another_port_is_another_packet(feed: Serving) -> None:
    datagram = request(session())
    with feed.gateway() as one, feed.gateway() as other:
        one.ask(datagram)
        other.ask(datagram)
    assert feed.outcomes["recorded"] == 2


def test_a_retry_with_another_delay_changes_nothing(feed: Serving) -> None:
    with feed.gateway() as gateway:
        attributes = session()
        gateway.ask(request(attributes, identifier=1))
        before = feed.store.session(key())
        gateway.ask(request(attributes.replace(integer(41, 0), integer(41, 3)), identifier=2))
        after = feed.store.session(key())
        assert before is not None
        assert after == before._replace(first_seen=before.first_seen // SECOND * SECOND)
        assert isinstance(resolve(feed), LiveSession)


def test_a_captured_start_does_not_revive_a_session(tmp_path: Path) -> None:
    start = request(session())
    with serving(tmp_path / "sessions") as feed, feed.gateway() as gateway:
        gateway.ask(start)
        gateway.ask(request(session(STOP)))
        assert resolve(feed) is Reason.SESSION_ENDED
    # Another process has no memory of what was answered.
    with serving(tmp_path / "sessions") as feed, feed.gateway() as gateway:
        gateway.ask(start)
        gateway.ask(request(session(INTERIM)))
        assert resolve(feed) is Reason.SESSION_ENDED


@pytest.mark.parametrize(
    ("outcome", "datagram"),
    [
        ("bad_authenticator", request(packets.session(), secret=b"x" * 32)),
        ("bad_authenticator", signed_request(packets.session(), secret=b"x" * 32)),
        ("bad_authenticator", status_server(secret=b"x" * 32)),
        ("bad_authenticator", b"\x0c\x01\x00\x14" + b"r" * 16),
        ("malformed", b""),
        ("malformed", b"\x04"),
        ("malformed", b"\x04\x01\x00\x13" + bytes(16)),
        ("malformed", b"\x04\x01\xff\xff" + bytes(16)),
        ("malformed", request(b"\x2c\x00")),
        ("malformed", request(b"\x2c\x01")),
        ("malformed", request(b"\x2c\x05x")),
        ("malformed", request(b"")),
        ("ignored_code", request(packets.session(), code=1)),
        ("ignored_code", request(packets.session(), code=5)),
        ("no_timestamp", request(packets.session(timestamp=None))),
        ("out_of_window", request(packets.session(timestamp=int(time.time()) - 86_500))),
        ("out_of_window", request(packets.session(timestamp=int(time.time()) + 400))),
    ],
)
def test_what_gets_no_answer(feed: Serving, outcome: str, datagram: bytes) -> None:
    with feed.gateway() as gateway:
        gateway.gets_no_answer(datagram)
        assert feed.outcomes == {outcome: 1, "status_server": 1}
        assert not feed.store.batches
        gateway.ask(request(session()))


def test_a_stranger_gets_no_answer(feed: Serving) -> None:
    with feed.gateway("127.0.0.3") as stranger, feed.gateway() as gateway:
        stranger.send(request(session()))
        gateway.ask(status_server())
        assert not stranger.has_answer()
        assert feed.outcomes == {"unknown_client": 1, "status_server": 1}


def test_the_secret_is_that_of_the_source_address(tmp_path: Path) -> None:
    clients = RadiusClients(
        [
            RadiusClient("core", ip_network("127.0.0.0/8"), SECRET),
            RadiusClient("special", ip_network("127.0.0.9/32"), b"another"),
        ]
    )
    with serving(tmp_path / "sessions", clients=clients) as feed, feed.gateway("127.0.0.9") as gateway:
        gateway.send(request(session()))
        datagram = request(session(), secret=b"another")
        gateway.send(datagram)
        assert is_answer_to(datagram, gateway.receive(), secret=b"another")
        assert feed.outcomes == {"bad_authenticator": 1, "recorded": 1}
        assert feed.store.session(SessionKey("special/pgw-1", "session-1")) is not None


def test_a_client_may_be_let_off_the_timestamp(feed: Serving) -> None:
    with feed.gateway("127.0.0.2") as gateway:
        gateway.ask(request(packets.session(timestamp=None)))
    assert feed.store.session(SessionKey("lenient/pgw-1", "session-1")) is not None


def test_a_status_type_without_effect_is_answered(feed: Serving) -> None:
    with feed.gateway() as gateway:
        gateway.ask(request(session(15)))
        assert feed.outcomes == {"recorded": 1}
        assert not feed.store.batches


def test_port_blocks(feed: Serving) -> None:
    block = raw_attribute(3, b"\xcb\0\x71\x07") + integer(9, 40000) + integer(10, 40127)
    with feed.gateway() as gateway:
        gateway.ask(request(session(more=port_range(block, integer(8, 1)))))
        (record,) = feed.store.port_blocks(b"\xcb\0\x71\x07", 40001)
        assert record.allocated is not None
        assert record.allocated.value == ADDRESS
        gateway.ask(request(session(INTERIM, more=port_range(block, integer(8, 2)))))
        (record,) = feed.store.port_blocks(b"\xcb\0\x71\x07", 40001)
        assert record.released >= record.allocated.time  # type: ignore[union-attr]


def test_over_ipv6(tmp_path: Path) -> None:
    with serving(tmp_path / "sessions", open_socket("::1", 0)) as feed, feed.gateway("::1") as gateway:
        datagram = request(session())
        assert gateway.ask(datagram) == gateway.ask(datagram)
        assert feed.store.session(SessionKey("six/pgw-1", "session-1")) is not None


def test_a_flood_of_rubbish_leaves_no_trace(feed: Serving) -> None:
    noise = random.Random(5)  # noqa: S311 - the same rubbish every time
    with feed.gateway() as gateway:
        for _ in range(2_000):
            datagram = bytearray(request(session(), identifier=noise.randrange(256)))
            for _ in range(noise.randrange(1, 4)):
                datagram[noise.randrange(len(datagram))] ^= noise.randrange(1, 256)
            gateway.send(bytes(datagram))
        gateway.ask(request(session()))
        assert not gateway.has_answer()
        assert sum(feed.outcomes.values()) == feed.outcomes.total()
        assert set(feed.outcomes) <= {"bad_authenticator", "malformed", "ignored_code", "recorded"}
        assert len(feed.store.batches) == 1


class FullSocket(socket.socket):
    """Has no room for the first answer."""

    refused = 0

    def sendto(self, data: bytes, address: Any) -> int:  # type: ignore[override]
        self.refused += 1
        if self.refused == 1:
            raise BlockingIOError
        return super().sendto(data, address)


def test_an_answer_that_cannot_be_sent_is_kept_for_the_retry(tmp_path: Path) -> None:
    bound = FullSocket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    with serving(tmp_path / "sessions", bound) as feed, feed.gateway() as gateway:
        gateway.send(request(session()))
        feed.wait_for(lambda: bound.refused == 1)
        gateway.ask(request(session()))
        assert not gateway.has_answer()


def test_a_gateway_that_is_gone_is_no_trouble(feed: Serving) -> None:
    with feed.gateway() as gone:
        feed.store.go_on.clear()
        gone.send(request(session()))
        feed.wait_for(lambda: bool(feed.store.batches))
    feed.store.go_on.set()
    with feed.gateway() as gateway:
        gateway.ask(request(session()))
        gateway.ask(status_server())


def test_a_clock_that_is_wrong_means_silence_until_it_is_right(tmp_path: Path) -> None:
    wrong_by = [0]
    with (
        serving(tmp_path / "sessions", clock=lambda: now() + wrong_by[0], purge_interval=HOUR) as feed,
        feed.gateway() as gateway,
    ):
        for n, wrong_by[0] in enumerate((-HOUR, 25 * HOUR, -now())):
            gateway.send(request(session(), identifier=n))
            feed.wait_for(lambda n=n: feed.outcomes["out_of_window"] == n + 1)  # type: ignore[misc]
        wrong_by[0] = 0
        gateway.ask(request(session()))
        assert not gateway.has_answer()


def test_what_is_old_is_forgotten_and_cannot_come_back(tmp_path: Path) -> None:
    later = [0]
    with (
        serving(
            tmp_path / "sessions",
            clock=lambda: now() + later[0],
            max_event_age=HOUR,
            retention=2 * HOUR,
            purge_interval=5,
        ) as feed,
        feed.gateway() as gateway,
    ):
        start, stop = request(session(), identifier=1), request(session(STOP), identifier=2)
        gateway.ask(start)
        gateway.ask(stop)
        later[0] = HOUR + 5 * SECOND
        with feed.gateway() as replayer:
            replayer.gets_no_answer(start)
        assert feed.outcomes["out_of_window"] == 1
        assert feed.store.session(key()) is not None
        later[0] = 2 * HOUR + 5 * SECOND
        feed.wait_for(lambda: feed.store.session(key()) is None)


def test_sessions_must_be_remembered_longer_than_events_are_believed(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="remembered for longer"),
        serving(tmp_path / "sessions", max_event_age=HOUR, retention=HOUR),
    ):
        raise AssertionError


def test_the_log_names_no_subscriber_and_does_not_grow_with_every_packet(
    feed: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(events: object) -> Exception:
        return ValueError(PHONE_NUMBER, events)

    feed.store.fault = fault
    with caplog.at_level(logging.DEBUG), feed.gateway() as gateway:
        for n in range(50):
            gateway.send(request(session(session_id=b"%d" % n), identifier=n))
        feed.wait_for(lambda: feed.outcomes["store_failed"] == 50)
    assert len(caplog.records) == 1
    assert PHONE_NUMBER[1:] not in caplog.text


def test_a_realm_that_cannot_be_found_out_for_a_bug_costs_one_packet(tmp_path: Path) -> None:
    with serving(tmp_path / "sessions", ip_domain=lambda *_: 1 // 0) as feed, feed.gateway() as gateway:
        gateway.gets_no_answer(request(session()))
        assert feed.outcomes["malformed"] == 1


def test_an_address_in_use_is_refused() -> None:
    with open_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            open_socket("127.0.0.1", port)


def test_processes_can_share_a_port() -> None:
    with open_socket("127.0.0.1", 0, reuse_port=True) as one:
        port = one.getsockname()[1]
        with open_socket("127.0.0.1", port, reuse_port=True) as other:
            assert other.getsockname() == one.getsockname()
            assert other.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > 100_000


def test_a_batch_has_a_bound(tmp_path: Path) -> None:
    with serving(tmp_path / "sessions", batch_size=10) as feed, feed.gateway() as gateway:
        feed.store.go_on.clear()
        gateway.send(request(session(session_id=b"first"), identifier=255))
        feed.wait_for(lambda: bool(feed.store.batches))
        for n in range(35):
            gateway.send(request(session(session_id=b"%d" % n), identifier=n))
        feed.store.go_on.set()
        for _ in range(36):
            gateway.receive()
        assert [len(batch) for batch in feed.store.batches] == [1, 10, 10, 10, 5]
