"""SIGTERM under load: what was taken on is finished, and nobody is told anything but that the service is not there."""

import time
from pathlib import Path

import pytest
from functional.load import UNREACHABLE, load, wait_until
from functional.sandbox import start_sandbox
from functional.service import descendants


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
        after = {code for ended, _, code in running.codes if ended >= began}
        assert before <= {"OK"}
        assert after <= {"OK", "UNAVAILABLE", UNREACHABLE}
        assert not (tmp_path / "sandbox" / "sandbox.json").exists()
        assert not any(Path(f"/proc/{pid}").exists() for pid in processes)
        assert not [line for line in service.log if line.get("level") == "error"]
        assert "Traceback" not in service.log_path.read_text()
    finally:
        service.finish()
