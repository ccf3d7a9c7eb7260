"""docs/onboarding.md, pasted from the top to the bottom into one shell.

What is shown as an answer must come out exactly so; an answer that ends with `…` must begin so. An answer that begins
with `refused` belongs to a command that fails, `# exits with 4` is what it says, and every other command must succeed.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from functional.load import wait_until
from functional.sandbox import FREE_PORTS
from functional.service import START_SECONDS, STOP_SECONDS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "onboarding.md"
SANDBOX = ".venv/bin/number-verification sandbox "
PROMPT = "$ "


class Pasted(NamedTuple):
    """One command of the page."""

    command: str
    shown: str
    """What the page shows of its answer."""


class Came(NamedTuple):
    """What came of it."""

    code: int
    out: str
    err: str


def blocks(page: str) -> Iterator[list[str]]:
    """The console blocks of a page."""
    lines: list[str] | None = None
    for line in page.splitlines():
        if line == "```console":
            lines = []
        elif line == "```" and lines is not None:
            yield lines
            lines = None
        elif lines is not None:
            lines.append(line)


def commands(page: str) -> Iterator[Pasted]:
    """The commands of a page, each with its continuation lines, and the answers that are shown."""
    for lines in blocks(page):
        rest = list(lines)
        while rest:
            first = rest.pop(0)
            assert first.startswith(PROMPT), first
            command = [first.removeprefix(PROMPT)]
            while command[-1].endswith("\\"):
                command.append(rest.pop(0))
            shown: list[str] = []
            while rest and not rest[0].startswith(PROMPT):
                shown.append(rest.pop(0))
            yield Pasted("\n".join(command), "\n".join(shown))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A working directory as `make install` leaves it, as far as the page looks at it."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    return tmp_path


@pytest.fixture
def pasted(directory: Path) -> Iterator[list[Pasted]]:
    """All commands but the first, whose sandbox runs in its terminal: on ports that are free here."""
    first, *others = commands(PAGE.read_text())
    assert first.command.startswith(SANDBOX)
    assert first.shown == ""
    line = " ".join([first.command, *FREE_PORTS])
    with (directory / "first-terminal").open("wb") as terminal:
        sandbox = subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=directory, stdout=terminal, stderr=terminal)
    try:
        description = directory / ".onboarding" / "sandbox.json"
        wait_until(lambda: description.exists() or sandbox.poll() is not None, START_SECONDS)
        yield others
    finally:
        sandbox.terminate()
        assert sandbox.wait(STOP_SECONDS) == 0


def run(directory: Path, pasted: list[Pasted]) -> list[Came]:
    """Paste commands into one shell: what one leaves in its variables, the next one finds."""
    (results := directory / "results").mkdir()
    script = "".join(
        f"{{\n{each.command}\n}} </dev/null >results/{number}.out 2>results/{number}.err\n"
        f"echo $? >results/{number}.code\n"
        for number, each in enumerate(pasted)
    )
    subprocess.run(
        ["bash", "--norc"], input=script, text=True, cwd=directory, timeout=180, check=True, env=environment()
    )

    def came(number: int) -> Came:
        code, out, err = ((results / f"{number}.{kind}").read_text() for kind in ("code", "out", "err"))
        return Came(int(code), out, err)

    return [came(number) for number in range(len(pasted))]


def environment() -> dict[str, str]:
    """Of somebody who has just opened a terminal: the page itself says what is to be found on the way."""
    own = str(Path(sys.prefix) / "bin")
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if part != own)
    return {**os.environ, "PATH": path, "COLUMNS": "200", "NO_COLOR": "1"}


def test_the_page_works_as_it_stands(directory: Path, pasted: list[Pasted]) -> None:
    for each, came in zip(pasted, run(directory, pasted), strict=True):
        refused = each.shown.startswith("refused")
        said = re.search(r"# exits with (\d+)", each.command)
        assert came.code == (int(said[1]) if said else int(refused)), (each.command, came)
        assert (came.err != "") == refused, (each.command, came)
        answer = (came.err if refused else came.out).removesuffix("\n")
        if each.shown.endswith("…"):
            assert answer.startswith(each.shown.removesuffix("…")), (each.command, came)
        elif each.shown:
            assert answer == each.shown, (each.command, came)
    log = (directory / "first-terminal").read_text().splitlines()
    assert not [line for line in log if json.loads(line)["event"] == "fault"]
