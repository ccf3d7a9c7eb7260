"""The RADIUS accounting listener: one socket, one thread, batches.

All that waits in the socket is read, recorded by one call of the store, and only then answered (invariant 2). The
store's cost of making things durable is thereby shared by as many packets as came while the last batch was written.
"""

import logging
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from number_verification.domain.clock import HOUR, MINUTE, SECOND, Clock, Milliseconds, now
from number_verification.domain.faults import StoreUnavailable
from number_verification.domain.session import Event
from number_verification.sessions.feeds.radius.accounting import Accounting, IpDomain
from number_verification.sessions.feeds.radius.clients import RadiusClients
from number_verification.sessions.feeds.radius.duplicates import RecentAnswers
from number_verification.sessions.feeds.radius.outcome import Dropped, Outcome
from number_verification.sessions.feeds.radius.packet import STATUS_SERVER, answer, read
from number_verification.sessions.store import SessionStore

Count: TypeAlias = Callable[[str, int], None]
"""Counts datagrams: the outcome (a value of `Outcome`), and how many more had it."""

_DATAGRAM_BYTES = 4096
_RECEIVE_BUFFER = 8 * 1024 * 1024
_STOP_WITHIN_SECONDS = 0.1
_LOG_INTERVAL_SECONDS = 10.0

_logger = logging.getLogger(__name__)


class _Reply(NamedTuple):
    """An answer that waits for its events to be on disk."""

    source: tuple[str, int]
    key: tuple[object, bytes]
    answer: bytes
    events: tuple[Event, ...]
    outcome: Outcome


def open_socket(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """A bound UDP socket with as large a receive buffer as the system gives: what comes while a batch is written waits.

    Args:
        host: an address of this machine. An unspecified one works only where the machine has no other: answers must
            come from the address that was asked, and the system picks one.
        port: 0 for any that is free.
        reuse_port: whether other processes may bind to the same port; the system then shares the gateways out.

    Raises:
        OSError: the address is in use, or none of this machine.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


class RadiusListener:
    """Feeds a session store from RADIUS accounting.

    A datagram that is not recorded is not answered, and the gateway sends it again (RFC 2866 §4.1).

    Args:
        sock: a bound UDP socket; its owner closes it.
        clients: who may feed.
        store: where the events go.
        ip_domain: names the address realm of a gateway and an APN.
        count: told what became of the datagrams.
        clock: wall-clock time.
        max_event_age: how old an event may be, in milliseconds.
        max_clock_skew: how far ahead an event may be, in milliseconds.
        retention: how long the store remembers what it was last told, in milliseconds; more than `max_event_age`, or a
            packet sent again could bring back what the store has forgotten.
        purge_interval: how often the store is told to forget, in milliseconds.
        purge_limit: how much it then forgets at most, so that feeding never waits for long.
        batch_size: how many datagrams are recorded at once at most.

    Raises:
        ValueError: the store would forget before events are too old.
    """

    def __init__(
        self,
        sock: socket.socket,
        clients: RadiusClients,
        store: SessionStore,
        *,
        ip_domain: IpDomain,
        count: Count,
        clock: Clock = now,
        max_event_age: Milliseconds = 24 * HOUR,
        max_clock_skew: Milliseconds = 5 * MINUTE,
        retention: Milliseconds = 48 * HOUR,
        purge_interval: Milliseconds = 1 * SECOND,
        purge_limit: int = 1_000,
        batch_size: int = 1_000,
    ) -> None:
        if retention <= max_event_age:
            raise ValueError("sessions must be remembered for longer than events are believed")
        self._sock = sock
        self._clients = clients
        self._store = store
        self._accounting = Accounting(ip_domain, max_event_age, max_clock_skew)
        self._count = count
        self._clock = clock
        self._retention = retention
        self._purge_interval = purge_interval / SECOND
        self._purge_limit = purge_limit
        self._batch_size = batch_size
        self._answered = RecentAnswers()
        self._outcomes: Counter[str] = Counter()
        self._store_failing = False
        self._next_purge = 0.0
        self._next_log: dict[str, float] = {}
        self._stopping = False

    def serve_forever(self) -> None:
        """Serve until `stop` is called. Nothing that comes in, and no fault of the store, ends it earlier."""
        self._sock.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            while not self._stopping:
                selector.select(min(_STOP_WITHIN_SECONDS, self._purge_interval))
                self._serve_batch()
                self._purge_when_due()

    def stop(self) -> None:
        """Let `serve_forever` return soon, with every recorded event answered. From any thread or signal handler."""
        self._stopping = True

    def _serve_batch(self) -> None:
        self._answered.turn(int(time.monotonic() * SECOND))
        fresh, again = self._replies()
        recorded = self._recorded(fresh) if fresh else []
        for outcome, number in self._outcomes.items():
            self._count(outcome, number)
        self._outcomes.clear()
        for reply in recorded:
            self._answered.put(reply.key, reply.answer)
            self._send(reply.answer, reply.source)
        for source, known in again:
            self._send(known, source)

    def _replies(self) -> tuple[list[_Reply], list[tuple[tuple[str, int], bytes]]]:
        """Read what waits: the replies that need recording first, and the answers given before."""
        fresh: dict[object, _Reply] = {}
        again = []
        for _ in range(self._batch_size):
            try:
                datagram, source = self._sock.recvfrom(_DATAGRAM_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                self._log("cannot read from the RADIUS socket: %s", error.strerror)
                break
            try:
                reply = self._reply(datagram, source)
            except Dropped as dropped:
                self._outcomes[dropped.outcome] += 1
                continue
            except Exception as error:  # noqa: BLE001 - one packet must never end the feed of all gateways
                self._outcomes[Outcome.MALFORMED] += 1
                self._log("a RADIUS packet could not be handled: %s", type(error).__name__)
                continue
            if isinstance(reply, bytes):
                self._outcomes[Outcome.DUPLICATE] += 1
                again.append((source, reply))
            elif reply is None or reply.key in fresh:
                self._outcomes[Outcome.UNKNOWN_CLIENT if reply is None else Outcome.DUPLICATE] += 1
            else:
                fresh[reply.key] = reply
        return list(fresh.values()), again

    def _reply(self, datagram: bytes, source: tuple[str, int]) -> _Reply | bytes | None:
        """What to reply: an answer given before, a new one with its events, or None to a stranger."""
        client = self._clients.find(source[0])
        if client is None:
            return None
        packet = read(datagram, client.secret)
        # RFC 5080 §2.2.2: source address and port, identifier, authenticator.
        key = (source, packet.header)
        known = self._answered.get(key)
        if known is not None:
            return known
        if packet.code == STATUS_SERVER:
            return _Reply(source, key, answer(packet, client.secret), (), Outcome.STATUS_SERVER)
        events = self._accounting.events(packet.attributes, client, source[0], self._clock())
        return _Reply(source, key, answer(packet, client.secret), tuple(events), Outcome.RECORDED)

    def _recorded(self, replies: list[_Reply]) -> list[_Reply]:
        """Record the events of the replies. Returns the replies that may be sent."""
        events = [event for reply in replies for event in reply.events]
        try:
            if events:
                self._store.record(events, self._clock())
            elif self._store_failing:
                # A gateway that asks whether the server is alive wants to know whether it would record.
                self._store.probe()
        except StoreUnavailable as error:
            self._store_failing = True
            self._outcomes[Outcome.STORE_FAILED] += len(replies)
            self._log("accounting is not recorded, hence not answered: %s", error)
            return []
        except Exception as error:  # noqa: BLE001 - one event that the store chokes on must not lose its neighbours
            if len(replies) == 1:
                self._outcomes[Outcome.STORE_FAILED] += 1
                self._log("an accounting event could not be recorded: %s", type(error).__name__)
                return []
            middle = len(replies) // 2
            return self._recorded(replies[:middle]) + self._recorded(replies[middle:])
        self._store_failing = False
        for reply in replies:
            self._outcomes[reply.outcome] += 1
        return replies

    def _send(self, data: bytes, source: tuple[str, int]) -> None:
        try:
            self._sock.sendto(data, source)
        except OSError:
            # No room in the buffer, or the gateway is gone: it asks again, and the answer is kept.
            return

    def _purge_when_due(self) -> None:
        if time.monotonic() < self._next_purge:
            return
        try:
            self._store.purge(self._clock() - self._retention, self._purge_limit)
        except StoreUnavailable as error:
            self._log("the session store cannot be purged: %s", error)
        except Exception as error:  # noqa: BLE001 - housekeeping must not end the feed
            self._log("the session store cannot be purged: %s", type(error).__name__)
        self._next_purge = time.monotonic() + self._purge_interval

    def _log(self, message: str, detail: object) -> None:
        """Each message once in a while: what makes the log grow with every packet fills the disk."""
        if time.monotonic() >= self._next_log.get(message, 0.0):
            self._next_log[message] = time.monotonic() + _LOG_INTERVAL_SECONDS
            _logger.warning(message, detail)
