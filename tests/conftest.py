"""What all tests share."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from postgresql import Postgresql, running_postgresql

# A test says what must hold, not how fast: how long an example takes is the machine's business. What fails is printed
# so that it can be run again.
settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A server for whoever leaves it running; each test takes a database of its own."""
    with running_postgresql() as server:
        yield server
