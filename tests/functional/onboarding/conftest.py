from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from conformance.databases import Databases, open_registry, postgresql_databases, sqlite_databases
from functional.onboarding.wire import Call, over_grpc, over_rest
from number_verification.domain.onboarding.principal import CHANNEL_PARTNER, Principal
from number_verification.registry.database import open_database
from number_verification.registry.store import Reading, Writing
from number_verification.registry.usage import SqlUsage
from number_verification.services.onboarding import OnboardingServicer
from unit.domain.onboarding import world
from unit.domain.onboarding.memory import MemoryRegistry
from unit.services.onboarding import servicer

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
    engine = open_database(sqlite_databases(tmp_path_factory.mktemp("usage"))())
    yield servicer(switched, SqlUsage(engine))  # type: ignore[arg-type]
    engine.dispose()


@pytest.fixture(scope="session", params=["grpc", "rest"])
def transport(request: pytest.FixtureRequest, service: OnboardingServicer) -> Iterator[Call]:
    """Every behaviour is tested where a caller meets it: over both transports."""
    with (over_grpc if request.param == "grpc" else over_rest)(service, PRINCIPALS) as call:
        yield call


@pytest.fixture
def in_memory(switched: Switched) -> MemoryRegistry:
    switched.registry = world.world()
    return switched.registry  # type: ignore[no-any-return]


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    if request.param == "sqlite":
        return sqlite_databases(tmp_path_factory.mktemp("sqlite"))
    return postgresql_databases(request.getfixturevalue("postgresql"))


@pytest.fixture
def on_database(switched: Switched, databases: Databases) -> Iterator[None]:
    """An empty registry."""
    registry = open_registry(databases())
    switched.registry = registry
    yield
    registry.close()
