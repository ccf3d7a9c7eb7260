"""Bytes of a connection, each step of which has to be done in time."""

import errno
import io
import ssl
import time
from collections.abc import Callable
from functools import partial
from socket import socket
from typing import Any, Protocol, TypeVar

_T = TypeVar("_T")

_LOOK_UP_SECONDS = 0.25
"""How often something that waits looks whether the listener stops."""


class Closing(Protocol):
    """What knows when everything must have come to its end."""

    ends_at: float
    """On the monotonic clock."""


class Stream(io.RawIOBase):
    """Reads and writes until a deadline, however the bytes trickle.

    A timeout of the socket is for one read: a client that sends a byte before it runs out keeps a thread for ever.

    Args:
        connection: connected; with TLS or without.
        closing: whose end is a deadline too.
    """

    def __init__(self, connection: socket, closing: Closing) -> None:
        super().__init__()
        self._socket = connection
        self._closing = closing
        self._deadline = 0.0
        self.asleep = False
        """Whether to read what is here already and nothing more."""

    def arm(self, seconds: float) -> None:
        """Give it so many seconds from now."""
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read some bytes; 0 at the end, None where there are none and it sleeps.

        Raises:
            TimeoutError: the deadline has passed.
            ConnectionResetError: the connection broke.
        """
        if self.asleep and not (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            return None
        return self.in_time(lambda: self._socket.recv_into(buffer))

    def write_all(self, content: bytes) -> None:
        """Write all of it.

        Raises:
            TimeoutError: the deadline has passed.
            ConnectionResetError: the connection broke.
        """
        rest = memoryview(content)
        while rest:
            rest = rest[self.in_time(partial(self._socket.send, rest)) :]

    def in_time(self, step: Callable[[], _T]) -> _T:
        """Take a step that may block; again, while it only has to wait."""
        while True:
            left = min(self._deadline, self._closing.ends_at) - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._socket.settimeout(min(left, _LOOK_UP_SECONDS))
            try:
                return step()
            except TimeoutError:
                continue
            except ssl.SSLError:
                raise ConnectionResetError(errno.ECONNRESET, "TLS broke") from None


class Reader(io.BufferedReader):
    """What reads requests."""

    raw: Stream

    def has_data(self) -> bool:
        """Whether something is here that no selector would tell of."""
        self.raw.asleep = True
        try:
            return bool(self.peek(1))
        finally:
            self.raw.asleep = False


class Writer:
    """What writes answers."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def write(self, content: bytes) -> None:
        """Write all of it."""
        self._stream.write_all(content)
