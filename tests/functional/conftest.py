"""A sandbox of one's own, and the two ways to call it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from functional.sandbox import Sandbox, running_sandbox
from functional.transports import Grpc, Rest, Transport


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as started:
        yield started


@pytest.fixture
def own_sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """For tests that stop it or break something."""
    with running_sandbox(tmp_path / "sandbox") as started:
        yield started


@pytest.fixture(params=["grpc", "rest"])
def transport(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Transport]:
    """Every behaviour is tested where a caller meets it: over both transports."""
    with (Grpc(sandbox) if request.param == "grpc" else Rest(sandbox)) as opened:
        yield opened
