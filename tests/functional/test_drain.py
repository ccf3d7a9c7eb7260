"""SIGTERM under load: what was taken on is finished, and nobody is told anything but that the service is not there."""

import time
from collections import Counter
from pathlib import Path

import pytest

from functional.load import UNREACHABLE, load, wait_until
from functional.sandbox import start_sandbox
from functional.service import descendants, is_running
from functional.transports import Rest


@pytest.mark.parametrize("early", [True, False])
def test_a_clean_stop(tmp_path: Path, early: bool) -> None:
    service = start_sandbox(tmp_path / "sandbox")
    try:
        processes = descendants(service.process.pid)
        with load(service) as running:
            if not early:
                wait_until(lambda: min(running.calls("grpc"), running.calls("rest")) > 20)
            began = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - began < 15
        before = {code for ended, _, code in running.codes if ended < began}
        after = Counter((transport, code) for ended, transport, code in running.codes if ended >= began)
        assert before <= {"OK"}
        # gRPC's core cancels the calls that it has read but not begun when its shutdown begins.
        assert after.pop(("grpc", "CANCELLED"), 0) == len(running.cancelled_tokens) <= 4
        assert {code for _, code in after} <= {"OK", "UNAVAILABLE", UNREACHABLE}
        assert not (tmp_path / "sandbox" / "sandbox.json").exists()
        wait_until(lambda: not any(map(is_running, processes)))
        assert not [line for line in service.log if line.get("level") == "error"]
        assert "Traceback" not in service.log_path.read_text()
        if running.cancelled_tokens:
            # Nothing was done for them.
            service = start_sandbox(tmp_path / "sandbox", service)
            assert {Rest(service).share(token).code for token in running.cancelled_tokens} == {"OK"}
    finally:
        service.finish()
