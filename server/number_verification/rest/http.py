"""HTTP requests and responses as the handlers see them, and how they meet WSGI (PEP 3333)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from number_verification.rest.turns import Turns

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[[str, list[tuple[str, str]]], Any]

_REASON_PHRASES = {
    200: "OK",
    204: "No Content",
    302: "Found",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


AUTH_CONTEXT = "number_verification.auth_context"
"""In the WSGI environment: the names in the client certificate that the TLS layer has verified, as gRPC has them in its
auth context. No header can write there: those begin with `HTTP_`."""


class BodyTooLarge(Exception):
    """The request's body is larger than the reader allows."""


class HttpRequest:
    """One request.

    Args:
        environ: the WSGI environment.
        turns: of which the handler of the request holds one.
    """

    __slots__ = ("_environ", "_prefetched", "_turns", "method", "path")

    def __init__(self, environ: Environ, turns: Turns) -> None:
        self._environ = environ
        self._turns = turns
        self._prefetched: bytes | None = None
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ["PATH_INFO"]

    @property
    def query_string(self) -> str:
        """The query, still percent-encoded, without its `?`."""
        return self._environ.get("QUERY_STRING") or ""

    @property
    def peer(self) -> str:
        """The address of the peer of the connection, without a port: the HTTP server does not pass it."""
        peer: str = self._environ["REMOTE_ADDR"]
        return peer

    @property
    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        """The names in the verified client certificate of the connection; none where the HTTP server passes none."""
        names: Mapping[str, Sequence[bytes]] = self._environ.get(AUTH_CONTEXT, {})
        return names

    def header(self, name: str) -> str | None:
        """A header's value; the values of a repeated header are joined by commas (RFC 9110 §5.3).

        Args:
            name: in upper case with underscores, as WSGI writes it without its `HTTP_`: `X_CORRELATOR`.
        """
        if name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            return self._environ.get(name)
        return self._environ.get("HTTP_" + name)

    def prefetch(self, limit: int) -> None:
        """Read up to `limit` bytes of the body, for `body` to give back."""
        self._prefetched = self._environ["wsgi.input"].read(limit)

    def body(self, limit: int) -> bytes:
        """The body, up to `limit` bytes.

        Raises:
            BodyTooLarge: there are more. No more than `limit` + 1 bytes are read.
            OSError: it did not come, or not in time.
        """
        length = self._environ.get("CONTENT_LENGTH")
        if length and length.isdecimal() and int(length) > limit:
            raise BodyTooLarge
        content = self._prefetched
        if content is None:
            content = self._read_aside(limit + 1)
        if len(content) > limit:
            raise BodyTooLarge
        return content

    def _read_aside(self, limit: int) -> bytes:
        # A client may take its time over the body. Others need not wait for it.
        self._turns.give_back()
        try:
            content: bytes = self._environ["wsgi.input"].read(limit)
        finally:
            self._turns.take()
        return content


class HttpResponse(NamedTuple):
    """One response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def send(self, start_response: StartResponse) -> Iterable[bytes]:
        """Answer through WSGI."""
        start_response(f"{self.status} {_REASON_PHRASES[self.status]}", self.headers)
        return [self.body]


Handler: TypeAlias = Callable[[HttpRequest], HttpResponse]
