"""PROXY v2 ingress: the way in for devices behind CGNAT whose load balancer relays connections, not requests.

The HTTP server neither speaks the PROXY protocol nor passes on a port. This front reads the header of the protocol
and one HTTP/1.1 request, and hands that request to the HTTP server with the device's address and port in `Forwarded`,
from a loopback address that the HTTP server trusts as its proxy. A connection carries one request and no more: on a
connection that several devices share, the header would name the first of them for all.
"""

import contextlib
import selectors
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from number_verification.domain.origin import NetworkOrigin, is_within
from number_verification.domain.refusal import Reason
from number_verification.origin import request_head
from number_verification.origin.address import parse_address
from number_verification.origin.proxy_protocol import parse_proxy_header
from number_verification.origin.request_head import RequestHead, rewrite_head

_CHUNK = 16 * 1024
_LINGER = 1.0
_BAD_REQUEST = ("400 Bad Request", 400, "INVALID_ARGUMENT", "The request is not a well-formed HTTP/1.1 request.")
_UNAVAILABLE = ("503 Service Unavailable", 503, "UNAVAILABLE", "The service is not available. Try again.")


@dataclass(frozen=True, slots=True)
class IngressLimits:
    """What one connection may cost. Times are in seconds from a phase's beginning to its end, however busy it is."""

    connections: int = 128
    """How many are served at once, each by a thread."""
    body: int = 64 * 1024
    """How many bytes a request's body may have."""
    request_time: float = 10.0
    """For the PROXY header, the request's head and its body."""
    answer_time: float = 30.0
    """For the HTTP server's answer to reach the client."""


class ProxyIngress:
    """A listener for connections that begin with a PROXY v2 header.

    Args:
        listener: a listening TCP socket. The ingress owns it from now on.
        trusted_proxies: from where connections are accepted. All others are closed unread.
        upstream: host and port of the HTTP server.
        source_address: the local address from which the HTTP server is called; it is to be the only proxy that
            speaks through `Forwarded` from this host.
        limits: what one connection may cost.
        on_refusal: told why a connection did not reach the HTTP server. Called from several threads.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        trusted_proxies: Sequence[IPv4Network | IPv6Network],
        upstream: tuple[str, int],
        source_address: str,
        limits: IngressLimits | None = None,
        on_refusal: Callable[[Reason], None] = lambda _: None,
    ) -> None:
        self._listener = listener
        self._trusted_proxies = tuple(trusted_proxies)
        self._upstream = upstream
        self._source_address = source_address
        self._limits = limits or IngressLimits()
        self._on_refusal = on_refusal
        self._running: dict[Future[None], _Exchange] = {}
        self._slots = threading.Semaphore(self._limits.connections)
        self._threads = ThreadPoolExecutor(self._limits.connections, "proxy-ingress")
        self._acceptor = threading.Thread(target=self._accept, name="proxy-ingress-accept")
        self._stop_signal, self._stop_seen = socket.socketpair()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin to accept connections."""
        self._listener.setblocking(False)
        self._acceptor.start()

    def stop(self, grace: float = 5.0) -> None:
        """Accept no more, let what runs finish within `grace` seconds, and end the rest. Returns when all has ended."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._stop_signal.send(b"\0")
        if self._acceptor.is_alive():
            self._acceptor.join()
        self._listener.close()
        unfinished = wait(list(self._running), grace).not_done
        while unfinished:  # again, because an exchange may open its second socket after it was told
            for exchange in list(self._running.values()):
                exchange.abort()
            unfinished = wait(unfinished, 0.05).not_done
        self._threads.shutdown()
        self._stop_signal.close()
        self._stop_seen.close()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(self._listener, selectors.EVENT_READ)
            ready.register(self._stop_seen, selectors.EVENT_READ)
            while not self._stopping.is_set():
                ready.select()
                try:
                    connection, peer = self._listener.accept()
                except BlockingIOError:
                    continue
                except OSError:
                    # Out of file descriptors, most likely: leave the connection in the queue for a moment.
                    self._stopping.wait(0.1)
                    continue
                self._admit(connection, parse_address(peer[0]))

    def _admit(self, connection: socket.socket, peer: NetworkOrigin | None) -> None:
        if peer is None or not is_within(peer.address, self._trusted_proxies):
            connection.close()
            self._on_refusal(Reason.UNTRUSTED_EDGE)
            return
        if not self._slots.acquire(blocking=False):
            connection.setblocking(False)
            _answer(connection, _UNAVAILABLE)
            connection.close()
            self._on_refusal(Reason.OVERLOAD)
            return
        exchange = _Exchange(connection, self._upstream, self._source_address, self._limits, self._on_refusal)
        future = self._threads.submit(exchange.run)
        self._running[future] = exchange
        future.add_done_callback(self._forget)

    def _forget(self, future: Future[None]) -> None:
        del self._running[future]
        self._slots.release()
        if future.exception() is not None:
            self._on_refusal(Reason.FAULT)


class _Refused(Exception):
    def __init__(self, reason: Reason, answer: tuple[str, int, str, str] | None = None) -> None:
        self.reason = reason
        self.answer = answer


class _Exchange:
    """One connection: one header, one request, one answer."""

    def __init__(
        self,
        client: socket.socket,
        upstream_address: tuple[str, int],
        source_address: str,
        limits: IngressLimits,
        on_refusal: Callable[[Reason], None],
    ) -> None:
        self._client = client
        self._upstream: socket.socket | None = None
        self._upstream_address = upstream_address
        self._source_address = source_address
        self._limits = limits
        self._on_refusal = on_refusal
        self._received = bytearray()
        self._deadline = time.monotonic() + limits.request_time

    def run(self) -> None:
        try:
            self._relay(self._request())
        except _Refused as refused:
            self._on_refusal(refused.reason)
            if refused.answer:
                _answer(self._client, refused.answer)
        except OSError:
            pass  # one of the two ends is gone, or took the answer too slowly; nobody is left to be told
        finally:
            self._close()

    def abort(self) -> None:
        """End it from another thread."""
        for connection in (self._client, self._upstream):
            if connection is not None:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _request(self) -> bytes:
        """The one request, complete, as it goes to the HTTP server: a slow client keeps only this thread waiting."""
        origin = self._proxy_header()
        head = self._head(origin)
        if head.body_length > self._limits.body:
            raise _Refused(Reason.INPUT_MALFORMED, _BAD_REQUEST)
        if head.awaits_continue and len(self._received) < head.body_length:
            self._client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(self._received) < head.body_length:
            self._receive(Reason.INPUT_MALFORMED)
        return head.relayed + self._received[: head.body_length]  # and none of what may follow it

    def _proxy_header(self) -> NetworkOrigin | None:
        while (header := parse_proxy_header(bytes(self._received))) is None:
            self._receive(Reason.ORIGIN_MALFORMED)
        if isinstance(header, Reason):
            raise _Refused(header)
        del self._received[: header.length]
        return header.origin

    def _head(self, origin: NetworkOrigin | None) -> RequestHead:
        searched = 0
        while (end := request_head.END.search(self._received, searched)) is None:
            if len(self._received) >= request_head.MAX_LENGTH:
                break
            searched = max(len(self._received) - 2, 0)
            self._receive(Reason.INPUT_MALFORMED)
        head = rewrite_head(bytes(self._received[: end.end()]), origin) if end else None
        if end is None or head is None or end.end() > request_head.MAX_LENGTH:
            raise _Refused(Reason.INPUT_MALFORMED, _BAD_REQUEST)
        del self._received[: end.end()]
        return head

    def _receive(self, reason: Reason) -> None:
        """More bytes from the client; the reason is for when they do not come."""
        try:
            self._client.settimeout(self._time_left())
            chunk = self._client.recv(_CHUNK)
        except OSError as error:
            raise _Refused(reason) from error
        if not chunk and not self._received:
            raise ConnectionError  # a load balancer that only looks whether the port is open leaves like that
        if not chunk:
            raise _Refused(reason)
        self._received += chunk

    def _time_left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _relay(self, request: bytes) -> None:
        self._deadline = time.monotonic() + self._limits.answer_time
        try:
            self._upstream = socket.create_connection(
                self._upstream_address, self._limits.answer_time, (self._source_address, 0)
            )
            self._upstream.sendall(request)
        except OSError as error:
            raise _Refused(Reason.FAULT, _UNAVAILABLE) from error
        while True:
            self._upstream.settimeout(self._time_left())
            chunk = self._upstream.recv(_CHUNK)
            if not chunk:
                return
            self._client.settimeout(self._time_left())
            self._client.sendall(chunk)

    def _close(self) -> None:
        """Close both ends; the client's only after it has had time to read.

        Closing over bytes that nobody read resets the connection, and the client may lose the answer (RFC 9112 §9.6).
        """
        if self._upstream is not None:
            self._upstream.close()
        until = time.monotonic() + _LINGER
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_WR)
            while (left := until - time.monotonic()) > 0:
                self._client.settimeout(left)
                if not self._client.recv(_CHUNK):
                    break
        self._client.close()


def _answer(connection: socket.socket, answer: tuple[str, int, str, str]) -> None:
    status, number, code, message = answer
    body = f'{{"status": {number}, "code": "{code}", "message": "{message}"}}'
    retry = "Retry-After: 1\r\n" if number == 503 else ""
    with contextlib.suppress(OSError):
        connection.sendall(
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"x-correlator: {uuid.uuid4()}\r\n{retry}Connection: close\r\n\r\n{body}".encode("ascii")
        )
