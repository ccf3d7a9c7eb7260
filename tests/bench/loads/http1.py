"""HTTP/1.1 on a kept connection, one request at a time, as few bytes read as can be."""

import socket

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"
_LAST_CHUNK = b"0\r\n\r\n"


class Http1:
    """One connection.

    Args:
        address: the server's.
        source: the address to connect from.
    """

    def __init__(self, address: tuple[str, int], source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(address, timeout=30, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pending = b""

    def submit(self, request: bytes) -> None:
        """Send a request."""
        self.socket.sendall(request)

    def received(self, data: bytes) -> list[bytes]:
        """The answer, once it is complete: head and body."""
        answer = self._pending + data
        if not _is_complete(answer):
            self._pending = answer
            return []
        self._pending = b""
        return [answer]

    def again(self) -> None:
        """Nothing: TCP has sent what there was."""


def _is_complete(answer: bytes) -> bool:
    end = answer.find(_END_OF_HEAD)
    if end < 0:
        return False
    head = answer[:end].lower()
    at = head.find(_LENGTH)
    if at < 0:
        return answer.endswith(_LAST_CHUNK)
    length = int(head[at + len(_LENGTH) :].split(b"\r", 1)[0])
    return len(answer) == end + len(_END_OF_HEAD) + length


def request(method: str, target: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A request as bytes."""
    lines = [f"{method} {target} HTTP/1.1", "Host: bench", *(f"{name}: {value}" for name, value in headers.items())]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
