from functools import partial
from pathlib import Path

import pytest

from conformance.one_time_store import OneTimeStoreSuite, Opener
from number_verification.domain.clock import now
from number_verification.onetime.lmdb import LmdbOneTimeStore


class TestLmdbOneTimeStore(OneTimeStoreSuite):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Opener:
        return partial(LmdbOneTimeStore, tmp_path / "one-time", 16 << 20, now)
