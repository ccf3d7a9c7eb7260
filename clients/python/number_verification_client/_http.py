"""One HTTP exchange after another, for sync and for async programs.

A procedure is written once, as a generator that yields what to send and is given what came back. `run` and `run_async`
drive it. Nothing is followed, nothing is sent twice, and an answer has a limit in size and in time.
"""

import asyncio
import contextlib
import functools
import json
import ssl
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar, cast

import httpx

from number_verification_client import errors

Result = TypeVar("Result")

DEFAULT_TIMEOUT = 10.0
"""Seconds that one exchange may take."""
MAX_ANSWER = 64 * 1024
"""Bytes of an answer's body."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request: a GET, or a POST where there is a form."""

    url: str
    form: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, in full."""

    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)

    def json_object(self) -> dict[str, Any] | None:
        """The body as a JSON object; None if it is none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    @property
    def retry_after(self) -> float | None:
        """Seconds of Retry-After (RFC 9110 §10.2.3), where they are given in seconds."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


Steps: TypeAlias = Generator[Outgoing, Answer, Result]


def run(steps: Steps[Result], http: httpx.Client | None, timeout: float) -> Result:
    """Drive a procedure.

    Args:
        steps: the procedure.
        http: the caller's client, for connections that live on; None for one of our own, closed at the end.
        timeout: seconds for each exchange; up to the answer's body, seconds for each read of its headers.

    Raises:
        Unavailable, Timeout: the server cannot be reached, or not in time.
        ResponseRejected: the answer is too large.
    """
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(httpx.Client(verify=_tls())) if http is None else http
        outgoing = next(steps)
        while True:
            answer = _exchange(client, outgoing, timeout)
            try:
                outgoing = steps.send(answer)
            except StopIteration as end:
                return cast("Result", end.value)


async def run_async(steps: Steps[Result], http: httpx.AsyncClient | None, timeout: float) -> Result:
    """`run` for asyncio; here `timeout` holds for a whole exchange, headers included."""
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(verify=_tls())) if http is None else http
        outgoing = next(steps)
        while True:
            answer = await _exchange_async(client, outgoing, timeout)
            try:
                outgoing = steps.send(answer)
            except StopIteration as end:
                return cast("Result", end.value)


@functools.cache
def _tls() -> ssl.SSLContext:
    """How servers are authenticated. Made once: reading the CAs costs more than all else that a client needs."""
    return httpx.create_ssl_context()


def _exchange(client: httpx.Client, outgoing: Outgoing, timeout: float) -> Answer:
    body = _Body(timeout)
    with _translated():
        request = _request(client, outgoing, timeout)
        response = client.send(request, stream=True, auth=None, follow_redirects=False)
        with contextlib.closing(response):
            for chunk in response.iter_raw():
                body.add(chunk)
    return body.answer(response)


async def _exchange_async(client: httpx.AsyncClient, outgoing: Outgoing, timeout: float) -> Answer:
    body = _Body(timeout)
    with _translated():
        async with asyncio.timeout(timeout):
            request = _request(client, outgoing, timeout)
            response = await client.send(request, stream=True, auth=None, follow_redirects=False)
            async with contextlib.aclosing(response):
                async for chunk in response.aiter_raw():
                    body.add(chunk)
    return body.answer(response)


def _request(client: httpx.Client | httpx.AsyncClient, outgoing: Outgoing, timeout: float) -> httpx.Request:
    # No compression: a small answer must not unfold into a large one.
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    method = "GET" if outgoing.form is None else "POST"
    return client.build_request(method, outgoing.url, data=outgoing.form, headers=headers, timeout=timeout)


class _Body:
    """The body of an answer, as it comes in."""

    def __init__(self, timeout: float) -> None:
        self._content = bytearray()
        self._deadline = time.monotonic() + timeout

    def add(self, chunk: bytes) -> None:
        self._content += chunk
        if len(self._content) > MAX_ANSWER:
            raise errors.ResponseRejected("the answer is too large", reason="MALFORMED_ANSWER")
        # The timeouts of httpx are per read: a server that sends a byte now and then would never meet them.
        if time.monotonic() > self._deadline:
            raise TimeoutError

    def answer(self, response: httpx.Response) -> Answer:
        return Answer(response.status_code, response.headers, bytes(self._content))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise errors.Unavailable(
            "the server cannot be reached", reason="UNAVAILABLE", token_may_be_used=False
        ) from error
    except (httpx.TimeoutException, TimeoutError) as error:
        raise errors.Timeout("no answer in time", reason="TIMEOUT") from error
    except httpx.HTTPError as error:
        raise errors.Unavailable("the connection failed", reason="UNAVAILABLE") from error
