"""Keys by period: all processes agree, nothing is found again without them."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from number_verification.domain.audit import masked
from number_verification.domain.faults import StoreUnavailable
from number_verification.registry.audit.files import DAY
from number_verification.registry.audit.numbers import NumberKeys
from unit.registry.audit.support import NUMBERS, START

MARKER = """
import sys
from pathlib import Path
from number_verification.registry.audit.numbers import NumberKeys
keys = NumberKeys(Path(sys.argv[1]), 7)
sys.stdin.readline()
for day in range(0, 40, 3):
    print(*keys.mark("+990555000001", int(sys.argv[2]) + day * 86_400_000))
"""


@pytest.mark.parametrize("length", range(5, 16))
def test_a_mask_hides_a_million_numbers_at_least(length: int) -> None:
    number = "+" + "123456789012345"[:length]
    mask = masked(number)
    assert len(mask) == len(number)
    assert mask.count("*") >= min(length, 6)
    shown = mask.strip("+").split("*")
    assert len(shown[0]) <= 3
    assert len(shown[-1]) <= 2
    assert number.startswith("+" + shown[0])
    assert number.endswith(shown[-1])


def test_processes_agree(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MARKER, str(tmp_path), str(START)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    found = {process.communicate("go\n", timeout=60)[0] for process in processes}
    assert len(found) == 1
    marks = found.pop().splitlines()
    assert len({mark.split()[1] for mark in marks}) == len({mark.split()[2] for mark in marks}) == 6


def test_a_subscriber_is_found_across_periods(tmp_path: Path) -> None:
    keys = NumberKeys(tmp_path, 30)
    marks = {keys.mark(NUMBERS[0], START + month * 30 * DAY).digest for month in range(4)}
    assert len(marks) == 4
    assert NumberKeys(tmp_path, 30).digests(NUMBERS[0]) == marks
    assert not NumberKeys(tmp_path, 30).digests(NUMBERS[1]) & marks


def test_the_clock_goes_back_and_forth(tmp_path: Path) -> None:
    keys = NumberKeys(tmp_path, 1)
    here, there = keys.mark(NUMBERS[0], START), keys.mark(NUMBERS[0], START + 10 * DAY)
    assert (keys.mark(NUMBERS[0], START), keys.mark(NUMBERS[0], START + 10 * DAY)) == (here, there)


def test_another_length_goes_on_from_what_is_there(tmp_path: Path) -> None:
    former = NumberKeys(tmp_path, 30).mark(NUMBERS[0], START)
    keys = NumberKeys(tmp_path, 1)
    assert keys.mark(NUMBERS[0], START) == former
    assert keys.mark(NUMBERS[0], START + 60 * DAY).key != former.key


def test_what_is_forgotten_is_not_found(tmp_path: Path) -> None:
    keys = NumberKeys(tmp_path, 1)
    old, new = (keys.mark(NUMBERS[0], START + day * DAY).digest for day in (0, 5))
    keys.forget(START + 3 * DAY)
    assert keys.digests(NUMBERS[0]) == {new}
    assert old != new


def test_the_file_is_for_its_owner_and_damage_is_told(tmp_path: Path) -> None:
    keys = NumberKeys(tmp_path, 1)
    assert keys.digests(NUMBERS[0]) == frozenset()
    keys.mark(NUMBERS[0], START)
    (path,) = tmp_path.glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = json.loads(path.read_bytes())["keys"][0]["key"]
    for damage in (b"", b"{}", b'{"keys":[]}', b'{"keys":[{"id":"x","from":0,"until":1,"key":"00"}]}'):
        path.write_bytes(damage)
        with pytest.raises(StoreUnavailable) as told:
            NumberKeys(tmp_path, 1).mark(NUMBERS[0], START)
        assert secret not in str(told.value)
        assert path.read_bytes() == damage
    path.chmod(0o644)
    with pytest.raises(StoreUnavailable, match="0600"):
        keys.digests(NUMBERS[0])
