"""Requests as the HTTP server passes them on."""

import io
from typing import Any
from urllib.parse import urlencode

from number_verification.rest.http import HttpRequest
from number_verification.rest.turns import Turns


def form(parameters: dict[str, str], peer: str = "127.0.0.1", **headers: str) -> HttpRequest:
    """A form that was posted. Headers are named as WSGI names them, without `HTTP_`."""
    body = urlencode(parameters).encode()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "REMOTE_ADDR": peer,
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **{f"HTTP_{name}": value for name, value in headers.items()},
    }
    turns = Turns(1)
    turns.take()
    return HttpRequest(environ, turns)


def get(query: dict[str, str], peer: str = "127.0.0.1", **headers: str) -> HttpRequest:
    """A request with a query."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "REMOTE_ADDR": peer,
        "QUERY_STRING": urlencode(query),
        "wsgi.input": io.BytesIO(),
        **{f"HTTP_{name}": value for name, value in headers.items()},
    }
    return HttpRequest(environ, Turns(1))
