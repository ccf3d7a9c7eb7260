"""HTTP/1.1 as the internal listener speaks it: cheroot's machinery, with bounds and answers of our own.

What cheroot takes and we do not: header lines that are folded or hold control characters, a repeated header of which
the last one wins, names with underscores (WSGI takes `X_A` for `X-A`), lengths like `+1` and `-1`, chunked bodies (a
line of theirs may be of any length, and what is left unread of one would be taken for the next request).
"""

import json
import re
import ssl
from contextlib import suppress
from http import HTTPStatus
from socket import SHUT_WR
from typing import Any
from urllib.parse import unquote_to_bytes

from cheroot.server import HeaderReader, HTTPConnection, HTTPRequest, KnownLengthRFile
from cheroot.wsgi import Gateway_10

from number_verification import errors
from number_verification.domain.refusal import Kind
from number_verification.internal_http.stream import Reader, Stream, Writer
from number_verification.internal_http.tls import auth_context
from number_verification.rest.http import AUTH_CONTEXT

LINGER_SECONDS = 1.0
"""How long the rest of a request is taken that nobody wants: a client that still sends may not see the answer
otherwise."""

MAX_LINGER = 256 * 1024
"""Bytes of such a rest; where there are more, the connection is closed."""

_STATUSES = {"413": 431, "501": 411}
"""Statuses of ours for cheroot's: it calls a large head an entity, and we take no transfer coding at all."""

_MORE_MAY_COME = (411, 414, 431)

_REQUEST_LINE = re.compile(
    rb"([A-Z]{1,16}) (?:[Hh][Tt][Tt][Pp][Ss]?://[^/?#\x00-\x20\x7f-\xff]+)?((?:/[!-\"$-~]*)?|\*) HTTP/1\.([01])\r\n"
)
"""RFC 9112 §3; the absolute form of a target is for proxies, and must be taken by everyone (§3.2.2)."""

_ENCODED_DELIMITER = re.compile(rb"%(?:2[Ff]|3[Aa])")
_HEADER_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_LENGTH = re.compile(rb"[0-9]{1,12}")


class Connection(HTTPConnection):
    """One connection. Its handshake and each of its requests have to be done in time."""

    RequestHandlerClass: type[HTTPRequest]

    def __init__(self, server: Any, sock: Any, _: object = None) -> None:
        self.stream = Stream(sock, server)
        super().__init__(server, sock, self._file)
        self._is_secured = not isinstance(sock, ssl.SSLSocket)

    def _file(self, _: object, mode: str, size: int) -> Reader | Writer:
        return Reader(self.stream, size) if "r" in mode else Writer(self.stream)

    def communicate(self) -> bool:
        """Serve one request. Whether the connection is to be kept."""
        self.stream.arm(self.server.patience)
        return (self._is_secured or self._secured()) and bool(super().communicate())  # type: ignore[no-untyped-call]

    def _secured(self) -> bool:
        """Shake hands; whether that came to a good end."""
        try:
            self.stream.in_time(self.socket.do_handshake)
        except OSError:
            return False
        self.ssl_env = {AUTH_CONTEXT: auth_context(self.socket.getpeercert(binary_form=True))}
        self._is_secured = True
        return True

    def linger_for_the_rest(self) -> None:
        """Take what the client still sends, until it has seen that we send no more."""
        self.socket.shutdown(SHUT_WR)
        taken = 0
        while taken < MAX_LINGER and (some := self.rfile.read1(MAX_LINGER)):
            taken += len(some)

    def turn_away(self) -> None:
        """Say that there is no room, where that can be said without waiting; and close."""
        with suppress(OSError):
            if self._is_secured:
                self.socket.settimeout(0)
                self.socket.send(error_answer(503))
                # What is left unread makes of the close a reset, which may overtake the answer.
                self.socket.recv(MAX_LINGER)
        with suppress(OSError):
            self.close()


class Request(HTTPRequest):
    """One request."""

    def read_request_line(self) -> bool:
        """Read the request line; whether it is good."""
        line = self.rfile.readline()
        if line == b"\r\n":
            line = self.rfile.readline()  # one empty line before a request is forgiven (RFC 9112 §2.2)
        self.started_request = True
        if not line:
            return False
        match = _REQUEST_LINE.fullmatch(line)
        if match is None:
            self.simple_response("400")
            return False
        self.method, self.uri, minor = match.groups()
        path, _, self.qs = self.uri.partition(b"?")
        # Decoded, they would be taken for the delimiters that they are encoded not to be: for the end of a part of a
        # name, for the beginning of a verb. No name of ours holds one, so that there is nothing at such a path.
        self.path = b"" if _ENCODED_DELIMITER.search(path) else unquote_to_bytes(path or b"/")
        self.authority = b""
        self.request_protocol, self.response_protocol = b"HTTP/1." + minor, f"HTTP/1.{int(minor)}"
        return True

    def read_request_headers(self) -> bool:
        """Read the headers; whether they are good."""
        if not super().read_request_headers():  # type: ignore[no-untyped-call]
            return False
        if b"Transfer-Encoding" in self.inheaders:
            self.simple_response("411")
            return False
        if _LENGTH.fullmatch(self.inheaders.get(b"Content-Length", b"0")) is None:
            self.simple_response("400")
            return False
        return True

    def respond(self) -> None:
        """Serve the request."""
        self.rfile = _Body(self.conn.rfile, int(self.inheaders.get(b"Content-Length", 0)))
        self.server.gateway(self).respond()
        if 0 < self.rfile.remaining <= MAX_LINGER:
            self.conn.stream.arm(LINGER_SECONDS)
            with suppress(OSError):
                self.rfile.read()

    def send_headers(self) -> None:
        """Send the head of the answer. What was not read of the body is not waited for."""
        self.conn.stream.arm(self.server.patience)
        if self.rfile.remaining:
            self.close_connection = True
        super().send_headers()

    def simple_response(self, status: str, msg: str = "") -> None:
        """Answer what cheroot refuses, without its texts."""
        self.close_connection = self.sent_headers = True
        code = _STATUSES.get(status[:3]) or int(status[:3])
        self.conn.stream.arm(LINGER_SECONDS)
        with suppress(OSError):
            self.conn.wfile.write(error_answer(code))
            if code in _MORE_MAY_COME:
                self.conn.linger_for_the_rest()


class Headers(HeaderReader):
    """Reads the headers of a request. Those that are repeated are joined, all of them (RFC 9110 §5.3)."""

    def __call__(self, rfile: Any, hdict: dict[bytes, bytes] | None = None) -> dict[bytes, bytes]:
        """Read them into a dict, if need be a new one.

        Raises:
            ValueError: they are malformed.
        """
        headers = {} if hdict is None else hdict
        while (line := rfile.readline()) != b"\r\n":
            name, colon, value = line.removesuffix(b"\r\n").partition(b":")
            good = line.endswith(b"\r\n") and colon and _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)
            if not good:
                raise ValueError("a malformed header")
            if b"_" in name:
                continue
            name, value = name.title(), value.strip(b" \t")
            headers[name] = b", ".join((headers[name], value)) if name in headers else value
        return headers


Request.header_reader = Headers()
Connection.RequestHandlerClass = Request


class _Body(KnownLengthRFile):
    """A body of known length, which has to come as a whole."""

    def read(self, size: int | None = None) -> bytes:
        """Read up to `size` bytes.

        Raises:
            ConnectionResetError: the client stopped short of what it announced.
        """
        expected = self.remaining if size is None else min(size, self.remaining)
        content: bytes = super().read(size)
        if len(content) < expected:
            raise ConnectionResetError("the body ended early")
        return content


class Gateway(Gateway_10):
    """Calls the application, whose answers are short and known as a whole."""

    def respond(self) -> None:
        """Serve the request."""
        body = b"".join(self.req.server.wsgi_app(self.env, self.start_response))
        if not self.req.status.startswith(b"204"):
            self.req.outheaders.append((b"Content-Length", b"%d" % len(body)))
        self.req.ensure_headers_sent()
        if body and self.req.method != b"HEAD":
            self.req.write(body)


_KINDS = {408: Kind.TIMEOUT, 500: Kind.INTERNAL, 503: Kind.UNAVAILABLE}


def error_answer(status: int) -> bytes:
    """The answer to what never became a request of the API, in the form of the API's own."""
    error = errors.TABLE[_KINDS.get(status, Kind.INVALID_ARGUMENT)]
    content = json.dumps({"status": status, "code": error.code, "message": error.message}, separators=(",", ":"))
    retry = f"Retry-After: {errors.DEFAULT_RETRY_AFTER}\r\n" if status == 503 else ""
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n{retry}"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n{content}"
    ).encode()
