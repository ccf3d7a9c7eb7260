"""The lines that README.md and `make run` give for pasting, pasted into a shell: curl and buf as anybody uses them."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from functional.sandbox import FREE_PORTS
from functional.service import SCRIPT, START_SECONDS, STOP_SECONDS
from interop.programs import BIN, ROOT, program, run

pytestmark = pytest.mark.interop

INVITATION = "Try it yourself"
LAST_LINE = re.compile(r"^  curl .*--interface .*\n\n", re.MULTILINE)


class Story(NamedTuple):
    """A story that was told, and goes on serving."""

    directory: Path
    """Where it was started: beside it are `.venv` and `.sandbox`, as after `make run`."""
    invitation: str
    """What it prints at its end."""

    def invited_to(self, beginning: str) -> str:
        """The one line to paste that begins like this, continuations included."""
        return only(re.findall(rf"^  ({re.escape(beginning)}(?:.*\\\n)*.*)\n", self.invitation, re.MULTILINE))

    def pasted(self, line: str) -> str:
        """What a shell prints when a line is pasted into it."""
        done = run(program("bash"), "-c", line, cwd=self.directory)
        assert done.returncode == 0, done.stderr
        return done.stdout


def only(found: list[str]) -> str:
    assert len(found) == 1, found
    return found[0]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    directory = tmp_path_factory.mktemp("story")
    (directory / ".venv").symlink_to(BIN.parent)
    printed = directory / "printed"
    command: list[str | Path] = [SCRIPT, "story", "--keep-serving", "--data-dir", ".sandbox", *FREE_PORTS]
    with printed.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL, cwd=directory)
    try:
        yield Story(directory, _awaited(printed, process).partition(INVITATION)[2])
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _awaited(printed: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + START_SECONDS
    while not LAST_LINE.search(printed.read_text()):
        assert process.poll() is None, printed.read_text()
        assert time.monotonic() < deadline, printed.read_text()
        time.sleep(0.05)
    return printed.read_text()


def test_a_question_by_rest(story: Story) -> None:
    answer = story.pasted(story.invited_to("curl -si http"))
    assert answer.startswith("HTTP/1.1 200 ")
    assert json.loads(answer.splitlines()[-1]) == {"devicePhoneNumberVerified": True}


def test_a_question_by_grpc(story: Story) -> None:
    assert json.loads(story.pasted(story.invited_to(".venv/bin/buf curl"))) == {"devicePhoneNumberVerified": True}


def test_being_a_device(story: Story) -> None:
    line = story.invited_to("curl -si --interface 127.1.0.7")
    on_wifi = story.pasted(line)
    assert on_wifi.startswith("HTTP/1.1 302 ")
    assert "error=access_denied" in on_wifi
    assert "?code=" in story.pasted(line.replace("127.1.0.7", "127.1.0.1"))


def test_the_command_of_the_readme(story: Story) -> None:
    line = only(re.findall(r"^\$ (curl (?:.*\\\n)*.*)\n", (ROOT / "README.md").read_text(), re.MULTILINE))
    sandbox = json.loads((story.directory / ".sandbox" / "sandbox.json").read_text())
    answer = story.pasted(line.replace("http://127.0.0.1:9091", sandbox["api_root"]))
    assert json.loads(answer) == {"devicePhoneNumber": sandbox["devices"][0]["phone_number"]}
