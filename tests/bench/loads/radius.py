"""RADIUS accounting from one source port, with as many packets in flight as there are identifiers at most."""

import hashlib
import socket
import struct

_ACCOUNTING_REQUEST, _ACCOUNTING_RESPONSE = 4, 5


class Gateway:
    """One source port of a gateway. A request is the attributes of an Accounting-Request.

    Args:
        address: the server's.
        secret: shared with it.
    """

    def __init__(self, address: tuple[str, int], secret: bytes) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.connect(address)
        self._secret = secret
        self._identifier = 0
        self._waiting: dict[int, bytes] = {}

    def submit(self, request: bytes) -> None:
        """Send a packet with the next identifier that is free."""
        while self._identifier in self._waiting:
            self._identifier = (self._identifier + 1) % 256
        identifier = self._identifier
        self._identifier = (identifier + 1) % 256
        head = struct.pack("!BBH", _ACCOUNTING_REQUEST, identifier, 20 + len(request))
        packet = head + _md5(head, bytes(16), request, self._secret) + request
        self._waiting[identifier] = packet
        self.socket.send(packet)

    def received(self, data: bytes) -> list[bytes]:
        """The answer, unless it is a second one.

        Raises:
            ConnectionError: it is not an answer to what was asked (RFC 2866 §3, Response Authenticator).
        """
        packet = self._waiting.pop(data[1], None)
        if packet is None:
            return []
        if data[0] != _ACCOUNTING_RESPONSE or data[4:20] != _md5(data[:4], packet[4:20], data[20:], self._secret):
            raise ConnectionError("an answer is not signed as it must be")
        return [data]

    def again(self) -> None:
        """Send again what was not answered, as gateways do (RFC 2866 §2)."""
        for packet in self._waiting.values():
            self.socket.send(packet)


def _md5(*parts: bytes) -> bytes:
    # MD5 is what RADIUS is made of.
    return hashlib.md5(b"".join(parts), usedforsecurity=False).digest()
