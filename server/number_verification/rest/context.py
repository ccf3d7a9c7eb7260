"""A `grpc.ServicerContext` for calls that came by HTTP, so that one list of interceptors serves both transports."""

import math
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

import grpc

from number_verification.interceptors.call import Call, current
from number_verification.rest.http import HttpRequest

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]

_HEADERS = (
    ("AUTHORIZATION", "authorization"),
    ("X_CORRELATOR", "x-correlator"),
    ("X_NETWORK_ORIGIN_ADDRESS", "x-network-origin-address"),
    ("X_NETWORK_ORIGIN_ACCESS", "x-network-origin-access"),
    ("X_NETWORK_ORIGIN_TETHERED", "x-network-origin-tethered"),
)
"""The headers that become metadata, and no other: a gateway that passes on whatever a client names is a way around
the origin check."""


class Aborted(Exception):
    """The call was ended with a status; why, the call's refusal says.

    Args:
        call: the call that was ended.
    """

    def __init__(self, call: Call) -> None:
        super().__init__()
        self.call = call


class RestContext(grpc.ServicerContext):
    """One call by HTTP."""

    transport = "rest"

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._initial_metadata: Metadata = ()

    def invocation_metadata(self) -> Metadata:
        """The headers that mean something to the service."""
        header = self._request.header
        return tuple((key, value) for name, key in _HEADERS if (value := header(name)) is not None)

    def peer(self) -> str:
        """The peer as gRPC writes it. The HTTP server passes no port on: 0 stands for it."""
        peer = self._request.peer
        return f"ipv6:[{peer}]:0" if ":" in peer else f"ipv4:{peer}:0"

    def auth_context(self) -> Any:
        """Who the client certificate names; the public HTTP server does not pass that on."""
        return self._request.auth_context

    def peer_identities(self) -> None:
        """Nobody."""
        return

    def peer_identity_key(self) -> None:
        """Nothing."""
        return

    def send_initial_metadata(self, initial_metadata: Metadata) -> None:
        """Keep what becomes headers of the answer."""
        self._initial_metadata = initial_metadata

    def headers(self) -> list[tuple[str, str]]:
        """The initial metadata as headers of the answer."""
        return [(key, value) for key, value in self._initial_metadata if isinstance(value, str)]

    def set_trailing_metadata(self, trailing_metadata: Metadata) -> None:
        """Drop it: HTTP answers have headers only."""

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        """End the call."""
        raise Aborted(current.get())

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """End the call."""
        raise Aborted(current.get())

    def set_code(self, code: grpc.StatusCode) -> None:
        """Not how this service answers."""
        raise NotImplementedError

    def set_details(self, details: str) -> None:
        """Not how this service answers."""
        raise NotImplementedError

    def is_active(self) -> bool:
        """Whether anybody waits for the answer; WSGI does not tell."""
        return True

    def time_remaining(self) -> float:
        """HTTP requests carry no deadline."""
        return math.inf

    def cancel(self) -> None:
        """There is nobody to tell."""

    def add_callback(self, callback: Callable[[], Any]) -> bool:
        """Calls by HTTP do not end early."""
        return False
