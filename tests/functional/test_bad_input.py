"""Input that breaks the contract, and input that is meant to break the service."""

import json
import os
import socket
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing, suppress
from urllib.parse import urlsplit

import grpc
import pytest

from functional.service import Service, descendants
from functional.transports import BASE, SERVICE, Grpc, Rest, Transport, bearer
from number_verification.gen.numberverification.v2 import number_verification_pb2 as pb

NUMBER = "+990555000001"
HASH = "0" * 64
LIMIT = 16 * 1024


@pytest.fixture(autouse=True)
def _serves_on(sandbox: Service, rest: Rest, grpc_api: Grpc) -> Iterator[None]:
    """Whatever came in: the next good request works."""
    yield
    for transport in (rest, grpc_api):
        assert transport.share(sandbox.external_token()).code == "OK"


@pytest.mark.parametrize(
    "number",
    [
        "",
        "+",
        "990555000001",
        "00990555000001",
        "+0990555000",
        "+9905",
        "+9905550000012345",
        "+99055500000a",
        "+990 555 000",
        " +990555000001",
        "+990555000001\n",
        "+990555000001\x00",
        "tel:+990555000001",
        "+\u0669\u0669\u0660\u0665\u0665\u0665",
        "\uff0b990555000001",
        "+" + "9" * 10_000,
    ],
)
def test_a_number_that_is_none(sandbox: Service, transport: Transport, number: str) -> None:
    outcome = transport.verify(sandbox.external_token(), phoneNumber=number)
    assert outcome.code == "INVALID_ARGUMENT"
    assert "phoneNumber" in outcome.body["message"]
    assert len(number) < 2 or number.strip() not in outcome.body["message"]


@pytest.mark.parametrize("number", ["+12345", "+123456789012345", "+99999"])
def test_the_shortest_and_the_longest_number(sandbox: Service, transport: Transport, number: str) -> None:
    outcome = transport.verify(sandbox.external_token(), phoneNumber=number)
    assert outcome.body == {"devicePhoneNumberVerified": False}


@pytest.mark.parametrize(
    "hashed", ["", "0" * 63, "0" * 65, "g" * 64, "0" * 63 + "\n", "0x" + "0" * 62, "\u0660" * 64, NUMBER, "0" * 10_000]
)
def test_a_hash_that_is_none(sandbox: Service, transport: Transport, hashed: str) -> None:
    outcome = transport.verify(sandbox.external_token(), hashedPhoneNumber=hashed)
    assert outcome.code == "INVALID_ARGUMENT"
    assert "hashedPhoneNumber" in outcome.body["message"]


def test_neither_form_of_the_number(sandbox: Service, transport: Transport) -> None:
    assert transport.verify(sandbox.external_token()).code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"true",
        b"0",
        b'"+990555000001"',
        b"[]",
        b'[{"phoneNumber":"+990555000001"}]',
        b'{"phoneNumber":"+990555000001","hashedPhoneNumber":"%s"}' % HASH.encode(),
        b'{"hashedPhoneNumber":"%s","phoneNumber":"+990555000001"}' % HASH.encode(),
        b'{"phoneNumber":"+990555000001","phoneNumber":"+990555000001"}',
        b'{"phoneNumber":"+990555000001","phone\\u004eumber":"+990555000001"}',
        b'{"phoneNumber":"+990555000001","extra":1}',
        b'{"phoneNumber":"+990555000001","":null}',
        b'{"phoneNumber":{"value":"+990555000001"}}',
        b'{"phoneNumber":["+990555000001"]}',
        b'{"phoneNumber":990555000001}',
        b'{"phoneNumber":+990555000001}',
        b'{"phoneNumber":true}',
        b'{"phoneNumber":null}',
        b'{"phoneNumber":1e400}',
        b'{"phoneNumber":NaN}',
        b'{"phone_number":"+990555000001"}',
        b'{"PhoneNumber":"+990555000001"}',
        b'{"phoneNumber":"+990555000001"}}',
        b'{"phoneNumber":"+990555000001"} x',
        b'{"phoneNumber":"+990555000001"}\x00',
        b'{"phoneNumber":"+990555000001",}',
        b"{'phoneNumber':'+990555000001'}",
        b'{phoneNumber:"+990555000001"}',
        b'{"phoneNumber":"+990555000001"}//',
        b'{"phoneNumber":"+99055500\xff0001"}',
        b'{"phoneNumber":"\\ud800"}',
        b'{"phoneNumber":"\xed\xa0\x80"}',
        b'{"phoneNumber":"+990555000001\n"}',
        b'{"\xff":1}',
        b'\xef\xbb\xbf{"phoneNumber":"+990555000001"}',
        '{"phoneNumber":"+990555000001"}'.encode("utf-16"),
        b'{"phoneNumber":' + b"9" * 10_000 + b"}",
    ],
)
def test_json_that_breaks_the_contract(sandbox: Service, rest: Rest, body: bytes) -> None:
    outcome = rest.post_verify(sandbox.external_token(), body)
    assert outcome.code == "INVALID_ARGUMENT"
    assert NUMBER not in outcome.body["message"]


@pytest.mark.parametrize(
    "body",
    [
        b' \r\n\t{ "phoneNumber" : "+990555000001" } \n',
        b'{"phone\\u004eumber":"\\u002b990555000001"}',
        b'{"phoneNumber":"+990555000001"}'.ljust(LIMIT),
    ],
)
def test_json_that_is_unusual_but_good(sandbox: Service, rest: Rest, body: bytes) -> None:
    assert rest.post_verify(sandbox.external_token(), body).body == {"devicePhoneNumberVerified": True}


def test_a_byte_over_the_limit(sandbox: Service, rest: Rest) -> None:
    body = b'{"phoneNumber":"+990555000001"}'.ljust(LIMIT + 1)
    assert rest.post_verify(sandbox.external_token(), body).code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("chunk", [1, 4096])
@pytest.mark.parametrize(("length", "status"), [(LIMIT, b"200"), (LIMIT + 1, b"400")])
def test_the_limit_holds_without_a_length_too(
    sandbox: Service, rest: Rest, length: int, status: bytes, chunk: int
) -> None:
    body = b'{"phoneNumber":"+990555000001"}'.ljust(length)
    chunks = (body[at : at + chunk] for at in range(0, length, chunk))
    framed = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in chunks) + b"0\r\n\r\n"
    head = [*bearer(sandbox.external_token()), ("content-type", "application/json"), ("transfer-encoding", "chunked")]
    assert raw_answer(rest, "POST", "/verify", head, framed).startswith(b"HTTP/1.1 " + status)


def raw_answer(rest: Rest, method: str, path: str, headers: list[tuple[str, str]], rest_of_it: bytes = b"") -> bytes:
    """What comes back for bytes as they are given; the connection is then closed by the service."""
    address = urlsplit(rest.root)
    lines = "".join(f"{name}: {value}\r\n" for name, value in [*headers, ("host", "x"), ("connection", "close")])
    with closing(socket.create_connection((address.hostname, address.port), timeout=10)) as connection:
        # It may answer before it has heard everything.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(f"{method} {BASE}{path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + rest_of_it)
        try:
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionResetError:
            return b""


def resident_kilobytes(service: Service) -> int:
    """Memory of all processes of the service."""
    total = 0
    for pid in descendants(service.process.pid):
        with open(f"/proc/{pid}/statm") as statm:  # noqa: PTH123 - a process may have ended
            total += int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    return total


@pytest.mark.parametrize("hostile", ["ten megabytes", "a million deep", "a million objects", "a long string"])
def test_a_body_that_is_far_too_large(sandbox: Service, rest: Rest, hostile: str) -> None:
    body = {
        "ten megabytes": b'{"phoneNumber":"' + b"9" * 10_000_000 + b'"}',
        "a million deep": b'{"phoneNumber":' + b"[" * 1_000_000,
        "a million objects": b'{"a":' * 1_000_000,
        "a long string": b'"' + b"\\u0000" * 1_000_000,
    }[hostile]
    before = 0
    for attempt in range(6):
        head = [
            *bearer(sandbox.external_token()),
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
        ]
        answer = raw_answer(rest, "POST", "/verify", head, body)
        # The answer may come, and the connection go, before all was sent.
        assert not answer or answer.startswith(b"HTTP/1.1 400")
        if attempt == 1:
            before = resident_kilobytes(sandbox)
    assert resident_kilobytes(sandbox) - before < 20_000


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"phoneNumber":['])
def test_deep_nesting_within_the_limit(sandbox: Service, rest: Rest, opening: bytes) -> None:
    body = opening * ((LIMIT - 10) // len(opening))
    assert rest.post_verify(sandbox.external_token(), body).code == "INVALID_ARGUMENT"


def test_deep_nesting_in_the_parts_of_a_jwt(sandbox: Service, transport: Transport) -> None:
    deep = urlsafe_b64encode(b"[" * 40_000).decode().rstrip("=")
    good = sandbox.external_token().split(".")
    for token in (f"{deep}.{good[1]}.{good[2]}", f"{good[0]}.{deep}.{good[2]}", f"{good[0]}.{good[1]}.{deep}"):
        assert transport.share(token).code == "UNAUTHENTICATED"


@pytest.mark.parametrize("size", [8_000, 100_000])
def test_a_huge_token(transport: Transport, size: int) -> None:
    for token in ("a" * size, "a." + "b" * size + ".c", "a" * size + ".b.c"):
        assert transport.share(token).code == "UNAUTHENTICATED"


@pytest.mark.parametrize("headers", [200, 5_000])
def test_a_header_flood(rest: Rest, headers: int) -> None:
    answer = raw_answer(rest, "GET", "/device-phone-number", [(f"x-{n}", "v" * 20) for n in range(headers)])
    assert not answer or answer.startswith((b"HTTP/1.1 401", b"HTTP/1.1 431"))


def test_one_huge_header(rest: Rest) -> None:
    answer = raw_answer(rest, "GET", "/device-phone-number", [("x-big", "v" * 1_000_000)])
    assert not answer or answer.startswith(b"HTTP/1.1 431")


def test_a_metadata_flood(sandbox: Service, grpc_api: Grpc) -> None:
    call = grpc_api.channel.unary_unary(f"{SERVICE}/GetDevicePhoneNumber", None, None)
    for metadata in (
        tuple((f"x-{n}", "v" * 20) for n in range(1_000)),
        tuple((f"x-{n}", "v" * 200) for n in range(2_000)),
        (("x-big", "v" * 1_000_000),),
        tuple(("x-correlator", "v" * 200) for _ in range(200)),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            call(b"", metadata=metadata, timeout=10)
        assert refused.value.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED)


@pytest.mark.parametrize(
    "message",
    [
        b"\x0a",
        b"\x0a\x05+99",
        b"\xff" * 100,
        b"\x0a\x02\xff\xfe",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x0b" * 1_000,
        b"\x08\x01",
    ],
)
def test_bytes_that_are_no_message(sandbox: Service, grpc_api: Grpc, message: bytes) -> None:
    response = pb.VerifyPhoneNumberResponse
    assert grpc_api.call("VerifyPhoneNumber", message, response, None).code == "UNAUTHENTICATED"
    token = sandbox.external_token()
    assert grpc_api.call("VerifyPhoneNumber", message, response, token).code == "INVALID_ARGUMENT"
    assert grpc_api.share(token).code == "UNAUTHENTICATED"


def test_a_message_far_too_large(sandbox: Service, grpc_api: Grpc) -> None:
    message = pb.VerifyPhoneNumberRequest(phone_number="9" * 10_000_000).SerializeToString()
    call = grpc_api.channel.unary_unary(f"{SERVICE}/VerifyPhoneNumber", None, None)
    with pytest.raises(grpc.RpcError) as refused:
        call(message, metadata=tuple(bearer(sandbox.external_token())), timeout=10)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x00" * 1_000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\n: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    ],
)
def test_what_is_no_http(sandbox: Service, hostile: bytes) -> None:
    for address in (sandbox.description["api_root"].removeprefix("http://"), sandbox.description["grpc"]):
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(hostile)
            connection.shutdown(socket.SHUT_WR)
            try:
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
            except ConnectionResetError:
                continue
            assert b"Traceback" not in answer
            assert b" 5" not in answer.partition(b"\r\n")[0]


def test_connections_that_say_nothing(sandbox: Service) -> None:
    """They cost no thread: more of them than there are threads hold nobody up."""
    address = urlsplit(sandbox.description["api_root"])
    silent = [socket.create_connection((address.hostname, address.port)) for _ in range(40)]
    try:
        for half_said in silent[:20]:
            half_said.sendall(b"POST /number-verification/v2/verify HTTP/1.1\r\nHost: x\r\n")
        assert Rest(sandbox).share(sandbox.external_token()).code == "OK"
    finally:
        for each in silent:
            each.close()


def test_bodies_that_never_come_without_a_token(sandbox: Service, rest: Rest) -> None:
    """They are not waited for."""
    address = urlsplit(sandbox.description["api_root"])
    head = b"POST /number-verification/v2/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    slow = [socket.create_connection((address.hostname, address.port), timeout=5) for _ in range(40)]
    try:
        for each in slow:
            each.sendall(head)
        for each in slow:
            assert each.recv(100).startswith(b"HTTP/1.1 401")
        assert rest.share(sandbox.external_token()).code == "OK"
    finally:
        for each in slow:
            each.close()


def test_no_stack_trace_and_no_fault_was_logged(sandbox: Service, rest: Rest) -> None:
    """Of all the above none is a fault of ours."""
    for body in (b"", b"{", json.dumps({"a": 1}).encode()):
        rest.post_verify(sandbox.external_token(), body)
    text = sandbox.log_path.read_text()
    assert "Traceback" not in text
    assert not [line for line in sandbox.log if line["event"] in ("fault", "library_fault", "crash")]
