"""One HTTP request from an address of this machine: in the sandbox, where it comes from is who one is."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

TIMEOUT = 10.0


class Answer(NamedTuple):
    """What came back by HTTP."""

    status: int
    headers: Mapping[str, str]
    body: Any


def exchange(
    target: str,
    root: str,
    *,
    method: str = "GET",
    source: str = "127.0.0.1",
    headers: Mapping[str, str] | None = None,
    body: object = None,
) -> Answer:
    """One HTTP request from a source address of this machine."""
    url = urlsplit(root)
    connection = HTTPConnection(url.hostname or "", url.port, timeout=TIMEOUT, source_address=(source, 0))
    content = None if body is None else json.dumps(body)
    media_type = {"Content-Type": "application/json"} if content is not None else {}
    try:
        connection.request(method, target, content, {**media_type, **(headers or {})})
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    return Answer(
        response.status,
        {name.lower(): value for name, value in response.getheaders()},
        json.loads(answer) if answer else None,
    )
