"""A trail of one's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.registry.audit.support import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.end()
