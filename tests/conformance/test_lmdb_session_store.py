from itertools import count

import pytest

from conformance.session_store import SessionStoreFactory, SessionStoreSuite
from number_verification.sessions.lmdb import LmdbSessionStore


class TestLmdbSessionStore(SessionStoreSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def factory(cls, tmp_path_factory: pytest.TempPathFactory) -> SessionStoreFactory:
        directory = tmp_path_factory.mktemp("sessions")
        numbers = count()
        return lambda: LmdbSessionStore(directory / str(next(numbers)), 64 << 20)
