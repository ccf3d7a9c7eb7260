"""Partners and devices that call from many threads, and note what they were told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any

from functional.authorization import OAuthClient, callback
from functional.service import Service
from functional.transports import Grpc, Rest

UNREACHABLE = "UNREACHABLE"


class Load:
    """What came of the calls so far.

    Args:
        service: which is called.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.stopping = threading.Event()
        self.codes: list[tuple[float, str, str]] = []
        """When each call ended, by which transport, with which code."""
        self.used_tokens: list[str] = []
        """Tokens that were answered with OK."""
        self.cancelled_tokens: list[str] = []
        """Tokens of calls that the server cancelled."""
        self.used_codes: list[tuple[str, str]] = []
        """Codes that gave a token, and the assertions beside them."""
        self.faults: list[BaseException] = []

    def calls(self, transport: str) -> int:
        return sum(1 for _, name, _ in self.codes if name == transport)

    def run(self, name: str) -> None:
        """Authorize and call, again and again."""
        oauth = OAuthClient(self.service)
        try:
            with Grpc(self.service) if name == "grpc" else Rest(self.service) as transport:
                while not self.stopping.is_set():
                    token = self._token(oauth)
                    if token is None:
                        continue
                    try:
                        code = transport.share(token).code
                    except (OSError, HTTPException):
                        code = UNREACHABLE
                    self.codes.append((time.monotonic(), name, code))
                    if code == "OK":
                        self.used_tokens.append(token)
                    elif code == "CANCELLED":
                        self.cancelled_tokens.append(token)
        except BaseException as fault:
            self.faults.append(fault)
            raise

    def _token(self, oauth: OAuthClient) -> str | None:
        try:
            asked = oauth.authorize()
            if asked.status == 503:
                return None
            code = callback(asked, oauth.redirect_uri)["code"]
            assertion = oauth.assertion()
            answer = oauth.redeem(code, client_assertion=assertion)
        except (OSError, HTTPException):
            # The device finds nobody; the partner goes on with what it has from elsewhere.
            return self.service.external_token()
        if answer.status != 200:
            assert answer.status == 503, answer
            return None
        self.used_codes.append((code, assertion))
        token: str = answer.json["access_token"]
        return token


@contextmanager
def load(service: Service, threads: int = 2) -> Iterator[Load]:
    """Load from as many threads for each transport. All must have gone on without a fault."""
    running = Load(service)
    workers = [
        threading.Thread(target=running.run, args=(name,), daemon=True)
        for name in ("grpc", "rest")
        for _ in range(threads)
    ]
    for worker in workers:
        worker.start()
    try:
        yield running
    finally:
        running.stopping.set()
        for worker in workers:
            worker.join(15)
    assert not running.faults
    assert not any(worker.is_alive() for worker in workers)


def wait_until(condition: Any, seconds: float = 20.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
