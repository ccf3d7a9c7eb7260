from collections.abc import Iterator
from pathlib import Path

import pytest

from functional.radius.serving import Serving, serving


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Serving]:
    """A listener that serves."""
    with serving(tmp_path / "sessions") as started:
        yield started
