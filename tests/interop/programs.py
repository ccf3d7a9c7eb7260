"""Independent programs: run to their end, or as processes beside the service."""

import os
import shutil
import socket
import string
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from interop.device import Device

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
LOOPBACK, LOOPBACK_IPV6 = "127.0.0.1", "::1"
START_SECONDS = 20.0
STOP_SECONDS = 10.0


def program(name: str) -> str:
    """Where a program is."""
    # Debian's haproxy is where not everybody's path leads.
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    assert found is not None, f"{name} is missing: tests/interop/install.sh installs it"
    return found


def run(*command: str | Path, given: str = "", cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever it is."""
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False, cwd=cwd)


def free_port() -> int:
    """A TCP port that nobody uses now, on either loopback address."""
    while True:
        with socket.socket(socket.AF_INET6) as ipv6, socket.socket() as ipv4:
            ipv6.bind((LOOPBACK_IPV6, 0))
            port: int = ipv6.getsockname()[1]
            try:
                ipv4.bind((LOOPBACK, port))
            except OSError:
                continue
            return port


def filled_in(example: Path, variables: Mapping[str, str]) -> str:
    """An example with its names in braces replaced, as envsubst does; each must have a value."""
    return string.Template(example.read_text()).substitute(variables)


def envoy(example: Path, directory: Path, variables: Mapping[str, str], more: str = "{}") -> list[str | Path]:
    """How to run Envoy with an example, filled in, and with more that is merged into it."""
    config = directory / example.name
    config.write_text(filled_in(example, variables))
    options = ("--disable-hot-restart", "--concurrency", "1", "--log-level", "warning")
    return [BIN / "envoy", *options, "--config-path", config, "--config-yaml", more]


@contextmanager
def running(
    command: list[str | Path], log_path: Path, ready: str, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """A program that is ended afterwards.

    Args:
        command: the program and its arguments.
        log_path: for all that it prints.
        ready: a URL that the service behind the program answers; until then, the program answers 5xx or not at all.
        environment: added to ours.
    """
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(environment or {})})
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(ready):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{command[0]} did not get ready:\n{log_path.read_text()[-4000:]}")
            threading.Event().wait(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return Device(LOOPBACK).get(url).status < 500
    except (OSError, HTTPException):
        return False
