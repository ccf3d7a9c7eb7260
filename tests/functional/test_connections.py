"""Connections that do nothing keep nobody else out."""

import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

from functional.service import Service
from functional.transports import Grpc, Rest

IDLE = 600
STREAMS = 256
"""Streams that one connection may have open."""


def test_idle_connections_keep_nobody_out(sandbox: Service) -> None:
    url = urlsplit(sandbox.description["api_root"])
    with ExitStack() as idle, Rest(sandbox) as rest:
        for _ in range(IDLE):
            idle.enter_context(socket.create_connection((url.hostname or "", url.port or 0), timeout=5))
        assert rest.share(sandbox.partner.token_for("phone-1")).code == "OK"


def test_refused_calls_leave_no_streams_open(sandbox: Service) -> None:
    """Seen to fail while a call kept the exception that refused it: a cycle holds its stream until it is collected."""
    with Grpc(sandbox) as grpc:
        assert {grpc.share("no-such-token").code for _ in range(STREAMS * 2)} == {"UNAUTHENTICATED"}
