from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from conformance.approvals import ApprovalRecordsSuite, Opener, opened, writing_in
from number_verification.registry.database import open_database
from number_verification.registry.migration import migrate


class TestSqliteApprovalRecords(ApprovalRecordsSuite):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        url = f"sqlite:///{tmp_path}/registry.db"
        migrate(open_database(url))
        return url

    @pytest.fixture
    def opener(self, url: str) -> Opener:
        return partial(opened, url)

    @pytest.fixture
    def writing_elsewhere(self, url: str) -> Callable[[], AbstractContextManager[None]]:
        return partial(writing_in, url)
