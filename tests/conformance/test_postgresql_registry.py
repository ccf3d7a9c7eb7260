import pytest

from conformance.allowances import AllowancesSuite
from conformance.databases import Databases, postgresql_databases
from conformance.registry import RegistrySuite
from conformance.usage import UsageSuite
from postgresql import Postgresql


@pytest.fixture(scope="module")
def databases(postgresql: Postgresql) -> Databases:
    return postgresql_databases(postgresql)


class TestPostgresqlRegistry(RegistrySuite):
    pass


class TestPostgresqlAllowances(AllowancesSuite):
    pass


class TestPostgresqlUsage(UsageSuite):
    pass
