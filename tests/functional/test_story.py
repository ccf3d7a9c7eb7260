"""What `make demo` runs: the user story through real sockets."""

import os
import re
import subprocess

from functional.sandbox import FREE_PORTS
from functional.service import SCRIPT
from number_verification.sandbox.devices import DEVICES


def test_the_story_comes_out_right() -> None:
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    told = subprocess.run(
        [SCRIPT, "story", *FREE_PORTS], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.count("✓") > 20
    assert "✗" not in told.stdout
    for device in DEVICES:
        assert device.name in told.stdout
        if device.refused is not None:
            assert device.refused.value in told.stdout
        # The story is shown to people, who need no numbers to follow it.
        assert device.imsi not in told.stdout
    for transport in ("gRPC", "REST", "RADIUS"):
        assert transport in told.stdout
    assert not re.search(r"eyJ[A-Za-z0-9_-]{20}", told.stdout)
    assert "Traceback" not in told.stderr
