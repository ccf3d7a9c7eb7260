"""The PROXY v2 ingress over real sockets: clients that bind to addresses of 127.0.0.0/8, an HTTP server behind it."""

import contextlib
import json
import queue
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from number_verification.domain.refusal import Reason
from number_verification.origin import proxy_listener
from number_verification.origin.proxy_listener import IngressLimits, ProxyIngress
from number_verification.origin.proxy_protocol import SIGNATURE

LOAD_BALANCER = "127.7.0.1"
STRANGER = "127.7.0.2"
SOURCE = "127.9.9.10"
PATIENCE = 10.0

Start = Callable[..., "Rig"]


def proxy_header(family: int = 0x11, command: int = 0x21) -> bytes:
    block = bytes([203, 0, 113, 7, 192, 0, 2, 1]) + struct.pack("!HH", 40001, 443)
    if family == 0x21:
        block = bytes.fromhex("20010db8000000000000000000000001" * 2) + struct.pack("!HH", 4711, 443)
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


HEADER = proxy_header()
GET = b"GET /oauth2/authorize HTTP/1.1\r\nHost: op.example\r\n\r\n"


class Upstream(socketserver.ThreadingTCPServer):
    """An HTTP server that says what it was asked, and keeps what came after the request."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), UpstreamHandler)
        self.trailing: queue.Queue[bytes] = queue.Queue()
        self.arrived = threading.Semaphore(0)
        self.released = threading.Event()


class UpstreamHandler(socketserver.StreamRequestHandler):
    timeout = PATIENCE
    server: Upstream

    def handle(self) -> None:
        request_line = self.rfile.readline().decode("latin-1").rstrip("\r\n")
        fields: list[tuple[str, str]] = []
        while line := self.rfile.readline().decode("latin-1").rstrip("\r\n"):
            name, _, value = line.partition(":")
            fields.append((name.lower(), value.strip()))
        body = self.rfile.read(int(dict(fields).get("content-length", "0")))
        self.server.arrived.release()
        if "/held" in request_line:
            self.server.released.wait(PATIENCE)
        with contextlib.suppress(OSError):
            if "/flood" in request_line:
                while True:
                    self.wfile.write(bytes(1 << 16))
            echo = {
                "request": request_line,
                "fields": fields,
                "body": body.decode("latin-1"),
                "peer": self.client_address[0],
            }
            answer = bytes(5_000_000) if "/large" in request_line else json.dumps(echo).encode()
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(answer) + answer
            )
            self.connection.shutdown(socket.SHUT_WR)
            self.server.trailing.put(self.rfile.read())


class Rig:
    """An ingress, the server behind it, and what the ingress refused."""

    def __init__(
        self, upstream: Upstream, limits: IngressLimits | None, upstream_address: tuple[str, int] | None
    ) -> None:
        self.upstream = upstream
        self.refusals: queue.Queue[Reason] = queue.Queue()
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = listener.getsockname()
        self.ingress = ProxyIngress(
            listener,
            trusted_proxies=[ip_network(f"{LOAD_BALANCER}/32")],
            upstream=upstream_address or upstream.server_address,  # type: ignore[arg-type]
            source_address=SOURCE,
            limits=limits,
            on_refusal=self.refusals.put,
        )
        self.ingress.start()

    def connect(self, source: str = LOAD_BALANCER) -> socket.socket:
        connection = socket.create_connection(self.address, PATIENCE, (source, 0))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def ask(self, data: bytes, source: str = LOAD_BALANCER) -> bytes:
        """Everything that comes back for what is sent on one connection."""
        with self.connect(source) as connection:
            connection.sendall(data)
            return read_all(connection)

    def refusal(self) -> Reason:
        return self.refusals.get(timeout=PATIENCE)

    def reached_upstream(self) -> bool:
        return self.upstream.arrived.acquire(blocking=False)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(1 << 16):
        received += chunk
    return received


def echo_of(answer: bytes) -> Any:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    return json.loads(body)


def origins_of(answer: bytes) -> list[str]:
    names = ("forwarded", "x-forwarded-for", "x_forwarded_for")
    return [value for name, value in echo_of(answer)["fields"] if name in names]


@pytest.fixture
def start() -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def begin(limits: IngressLimits | None = None, upstream_address: tuple[str, int] | None = None) -> Rig:
            upstream = Upstream()
            stack.callback(upstream.server_close)
            threading.Thread(target=upstream.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            stack.callback(upstream.shutdown)
            rig = Rig(upstream, limits, upstream_address)
            stack.callback(rig.ingress.stop, 0)
            stack.callback(upstream.released.set)
            return rig

        yield begin


@pytest.fixture
def rig(start: Start) -> Rig:
    return start()


@pytest.mark.parametrize(("family", "forwarded"), [(0x11, "203.0.113.7:40001"), (0x21, "[2001:db8::1]:4711")])
def test_the_device_arrives_with_its_port(rig: Rig, family: int, forwarded: str) -> None:
    answer = rig.ask(proxy_header(family) + GET)
    assert origins_of(answer) == [f'for="{forwarded}"']
    assert echo_of(answer)["peer"] == SOURCE
    assert ["connection", "close"] in echo_of(answer)["fields"]


def test_forged_headers_do_not_arrive(rig: Rig) -> None:
    forged = (
        b"Forwarded: for=198.51.100.9\r\nX-Forwarded-For: 198.51.100.9\r\nX_Forwarded_For: 198.51.100.9\r\n"
        b"FORWARDED: for=198.51.100.9\r\nx-network-origin-address: 198.51.100.9\r\nConnection: keep-alive\r\n"
    )
    answer = rig.ask(HEADER + GET[:-2] + forged + b"\r\n")
    assert origins_of(answer) == ['for="203.0.113.7:40001"']
    assert "198.51.100.9" not in answer.decode()
    assert "keep-alive" not in answer.decode()


@pytest.mark.parametrize(
    "header", [proxy_header(0x11, 0x20), proxy_header(0x12), SIGNATURE + b"\x20\x00\0\0", SIGNATURE + b"\x21\x00\0\0"]
)
def test_a_connection_of_no_device_names_none(rig: Rig, header: bytes) -> None:
    """A load balancer's health check reaches the server, and the resolver refuses whatever needs a device."""
    assert origins_of(rig.ask(header + GET[:-2] + b"Forwarded: for=198.51.100.9\r\n\r\n")) == []


def test_split_at_every_byte(rig: Rig) -> None:
    for cut in range(1, len(HEADER) + 1):
        with rig.connect() as connection:
            connection.sendall(HEADER[:cut])
            connection.sendall(HEADER[cut:] + GET)
            assert origins_of(read_all(connection)) == ['for="203.0.113.7:40001"']


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 5])
def test_received_a_few_bytes_at_a_time(rig: Rig, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(proxy_listener, "_CHUNK", chunk)
    answer = rig.ask(HEADER + b"POST /t HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody")
    assert origins_of(answer) == ['for="203.0.113.7:40001"']
    assert echo_of(answer)["body"] == "body"


def test_an_untrusted_source_is_closed_unread(rig: Rig) -> None:
    with rig.connect(STRANGER) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(HEADER + GET)
        with contextlib.suppress(ConnectionResetError):
            assert read_all(connection) == b""
    assert rig.refusal() is Reason.UNTRUSTED_EDGE
    assert not rig.reached_upstream()


@pytest.mark.parametrize(
    "data",
    [
        GET,
        b"PROXY TCP4 203.0.113.7 192.0.2.1 40001 443\r\n" + GET,
        HEADER[:12] + b"\x31" + HEADER[13:] + GET,
        HEADER[:14] + b"\0\x0b" + HEADER[16:] + GET,
        SIGNATURE + b"\x21\x11\xff\xff",
        HEADER[:-1],
    ],
)
def test_a_connection_without_a_proper_header_is_closed_without_an_answer(rig: Rig, data: bytes) -> None:
    with rig.connect() as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b""
    assert rig.refusal() is Reason.ORIGIN_MALFORMED
    assert not rig.reached_upstream()
    assert origins_of(rig.ask(HEADER + GET))


def test_a_second_proxy_header_is_no_request(rig: Rig) -> None:
    assert rig.ask(HEADER + proxy_header(0x21) + GET).startswith(b"HTTP/1.1 400 ")
    assert not rig.reached_upstream()


def test_whoever_only_looks_whether_the_port_is_open_is_no_refusal(rig: Rig) -> None:
    for data in (b"", HEADER):
        with rig.connect() as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection) == b""
    assert rig.refusals.empty()


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /t HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /t HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /t HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST /t HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /t HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /t HTTP/1.1\nHost: op.example\n\n",
        b"GET /t HTTP/1.1\r\nX: a\nForwarded: for=198.51.100.9\r\n\r\n",
        b"GET /t HTTP/1.1\r\nX: a\r\n Forwarded: for=198.51.100.9\r\n\r\n",
        b"GET /t HTTP/1.1\r\nForwarded : for=198.51.100.9\r\n\r\n",
        b"GET /t HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
        b"GET /t HTTP/1.1\r\nConnection: Forwarded\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n\r\n",
        b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /t HTTP/1.1\r\n" + b"X: a\r\n" * 4_000,
        b"POST /t HTTP/1.1\r\nContent-Length: 65537\r\n\r\n" + bytes(65537),
    ],
)
def test_smuggling_shapes_are_answered_400_and_go_no_further(rig: Rig, request_: bytes) -> None:
    head, _, body = rig.ask(HEADER + request_).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"x-correlator: " in head
    assert json.loads(body)["code"] == "INVALID_ARGUMENT"
    assert rig.refusal() is Reason.INPUT_MALFORMED
    assert not rig.reached_upstream()
    assert origins_of(rig.ask(HEADER + GET))


@pytest.mark.parametrize("request_", [GET, b"POST /t HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"])
def test_what_follows_the_one_request_does_not_go_on(rig: Rig, request_: bytes) -> None:
    """A second request would arrive without the origin of its own device."""
    smuggled = b"GET /second HTTP/1.1\r\nForwarded: for=198.51.100.9\r\n\r\n"
    answer = rig.ask(HEADER + request_ + smuggled)
    assert answer.count(b"HTTP/1.1 200") == 1
    assert origins_of(answer) == ['for="203.0.113.7:40001"']
    assert rig.upstream.trailing.get(timeout=PATIENCE) == b""
    assert rig.reached_upstream()
    assert not rig.reached_upstream()


def test_the_answer_survives_what_the_client_still_sends(rig: Rig) -> None:
    """Closing over unread bytes resets a connection, and with it the end of the answer."""
    with rig.connect() as connection:
        connection.sendall(HEADER + GET.replace(b"/oauth2/authorize", b"/large") + bytes(40_000))
        answer = read_all(connection)
    assert len(answer.partition(b"\r\n\r\n")[2]) == 5_000_000


def test_body_up_to_the_limit(rig: Rig) -> None:
    body = b"a" * 65536
    answer = rig.ask(HEADER + b"POST /t HTTP/1.1\r\nContent-Length: 65536\r\n\r\n" + body)
    assert echo_of(answer)["body"] == body.decode()


def test_a_client_that_waits_for_continue(rig: Rig) -> None:
    with rig.connect() as connection:
        connection.sendall(HEADER + b"POST /t HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"body")
        answer = read_all(connection)
    assert echo_of(answer)["body"] == "body"
    assert not any(name == "expect" for name, _ in echo_of(answer)["fields"])


def test_a_client_that_closes_its_half_is_answered(rig: Rig) -> None:
    with rig.connect() as connection:
        connection.sendall(HEADER + GET)
        connection.shutdown(socket.SHUT_WR)
        assert origins_of(read_all(connection))


@pytest.mark.parametrize(
    ("begin", "piece", "reason"),
    [
        (b"", b"", Reason.ORIGIN_MALFORMED),
        (HEADER[:14] + b"\x0f\x00" + HEADER[16:], b"\4", Reason.ORIGIN_MALFORMED),
        (HEADER + b"GET / HTTP/1.1\r\n", b"X: a\r\n", Reason.INPUT_MALFORMED),
        (HEADER + b"POST / HTTP/1.1\r\nContent-Length: 60000\r\n\r\n", b"a", Reason.INPUT_MALFORMED),
    ],
    ids=["silent", "proxy header", "head", "body"],
)
def test_slow_loris(start: Start, begin: bytes, piece: bytes, reason: Reason) -> None:
    """A deadline, no idle time: every piece that drips in would start an idle time anew."""
    rig = start(IngressLimits(request_time=0.3))
    with rig.connect() as connection:
        connection.sendall(begin)
        began = time.monotonic()
        connection.settimeout(0.02)
        while time.monotonic() - began < PATIENCE:
            try:
                if connection.recv(1) == b"":
                    break
            except TimeoutError:
                connection.sendall(piece)
            except ConnectionResetError:
                break
        assert time.monotonic() - began < 2
    assert rig.refusal() is reason
    assert not rig.reached_upstream()


def test_no_more_connections_than_allowed(start: Start) -> None:
    rig = start(IngressLimits(connections=2))
    held = [rig.connect() for _ in range(2)]
    for connection in held:
        connection.sendall(HEADER + GET.replace(b"/oauth2/authorize", b"/held"))
        assert rig.upstream.arrived.acquire(timeout=PATIENCE)
    with rig.connect() as third:
        answer = read_all(third)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in answer
    assert rig.refusal() is Reason.OVERLOAD
    rig.upstream.released.set()
    for connection in held:
        assert origins_of(read_all(connection))
        connection.close()
    for _ in range(10):  # every slot was given back
        assert answers_at_last(rig)


def answers_at_last(rig: Rig) -> bool:
    """A slot is free again a moment after its connection has closed."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionError):
            if rig.ask(HEADER + GET).startswith(b"HTTP/1.1 200"):
                return True
    return False


def test_no_server_behind_it(start: Start) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        rig = start(upstream_address=unused.getsockname())
        answer = rig.ask(HEADER + GET)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "UNAVAILABLE"
    assert rig.refusal() is Reason.FAULT


def test_a_server_that_never_answers(start: Start) -> None:
    rig = start(IngressLimits(answer_time=0.2))
    began = time.monotonic()
    assert rig.ask(HEADER + GET.replace(b"/oauth2/authorize", b"/held")) == b""
    assert time.monotonic() - began < 2


def test_a_client_that_never_reads_is_given_up(start: Start) -> None:
    rig = start(IngressLimits(connections=1, answer_time=0.2))
    with rig.connect() as connection:
        connection.sendall(HEADER + GET.replace(b"/oauth2/authorize", b"/flood"))
        assert rig.upstream.arrived.acquire(timeout=PATIENCE)
        assert answers_at_last(rig)


def test_stop_lets_running_requests_finish(start: Start) -> None:
    rig = start()
    with rig.connect() as connection:
        connection.sendall(HEADER + GET.replace(b"/oauth2/authorize", b"/held"))
        assert rig.upstream.arrived.acquire(timeout=PATIENCE)
        stopping = threading.Thread(target=rig.ingress.stop, args=(PATIENCE,))
        stopping.start()
        while True:  # until nothing new is accepted
            try:
                rig.connect().close()
            except ConnectionError:
                break
        rig.upstream.released.set()
        assert origins_of(read_all(connection))
    stopping.join(PATIENCE)
    assert not stopping.is_alive()


def test_stop_ends_what_does_not_finish(start: Start) -> None:
    rig = start()
    with rig.connect() as waiting, rig.connect() as asking:
        asking.sendall(HEADER + GET.replace(b"/oauth2/authorize", b"/held"))
        assert rig.upstream.arrived.acquire(timeout=PATIENCE)
        waiting.sendall(HEADER)
        began = time.monotonic()
        rig.ingress.stop(0.05)
        assert time.monotonic() - began < 3
    assert not any(thread.name.startswith("proxy-ingress") for thread in threading.enumerate())
    rig.ingress.stop()  # a second time is harmless
