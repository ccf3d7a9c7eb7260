import pytest

from conformance.approvals import ANNA, BANK, FRAUD, GIVE, ApprovalRecordsSuite, opened
from conformance.databases import Databases, migrated, postgresql_databases
from number_verification.domain.faults import StoreUnavailable
from postgresql import Postgresql, running_postgresql


@pytest.fixture(scope="module")
def databases(postgresql: Postgresql) -> Databases:
    return postgresql_databases(postgresql)


class TestPostgresqlApprovalRecords(ApprovalRecordsSuite):
    pass


def test_a_server_that_went_away_is_found_again() -> None:
    with running_postgresql() as server:
        records = opened(migrated(server.database()))
        records.record(GIVE)
        assert len(records.concerning(ANNA, BANK, FRAUD)) == 1
        server.stop()
        with pytest.raises(StoreUnavailable) as unavailable:
            records.concerning(ANNA, BANK, FRAUD)
        assert BANK not in str(unavailable.value)
        server.start()
        assert len(records.concerning(ANNA, BANK, FRAUD)) == 1
        assert records.change() == 1
        # The connection that it kept is dead by now, and replaced at once.
        server.stop()
        server.start()
        assert len(records.concerning(ANNA, BANK, FRAUD)) == 1
        records.close()
