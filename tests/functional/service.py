"""A running service as a process of its own, and what acceptance knows of it: `sandbox.json`."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cached_property
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

from number_verification.sandbox.partner import Partner

SCRIPT = Path(sys.executable).parent / "number-verification"
START_SECONDS = 30.0
STOP_SECONDS = 30.0
ANSWER_SECONDS = 30.0
"""A database that hangs is given up before."""

READ_SCOPE = "number-verification:device-phone-number:read"
VERIFY_SCOPE = "number-verification:verify"
PURPOSE = "dpv:FraudPreventionAndDetection"


class HttpAnswer(NamedTuple):
    """What came back by HTTP. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)


class Service:
    """One running service.

    Args:
        data_dir: where it keeps its data.
        log_path: its standard error.
        process: the supervisor.
        description: what `sandbox.json` says, or would say.
    """

    def __init__(
        self, data_dir: Path, log_path: Path, process: subprocess.Popen[bytes], description: dict[str, Any]
    ) -> None:
        self.data_dir = data_dir
        self.log_path = log_path
        self.process = process
        self.description = description

    @cached_property
    def partner(self) -> Partner:
        return Partner(self.description)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The operator's log so far."""
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]

    def logged(self, correlator: str) -> dict[str, Any]:
        """The one line of the log about a call, waited for: it is written after the answer."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for line in self.log_path.read_text().splitlines():
                if correlator in line and '"event":"fault"' not in line:
                    found: dict[str, Any] = json.loads(line)
                    return found
            time.sleep(0.01)
        raise AssertionError("nothing was logged under this correlator")

    def admin(self, path: str) -> HttpAnswer:
        """What the admin listener answers."""
        return request(self.description["admin"], "GET", path)

    def wait_until_ready(self) -> None:
        """Wait until it serves."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.admin("/readyz").status == 200:
                    return
            except (OSError, HTTPException):
                pass
            time.sleep(0.02)
        self.process.kill()
        raise AssertionError("the service did not start:\n" + self.log_path.read_text()[-4000:])

    def external_token(self, key: Any = None, header: dict[str, Any] | None = None, **claims: object) -> str:
        """An access token of the external issuer. A claim or header parameter given as None is left out."""
        issuer = self.description["external_issuer"]
        now = int(time.time())
        everything: dict[str, object] = {
            "iss": issuer["issuer"],
            "sub": "user-1",
            "aud": issuer["audience"],
            "client_id": "external-client",
            "iat": now,
            "exp": now + 60,
            "jti": os.urandom(16).hex(),
            "scope": f"{PURPOSE} {VERIFY_SCOPE} {READ_SCOPE}",
            "phone_number": "+990555000001",
            "amr": ["nba"],
            **claims,
        }
        private = key or ECKey.import_key(issuer["private_jwk"])
        kept = {name: value for name, value in everything.items() if value is not None}
        protected = {"alg": "ES256", "typ": "at+jwt", "kid": issuer["private_jwk"]["kid"], **(header or {})}
        algorithm = str(protected["alg"])
        return jwt.encode({k: v for k, v in protected.items() if v is not None}, kept, private, algorithms=[algorithm])

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL to every process of the service at once, as a machine that runs out of memory does."""
        for pid in [*descendants(self.process.pid), self.process.pid]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

    def finish(self) -> None:
        """Stop it if it still runs; it must stop cleanly."""
        if self.process.poll() is None:
            try:
                assert self.stop() == 0
            except BaseException:
                self.kill()
                raise


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and theirs."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in map(int, children) for found in (*descendants(child), child)]


def is_running(pid: int) -> bool:
    """Whether a process lives; one that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def request(
    root: str,
    method: str,
    target: str,
    headers: tuple[tuple[str, str], ...] | list[tuple[str, str]] = (),
    body: bytes | None = None,
    source: str = "127.0.0.1",
) -> HttpAnswer:
    """One HTTP request from a source address of this machine, its headers as they are given, repeated ones repeated."""
    url = urlsplit(root)
    connection = HTTPConnection(url.hostname or "", url.port, timeout=ANSWER_SECONDS, source_address=(source, 0))
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    return HttpAnswer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
