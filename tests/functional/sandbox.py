"""Sandboxes as processes of their own."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from functional.service import SCRIPT, START_SECONDS, Service

FREE_PORTS = [part for name in ("http", "grpc", "radius", "admin") for part in (f"--{name}", "127.0.0.1:0")]


def start_sandbox(data_dir: Path, former: Service | None = None, options: Sequence[str] = ()) -> Service:
    """Start a sandbox and wait until it says that it is ready.

    Args:
        data_dir: where it keeps its data.
        former: whose issuer it goes on to be; by default it takes free ports.
        options: more of its command line.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    description, log_path = data_dir / "sandbox.json", data_dir / "log"
    description.unlink(missing_ok=True)
    ports = [*FREE_PORTS]
    if former is not None:
        ports[1] = former.description["issuer"].removeprefix("http://")
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [SCRIPT, "sandbox", "--data-dir", data_dir, *ports, *options], stderr=log, stdout=log
        )
    deadline = time.monotonic() + START_SECONDS
    while not description.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError("the sandbox did not start:\n" + log_path.read_text()[-4000:])
        threading.Event().wait(0.02)
    return Service(data_dir, log_path, process, json.loads(description.read_text()))


@contextmanager
def running_sandbox(data_dir: Path, options: Sequence[str] = ()) -> Iterator[Service]:
    """A sandbox that is stopped in the end, and stops cleanly."""
    started = start_sandbox(data_dir, options=options)
    try:
        yield started
    finally:
        started.finish()
