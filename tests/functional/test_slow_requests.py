"""Requests that never come to their end hold nobody else up."""

import socket
from contextlib import ExitStack
from select import select
from urllib.parse import urlsplit

import pytest

from functional.service import Service
from functional.transports import Rest

FORM = "application/x-www-form-urlencoded"
STUCK = 300
"""More than there are threads and places."""


def begun(service: Service, stack: ExitStack, path: str, media_type: str = FORM, more: str = "") -> socket.socket:
    """A connection with a request whose body never comes."""
    url = urlsplit(service.description["api_root"])
    connection = stack.enter_context(socket.create_connection((url.hostname or "", url.port or 0), timeout=30))
    connection.sendall(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {media_type}\r\n{more}Content-Length: 9\r\n\r\n".encode()
    )
    return connection


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/authorize"])
def test_forms_that_never_come_hold_no_call_up(own_sandbox: Service, path: str) -> None:
    partner, request = own_sandbox.partner, own_sandbox.partner.begin()
    with ExitStack() as stack:
        stuck = [begun(own_sandbox, stack, path) for _ in range(STUCK)]
        assert Rest(own_sandbox).share(own_sandbox.external_token()).code == "OK"
        assert "code=" in partner.open_on("phone-1", request)
        # Those for whom there was no place are told so at once.
        told, _, _ = select(stuck, [], [], 5)
        assert told[0].recv(64).startswith(b"HTTP/1.1 503 ")
    # They hung up, and there are places again.
    assert partner.token_for("phone-1")


def test_a_body_before_a_good_token_is_not_waited_for(own_sandbox: Service) -> None:
    with ExitStack() as stack:
        connection = begun(own_sandbox, stack, "/number-verification/v2/verify")
        assert connection.recv(64).startswith(b"HTTP/1.1 401 ")


def test_calls_whose_body_never_comes_hold_no_other_up(own_sandbox: Service) -> None:
    """Not even with good tokens, and more of them than there are turns."""
    with ExitStack() as stack:
        for _ in range(20):
            bearer = f"Authorization: Bearer {own_sandbox.external_token()}\r\n"
            begun(own_sandbox, stack, "/number-verification/v2/verify", "application/json", bearer)
        outcome = Rest(own_sandbox).verify(own_sandbox.external_token(), phoneNumber="+990555000001")
        assert outcome.body == {"devicePhoneNumberVerified": True}
