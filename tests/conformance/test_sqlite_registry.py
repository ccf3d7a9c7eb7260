import pytest

from conformance.allowances import AllowancesSuite
from conformance.databases import Databases, sqlite_databases
from conformance.registry import RegistrySuite
from conformance.usage import UsageSuite


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return sqlite_databases(tmp_path_factory.mktemp("sqlite"))


class TestSqliteRegistry(RegistrySuite):
    pass


class TestSqliteAllowances(AllowancesSuite):
    pass


class TestSqliteUsage(UsageSuite):
    pass
