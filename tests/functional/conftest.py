"""A sandbox of one's own, and the two ways to call it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from functional.authorization import OAuthClient
from functional.sandbox import running_sandbox
from functional.service import Service
from functional.transports import Grpc, Rest, Transport


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Shared by the tests that leave it as it was."""
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as started:
        yield started


@pytest.fixture
def own_sandbox(tmp_path: Path) -> Iterator[Service]:
    """For tests that stop it or break something."""
    with running_sandbox(tmp_path / "sandbox") as started:
        yield started


@pytest.fixture(params=["grpc", "rest"])
def transport(request: pytest.FixtureRequest, sandbox: Service) -> Iterator[Transport]:
    """Every behaviour is tested where a caller meets it: over both transports."""
    with Grpc(sandbox) if request.param == "grpc" else Rest(sandbox) as opened:
        yield opened


@pytest.fixture
def rest(sandbox: Service) -> Rest:
    return Rest(sandbox)


@pytest.fixture
def grpc_api(sandbox: Service) -> Iterator[Grpc]:
    with Grpc(sandbox) as opened:
        yield opened


@pytest.fixture
def oauth(sandbox: Service) -> OAuthClient:
    return OAuthClient(sandbox)
