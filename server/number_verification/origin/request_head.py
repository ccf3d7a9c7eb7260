"""The head of one HTTP/1.1 request, made fit to be relayed with the device's origin in it.

Strict where RFC 9112 lets a recipient be lenient: a head that two parsers could read in two ways is refused, so that
what is relayed is exactly one request for whatever HTTP server reads it next (request smuggling).
"""

import re
from typing import Final, NamedTuple

from number_verification.domain.origin import NetworkOrigin
from number_verification.origin.address import format_address
from number_verification.origin.attestation import PREFIX as ATTESTATION

MAX_LENGTH: Final = 16 * 1024
"""How long a head may be, in bytes."""

END = re.compile(rb"\n\r?\n")
"""Where a head ends, for whoever collects one. Line ends without a CR end it too, and are then refused."""

_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ (?:/[!-~]*|\*) HTTP/1\.[01]")
# Neither blanks before the colon (RFC 9112 §5.1) nor a folded line (§5.2) nor a control character fits in.
_FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t -~\x80-\xff]*)")
_CONTENT_LENGTH = re.compile(rb"[0-9]{1,9}")

# What only the operator's own proxies and edges may say.
_OPERATORS = frozenset({b"forwarded", b"x-forwarded-for"})
# Of this connection, not of the request (RFC 9110 §7.6.1). `Expect` is answered by whoever reads the body.
_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"expect"})
_CONNECTION_OPTIONS = frozenset({b"close", b"keep-alive", b"te", b""})
_SINGLE = frozenset({b"host", b"content-length", b"expect"})


class RequestHead(NamedTuple):
    """A head that is fit to be relayed."""

    relayed: bytes
    """The head as it goes on, its empty line included."""
    body_length: int
    """How many bytes of body belong to the request."""
    awaits_continue: bool
    """Whether the client waits for a 100 before it sends the body (RFC 9110 §10.1.1)."""


def rewrite_head(head: bytes, origin: NetworkOrigin | None) -> RequestHead | None:
    """The head with the origin of its connection in place of everything that the client says about it.

    Args:
        head: everything up to and including the empty line.
        origin: what goes into the `Forwarded` header; None to leave the request without one.

    Returns:
        None if the head is malformed, asks for another protocol, or declares its body in any way but one length.
    """
    lines = head.split(b"\r\n")
    if lines[-2:] != [b"", b""] or not _REQUEST_LINE.fullmatch(lines[0]):
        return None
    relayed = [lines[0]]
    single: dict[bytes, bytes] = {}
    for line in lines[1:-2]:
        field = _FIELD_LINE.fullmatch(line)
        if field is None:
            return None
        name, value = field[1].lower(), field[2].rstrip(b"\t ").lower()
        if name in single or not _is_relayable(name, value):
            return None
        if name in _SINGLE:
            single[name] = value
        if not _is_dropped(name):
            relayed.append(line)
    length = single.get(b"content-length", b"0")
    expectation = single.get(b"expect", b"")
    if not _CONTENT_LENGTH.fullmatch(length) or expectation not in (b"", b"100-continue"):
        return None
    if origin is not None:
        relayed.append(f'Forwarded: for="{format_address(origin)}"'.encode("ascii"))
    relayed += [b"Connection: close", b"", b""]
    return RequestHead(b"\r\n".join(relayed), int(length), bool(expectation))


def _is_relayable(name: bytes, value: bytes) -> bool:
    if name == b"connection":
        return all(option.strip(b"\t ") in _CONNECTION_OPTIONS for option in value.split(b","))
    return name not in (b"upgrade", b"transfer-encoding")


def _is_dropped(name: bytes) -> bool:
    # WSGI writes `-` and `_` alike (PEP 3333, environ variables): `X_Forwarded_For` would pass for the real one.
    return name in _OPERATORS or name in _HOP_BY_HOP or b"_" in name or name.startswith(ATTESTATION.encode("ascii"))
