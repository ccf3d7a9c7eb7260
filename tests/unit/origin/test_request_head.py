"""Heads of requests that are relayed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_verification.origin.address import parse_address
from number_verification.origin.request_head import END, RequestHead, rewrite_head

DEVICE = parse_address("203.0.113.7:40001")
V6_DEVICE = parse_address("[2001:db8::1]:4711")
START = b"GET /oauth2/authorize?a=b HTTP/1.1\r\nHost: op.example\r\n"
OURS = b'Forwarded: for="203.0.113.7:40001"\r\nConnection: close\r\n\r\n'


def relayed(head: bytes) -> bytes:
    rewritten = rewrite_head(head, DEVICE)
    assert rewritten is not None
    return rewritten.relayed


def test_origin_and_close_are_added() -> None:
    assert rewrite_head(START + b"\r\n", DEVICE) == RequestHead(START + OURS, 0, awaits_continue=False)
    assert relayed(b"OPTIONS * HTTP/1.0\r\n\r\n") == b"OPTIONS * HTTP/1.0\r\n" + OURS
    v6 = rewrite_head(START + b"\r\n", V6_DEVICE)
    assert v6 is not None
    assert b'\r\nForwarded: for="[2001:db8::1]:4711"\r\n' in v6.relayed


def test_without_an_origin_there_is_no_forwarded_header_at_all() -> None:
    rewritten = rewrite_head(START + b"Forwarded: for=198.51.100.9\r\n\r\n", None)
    assert rewritten == RequestHead(START + b"Connection: close\r\n\r\n", 0, awaits_continue=False)


@pytest.mark.parametrize(
    "line",
    [
        b"Forwarded: for=198.51.100.9",
        b"forwarded:for=198.51.100.9",
        b"FORWARDED: for=198.51.100.9;x=y",
        b"X-Forwarded-For: 198.51.100.9",
        b"x-forwarded-FOR: 198.51.100.9",
        b"X_Forwarded_For: 198.51.100.9",
        b"X-Forwarded_For: 198.51.100.9",
        b"x-network-origin-address: 198.51.100.9",
        b"X-Network-Origin-Access: cellular",
        b"x_network_origin_tethered: no",
        b"Content_Length: 5",
        b"Connection: keep-alive",
        b"Connection: Keep-Alive, TE",
        b"Connection: close",
        b"Connection:",
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: keep-alive",
        b"TE: trailers",
        b"Trailer: x",
    ],
)
def test_what_only_the_operator_may_say_and_what_ends_here_is_dropped(line: bytes) -> None:
    assert relayed(START + line + b"\r\n\r\n") == START + OURS
    assert relayed(START + (line + b"\r\n") * 3 + b"\r\n") == START + OURS


@pytest.mark.parametrize(
    "line", [b"Accept: */*", b"X-Correlator: a:b", b"Empty:", b"Q: \xe9\t\"'(),;", b"X-Forwarded-Proto: https"]
)
def test_everything_else_is_relayed_as_it_is(line: bytes) -> None:
    assert relayed(START + line + b"\r\n\r\n") == START + line + b"\r\n" + OURS


@pytest.mark.parametrize(
    "lines",
    [
        b"Transfer-Encoding: chunked",
        b"transfer-encoding: identity",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Content-Length: 5\r\nContent-Length: 5",
        b"Content-Length: 5\r\ncontent-length: 6",
        b"Content-Length: 5, 5",
        b"Content-Length: +5",
        b"Content-Length: -5",
        b"Content-Length: 0x5",
        b"Content-Length: 5 5",
        b"Content-Length: 1_0",
        b"Content-Length:",
        b"Content-Length: 9999999999",
        b"Content-Length : 5",
        b"Content-Length\t: 5",
        b" Content-Length: 5",
        b"Forwarded : for=198.51.100.9",
        b"Forwarded\x0b: for=198.51.100.9",
        b" Forwarded: for=198.51.100.9",
        b"X: a\r\n folded",
        b"X: a\r\n\tForwarded: for=198.51.100.9",
        b"X: a\nForwarded: for=198.51.100.9",
        b"X: a\rForwarded: for=198.51.100.9",
        b"X: a\0b",
        b"X: a\x7fb",
        b"X",
        b": a",
        b"X\xe9: a",
        b"Upgrade: h2c",
        b"Upgrade: websocket\r\nConnection: Upgrade",
        b"Connection: Upgrade",
        b"Connection: Forwarded",
        b"Connection: close, content-length",
        b"Host: other.example",
        b"Expect: 200-ok",
        b"Expect: 100-continue\r\nExpect: 100-continue",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(lines: bytes) -> None:
    assert rewrite_head(START + lines + b"\r\n\r\n", DEVICE) is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET /",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET / HTTP/2.0",
        b"GET / http/1.1",
        b"GET / HTTP/1.10",
        b"GET /a b HTTP/1.1",
        b"GET /\xe9 HTTP/1.1",
        b"GET /\t HTTP/1.1",
        b"GET http://op.example/ HTTP/1.1",
        b"CONNECT op.example:443 HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"GET / HTTP/1.1\rX: y",
        b"G(T / HTTP/1.1",
    ],
)
def test_other_request_lines_are_refused(line: bytes) -> None:
    assert rewrite_head(line + b"\r\nHost: op.example\r\n\r\n", DEVICE) is None


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\n", b"\n\n", b"\r\n\n", b"\n\r\n"])
def test_another_end_of_the_head_is_refused(end: bytes) -> None:
    assert rewrite_head(b"GET / HTTP/1.1\r\nHost: op.example" + end, DEVICE) is None


def test_body_and_expectation() -> None:
    rewritten = rewrite_head(START + b"content-length: 005 \r\nExpect: 100-Continue\r\n\r\n", DEVICE)
    assert rewritten == RequestHead(START + b"content-length: 005 \r\n" + OURS, 5, awaits_continue=True)


names = st.sampled_from(
    [b"Forwarded", b"X-Forwarded-For", b"forwarded ", b"x_forwarded_for", b"Connection", b"Q", b"Host"]
)
lines = st.builds(
    lambda name, colon, value: name + colon + value, names, st.sampled_from([b":", b": ", b""]), st.binary()
)


@given(st.binary() | st.lists(lines, max_size=5).map(lambda ls: b"GET / HTTP/1.1\r\n" + b"\r\n".join(ls) + b"\r\n\r\n"))
def test_no_head_is_relayed_with_another_origin_or_as_two(head: bytes) -> None:
    rewritten = rewrite_head(head, DEVICE)
    if rewritten is not None:
        first_end = END.search(rewritten.relayed)
        assert first_end is not None
        assert first_end.end() == len(rewritten.relayed)
        fields = [line.partition(b":") for line in rewritten.relayed.split(b"\r\n")[1:-2]]
        said = [
            value
            for name, _, value in fields
            if name.lower().replace(b"_", b"-").strip() in (b"forwarded", b"x-forwarded-for")
        ]
        assert said == [b' for="203.0.113.7:40001"']
        assert [value for name, _, value in fields if name.lower() == b"connection"] == [b" close"]
