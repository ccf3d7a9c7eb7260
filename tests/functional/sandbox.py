"""A sandbox as a process of its own, and what acceptance knows of it: `sandbox.json`."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey
from number_verification.sandbox.partner import Partner

SCRIPT = Path(sys.executable).parent / "number-verification"
START_SECONDS = 30.0
STOP_SECONDS = 30.0


class Sandbox:
    """One running sandbox."""

    def __init__(self, data_dir: Path, process: subprocess.Popen[bytes]) -> None:
        self.data_dir = data_dir
        self.process = process
        self.description: dict[str, Any] = json.loads((data_dir / "sandbox.json").read_text())
        self.partner = Partner(self.description)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The operator's log so far."""
        return [json.loads(line) for line in (self.data_dir / "log").read_text().splitlines()]

    def logged(self, correlator: str) -> dict[str, Any]:
        """The one line of the log about a call, waited for: it is written after the answer."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for line in self.log:
                if line.get("correlator") == correlator and line["event"] in ("call", "authorization"):
                    return line
            time.sleep(0.01)
        raise AssertionError("nothing was logged under this correlator")

    def external_token(self, key: ECKey | None = None, header: dict[str, Any] | None = None, **claims: object) -> str:
        """An access token of the external issuer. A claim given as None is left out."""
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
            "scope": "dpv:FraudPreventionAndDetection number-verification:verify "
            "number-verification:device-phone-number:read",
            "phone_number": "+990555000001",
            "amr": ["nba"],
            **claims,
        }
        private = key or ECKey.import_key(issuer["private_jwk"])
        kept = {name: value for name, value in everything.items() if value is not None}
        protected = {"alg": "ES256", "typ": "at+jwt", "kid": issuer["private_jwk"]["kid"], **(header or {})}
        return jwt.encode({k: v for k, v in protected.items() if v is not None}, kept, private)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL to every process of the sandbox at once, as a machine that runs out of memory does."""
        for pid in [*descendants(self.process.pid), self.process.pid]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and theirs."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [found for child in map(int, children) for found in (*descendants(child), child)]


def start_sandbox(data_dir: Path) -> Sandbox:
    """Start a sandbox on free ports and wait until it says that it is ready."""
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / "sandbox.json").unlink(missing_ok=True)
    free = [part for name in ("http", "grpc", "radius", "admin") for part in (f"--{name}", "127.0.0.1:0")]
    with (data_dir / "log").open("ab") as log:
        process = subprocess.Popen([SCRIPT, "sandbox", "--data-dir", data_dir, *free], stderr=log, stdout=log)
    deadline = time.monotonic() + START_SECONDS
    while not (data_dir / "sandbox.json").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError("the sandbox did not start:\n" + (data_dir / "log").read_text()[-4000:])
        threading.Event().wait(0.02)
    return Sandbox(data_dir, process)


@contextmanager
def running_sandbox(data_dir: Path) -> Iterator[Sandbox]:
    """A sandbox that is stopped in the end, and stops cleanly."""
    started = start_sandbox(data_dir)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            assert started.stop() == 0
