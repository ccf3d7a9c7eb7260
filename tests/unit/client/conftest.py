from collections.abc import Iterator

import pytest

from unit.client.provider import AuthorizationServer, running_provider
from unit.client.service import FACES, Service, running


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    with running(service):
        yield service


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with running_provider() as server:
        yield server
