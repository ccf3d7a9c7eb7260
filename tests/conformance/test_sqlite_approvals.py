import pytest

from conformance.approvals import ApprovalRecordsSuite
from conformance.databases import Databases, sqlite_databases


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return sqlite_databases(tmp_path_factory.mktemp("sqlite"))


class TestSqliteApprovalRecords(ApprovalRecordsSuite):
    pass
