"""One sandbox for all the independent programs."""

from collections.abc import Iterator

import pytest

from functional.sandbox import running_sandbox
from functional.service import Service


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as started:
        yield started
