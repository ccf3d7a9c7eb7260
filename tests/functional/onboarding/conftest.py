from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from functional.onboarding.wire import Call, over_grpc, over_rest
from number_verification.domain.onboarding.principal import CHANNEL_PARTNER, Principal
from number_verification.registry.store import Reading, Writing
from number_verification.services.onboarding import OnboardingServicer
from unit.domain.onboarding import world
from unit.domain.onboarding.memory import MemoryRegistry
from unit.services.onboarding import servicer, sqlite_registry

ROLES: dict[str, Principal] = {
    "operator-staff": world.STAFF,
    "channel-partner": world.person_of(world.AGGREGATOR, CHANNEL_PARTNER),
    "business-manager": world.MANAGER,
    "administrator": world.ADMINISTRATOR,
    "user": world.USER,
    **{role: Principal(role, frozenset({role})) for role in ("session-feed", "session-read", "consent-manager")},
}
"""One caller with each role that there is."""

PRINCIPALS = (*ROLES.values(), world.PARTNER, world.PARTNER_MANAGER)


class Switched:
    """A registry that a test replaces under a service that runs on."""

    def __init__(self) -> None:
        self.registry: Any = MemoryRegistry()

    def reading(self) -> AbstractContextManager[Reading]:
        return self.registry.reading()  # type: ignore[no-any-return]

    def writing(self) -> AbstractContextManager[Writing]:
        return self.registry.writing()  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def switched() -> Switched:
    return Switched()


@pytest.fixture(scope="session")
def service(switched: Switched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnboardingServicer]:
    registry, usage = sqlite_registry(tmp_path_factory.mktemp("usage"))
    yield servicer(switched, usage)  # type: ignore[arg-type]
    registry.close()


@pytest.fixture(scope="session", params=["grpc", "rest"])
def transport(request: pytest.FixtureRequest, service: OnboardingServicer) -> Iterator[Call]:
    """Every behaviour is tested where a caller meets it: over both transports."""
    with (over_grpc if request.param == "grpc" else over_rest)(service, PRINCIPALS) as call:
        yield call


@pytest.fixture
def in_memory(switched: Switched) -> MemoryRegistry:
    switched.registry = world.world()
    return switched.registry  # type: ignore[no-any-return]


@pytest.fixture
def on_sqlite(switched: Switched, tmp_path: Path) -> Iterator[None]:
    """An empty registry on SQLite."""
    registry, _ = sqlite_registry(tmp_path)
    switched.registry = registry
    yield
    registry.close()
