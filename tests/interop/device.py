"""A device: an HTTP client whose connections come from an address, and from one of some ports, of its own."""

import random
import socket
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlsplit

from functional.service import HttpAnswer
from number_verification_client import AuthorizationRequest

TIMEOUT = 10.0


class Device(NamedTuple):
    """Where a device's connections come from."""

    address: str
    ports: range = range(1)
    """Those that CGNAT gave it; by default any that is free."""

    def connect(self, root: str) -> HTTPConnection:
        """Connect to the host of a URL."""
        url = urlsplit(root)
        connection = HTTPConnection(url.hostname or "", url.port, timeout=TIMEOUT)
        connection.sock = self._connected(url.hostname or "", url.port or 0)
        return connection

    def get(self, url: str, headers: tuple[tuple[str, str], ...] = ()) -> HttpAnswer:
        """One request on a connection of its own."""
        connection = self.connect(url)
        try:
            return get(connection, url, headers)
        finally:
            connection.close()

    def open(self, root: str, request: AuthorizationRequest, headers: tuple[tuple[str, str], ...] = ()) -> HttpAnswer:
        """Open an authorization request at another host than the issuer: the proxy in front of it."""
        return self.get(root + request.url.removeprefix(request.issuer), headers)

    def _connected(self, host: str, port: int) -> socket.socket:
        for source_port in random.sample(self.ports, len(self.ports)):
            connection = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            connection.settimeout(TIMEOUT)
            try:
                connection.bind((self.address, source_port))
                connection.connect((host, port))
            except OSError:
                connection.close()
                continue
            return connection
        raise ConnectionError(f"cannot connect to port {port} from {self.address}")


def get(connection: HTTPConnection, url: str, headers: tuple[tuple[str, str], ...] = ()) -> HttpAnswer:
    """One request on an open connection, its headers as they are given, repeated ones repeated."""
    parts = urlsplit(url)
    connection.putrequest("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    content = response.read()
    return HttpAnswer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
