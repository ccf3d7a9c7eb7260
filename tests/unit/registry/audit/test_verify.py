"""Tampering: whatever was changed below the seal is found, and nothing else is called tampering.

Seen to fail: with the comparison of the sealed chain value taken away, a segment that was written anew from its first
line passes; with the note of the latest seal taken away, so does a trail that was cut back to an earlier seal.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from number_verification.authorization.jose import SigningKey
from number_verification.domain.faults import StoreUnavailable
from number_verification.registry.audit import files, lines, seals
from number_verification.registry.audit.files import DAY, SEALS, day_of
from number_verification.registry.audit.sealer import Sealer
from number_verification.registry.audit.seals import Head, SealKey
from number_verification.registry.audit.trail import AuditTrail
from number_verification.registry.audit.verify import verify
from unit.registry.audit.support import CALL, START, Place


def fill(place: Place, days: int = 3) -> None:
    """Some days, on each two segments, sealed several times."""
    for day in range(days):
        if day:
            place.a_day_later()
        for _ in range(2):
            place.record(3)
            place.sealer.seal()
            place.record(2)
            place.sealer.seal()
            place.trail.close()


def test_nothing_is_found_where_nothing_is(place: Place) -> None:
    assert place.kinds() == []
    fill(place)
    found = place.verify()
    assert found.findings == []
    assert (found.segments, found.records, found.sealed_records, found.seals) == (6, 30, 30, 12)
    assert found.head == place.seal_key.head()
    assert found.head.number == 12


def test_what_is_not_sealed_yet_is_counted(place: Place) -> None:
    place.record(3)
    place.sealer.seal()
    place.record(2)
    found = place.verify()
    assert (found.findings, found.records, found.sealed_records) == ([], 5, 3)


def rewritten(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def forged(path: Path, segment: str, count: int) -> None:
    """A whole segment, its chain as good as any."""
    chain, text = lines.ORIGIN, b""
    for number in range(count + 1):
        content = lines.content(number, START, lines.body(CALL, CALL.number))
        if not number:
            content = lines.header(segment, "boot").encode()
        chain = lines.chained(chain, content)
        text += lines.line(content, chain)
    path.write_bytes(text)


LINES: dict[str, tuple[Callable[[list[bytes]], list[bytes]], list[str]]] = {
    "one changed": (lambda x: [*x[:3], x[3].replace(b'"OK"', b'"NO"'), *x[4:]], ["line_changed"]),
    "its chain value changed": (lambda x: [*x[:3], x[3][:-5] + b'00"}\n', *x[4:]], ["line_changed"] * 2),
    "one removed": (lambda x: [*x[:3], *x[4:]], ["line_changed", "tail_missing"]),
    "one put in twice": (lambda x: [*x[:3], x[2], *x[3:]], ["line_changed"]),
    "two in another order": (lambda x: [*x[:2], x[3], x[2], *x[4:]], ["line_changed"]),
    "the last one cut off": (lambda x: x[:-1], ["tail_missing"]),
    "half of the last one cut off": (lambda x: [*x[:-1], x[-1][:50]], ["line_malformed", "tail_missing"]),
    "all cut off": (lambda _: [], ["tail_missing"]),
    "the header removed": (lambda x: x[1:], ["line_changed", "tail_missing"]),
    "one that is no line": (lambda x: [*x[:3], b"hello\n", *x[4:]], ["line_malformed", "line_changed", "tail_missing"]),
    "an empty one put in": (lambda x: [*x[:3], b"\n", *x[3:]], ["line_malformed"]),
}


@pytest.mark.parametrize("name", LINES)
def test_lines(place: Place, name: str) -> None:
    fill(place)
    change, expected = LINES[name]
    rewritten(place.paths()[2], change)
    found = place.verify()
    assert {finding.place for finding in found.findings} == {place.segments()[2]}
    assert set(expected) <= {finding.kind.value for finding in found.findings}
    assert found.tampering == len(found.findings)


def test_where_it_was(place: Place) -> None:
    fill(place)
    rewritten(place.paths()[2], LINES["one changed"][0])
    (finding,) = place.verify().findings
    assert finding == ("line_changed", place.segments()[2], 3)


def test_a_segment_that_was_written_anew(place: Place) -> None:
    fill(place)
    forged(place.paths()[1], place.segments()[1], 5)
    assert place.kinds() == ["sealed_otherwise"]


def test_a_segment_that_is_gone_and_one_under_another_name(place: Place) -> None:
    fill(place)
    segment = place.segments()[1]
    place.paths()[1].unlink()
    assert place.kinds() == ["segment_missing"]
    other = f"{segment[:-8]}00000000"
    shutil.copy(place.paths()[0], files.path_of(place.audit, other))
    # Old enough for its not being sealed to tell.
    assert sorted(place.kinds()) == ["lines_unsealed", "segment_missing", "segment_renamed"]


def test_a_segment_that_was_put_in_later(place: Place) -> None:
    fill(place)
    day = day_of(START)
    segment = f"{day}/{START}-1-00000000"
    forged(files.path_of(place.audit, segment), segment, 2)
    assert place.kinds() == ["lines_unsealed"]


def test_lines_that_were_added_later(place: Place) -> None:
    fill(place)
    path = place.paths()[0]
    raw = path.read_bytes().splitlines(keepends=True)
    last = lines.split(raw[-1])
    assert last is not None
    content = lines.content(len(raw), START, lines.body(CALL, CALL.number))
    with path.open("ab") as file:
        file.write(lines.line(content, lines.chained(bytes.fromhex(last.chain.decode()), content)))
    assert place.kinds() == ["lines_unsealed"]


@pytest.mark.parametrize(("day", "expected"), [(0, "seals_missing"), (1, "seals_missing"), (2, "seals_cut_off")])
def test_a_day_that_is_gone(place: Place, day: int, expected: str) -> None:
    fill(place)
    shutil.rmtree(place.audit / day_of(START + day * DAY))
    # The day and its seals are gone. Only the seals of other days, and the note, know of it.
    assert place.kinds() == [expected]


def test_all_is_gone(place: Place) -> None:
    fill(place)
    for day in files.days(place.audit):
        shutil.rmtree(place.audit / day)
    assert place.kinds() == ["seals_cut_off"]


SEAL_LINES: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "one removed": (lambda x: [x[0], *x[2:]], "seals_missing"),
    "the last one removed": (lambda x: x[:-1], "seals_missing"),
    "two in another order": (lambda x: [x[1], x[0], *x[2:]], "seals_missing"),
    "one twice": (lambda x: [x[0], x[0], *x[1:]], "seals_missing"),
    "one changed": (lambda x: [x[0].replace(b".", b".A", 1), *x[1:]], "seal_forged"),
    "signature changed": (lambda x: [x[0][:-10] + b"AAAAAAAAA\n", *x[1:]], "seal_forged"),
    "one that is none": (lambda x: [*x, b"hello\n"], "seal_forged"),
}


@pytest.mark.parametrize("name", SEAL_LINES)
def test_seals(place: Place, name: str) -> None:
    fill(place)
    change, expected = SEAL_LINES[name]
    rewritten(place.audit / day_of(START + DAY) / SEALS, change)
    assert expected in place.kinds()


def test_seals_of_another_key(place: Place, tmp_path: Path) -> None:
    """Who can write the trail but has not the key cannot seal what it wrote."""
    fill(place)
    other = SealKey(tmp_path / "other-keys")
    for day in files.days(place.audit):
        path = place.audit / day / SEALS
        path.write_text(
            "".join(f"{other.signed(seal)}\n" for seal in map(place.seal_key.opened, _written(place, day)) if seal)
        )
    kinds = place.kinds()
    assert kinds.count("seal_forged") == 12
    assert "seals_cut_off" in kinds


def _written(place: Place, day: str) -> list[str]:
    return list(seals.written(place.audit, day))


def test_a_trail_that_was_cut_back_to_an_earlier_seal(place: Place) -> None:
    """As a whole, and fittingly: only the note beside the key knows better."""
    fill(place, days=1)
    shutil.copytree(place.audit, place.root / "earlier")
    place.record(5)
    place.sealer.seal()
    place.restart()
    shutil.rmtree(place.audit)
    shutil.copytree(place.root / "earlier", place.audit)
    assert place.kinds() == ["seals_cut_off"]
    # Going on does not cover it up.
    place.record()
    place.sealer.seal()
    assert place.kinds() == ["seals_missing"]


def test_a_day_that_is_gone_while_the_service_goes_on(place: Place) -> None:
    fill(place)
    shutil.rmtree(place.audit / day_of(place.now))
    place.record()
    place.sealer.seal()
    assert "seals_missing" in place.kinds()


def test_something_that_is_no_part_of_it(place: Place) -> None:
    fill(place)
    (place.audit / day_of(START) / "notes.txt").write_text("hello")
    assert place.kinds() == ["file_unknown"]


@pytest.mark.parametrize("tail", [b'{"seq":6,"ti', b"\0" * 5000, b'{"seq":6' + b"\0" * 100])
def test_what_a_death_leaves_is_told_as_what_it_is(place: Place, tail: bytes) -> None:
    fill(place)
    with place.paths()[-1].open("ab") as file:
        file.write(tail)
    found = place.verify()
    assert [(finding.kind.value, finding.is_tampering) for finding in found.findings] == [("torn_tail", False)]
    assert found.tampering == 0
    # It stays what it is when everything goes on.
    place.restart()
    place.record()
    place.sealer.seal()
    assert place.kinds() == ["torn_tail"]


def test_half_a_seal_is_made_good(place: Place) -> None:
    fill(place, days=1)
    place.restart()
    with (place.audit / day_of(START) / SEALS).open("ab") as file:
        file.write(b"eyJhbGci")
    place.record()
    place.sealer.seal()
    assert place.kinds() == []


def test_a_seal_that_could_not_be_noted(place: Place) -> None:
    """Killed between the two files."""
    fill(place, days=1)
    place.record()
    before = place.seal_key.head()
    place.sealer.seal()
    place.seal_key.note(before)
    assert place.kinds() == []
    place.restart()
    place.record()
    place.sealer.seal()
    assert place.kinds() == []


def test_the_sealer_seals_what_it_finds_when_it_comes_back_late(place: Place) -> None:
    place.record(3)
    place.sealer.seal()
    for _ in range(5):
        place.a_day_later()
        place.record(2)
    place.restart()
    assert place.sealer.seal() == 5 * 3
    found = place.verify()
    assert found.findings == []
    assert found.sealed_records == found.records == 13


def test_the_sealer_does_not_seal_what_was_changed(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    place.record(3)
    place.sealer.seal()
    place.record(3)
    rewritten(place.paths()[0], lambda x: [*x[:5], x[5].replace(b'"OK"', b'"NO"'), *x[6:]])
    assert place.sealer.seal() == 1
    assert place.sealer.seal() == 0
    said = [line for line in capfd.readouterr().err.splitlines() if "audit_damaged" in line]
    assert len(said) == 1
    assert place.kinds() == ["line_changed"]


KEEPER = """
import sys
from pathlib import Path
from number_verification.domain import clock
from number_verification.registry.audit.sealer import Sealer
from number_verification.registry.audit.seals import SealKey
from unit.registry.audit.support import CALL, NUMBERS, Place

place = Place(Path(sys.argv[1]))
sealer = Sealer(place.audit, place.seal_key, clock.now)
while True:
    for _ in range(3):
        place.trail.record(CALL._replace(time=clock.now()), NUMBERS[0])
    print(sealer.seal(), flush=True)
"""


def test_kill_9_while_sealing(place: Place) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", KEEPER, str(place.root)]
    sealed = 0
    for seals_before_death in (1, 2, 5, 20, 50):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
            assert process.stdout is not None
            for _ in range(seals_before_death):
                assert process.stdout.readline()
                sealed += 3
            process.kill()
        found = place.verify()
        assert found.tampering == 0
        assert found.sealed_records >= sealed


def test_nothing_new_is_no_seal(place: Place) -> None:
    fill(place, days=1)
    assert place.sealer.seal() == 0
    assert place.verify().seals == 4


def test_there_is_one_sealer(place: Place) -> None:
    assert place.sealer.seal() == 0
    with pytest.raises(StoreUnavailable):
        Sealer(place.audit, place.seal_key, lambda: place.now)


def test_a_key_that_cannot_be_used(place: Place) -> None:
    (path,) = place.keys.glob("audit-seal-key.json")
    path.write_bytes(b"{}")
    with pytest.raises(Exception, match="is not a signing key"):
        SealKey(place.keys)


def test_a_seal_is_signed_with_the_type_of_seals(place: Place) -> None:
    fill(place, days=1)
    text = _written(place, day_of(START))[0]
    seal = place.seal_key.opened(text)
    assert seal is not None
    (jwk_file,) = place.keys.glob("audit-seal-key.json")
    key = SigningKey.from_jwk(seals.jose.parse_object(jwk_file.read_bytes()))
    claims = seals.jose.unverified_claims(text)
    assert place.seal_key.opened(key.sign(claims, typ=seals.TYPE)) == seal
    assert place.seal_key.opened(key.sign(claims, typ="at+jwt")) is None
    assert Head(seal.number, seals.digest_of(text)).number == 1


@pytest.fixture(scope="module")
def sealed_trail(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = Place(tmp_path_factory.mktemp("trail"))
    fill(made, days=2)
    made.end()
    return made


@contextmanager
def copy_of(place: Place) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=place.root) as directory:
        target = Path(directory) / "audit"
        shutil.copytree(place.audit, target)
        yield target


@settings(max_examples=300)
@given(st.data())
def test_any_edit_below_the_seal_is_found(sealed_trail: Place, data: st.DataObject) -> None:
    with copy_of(sealed_trail) as copy:
        paths = sorted(path for path in copy.rglob("*") if path.suffix in (".jsonl", ".jws"))
        path = data.draw(st.sampled_from(paths))
        content = path.read_bytes()
        start = data.draw(st.integers(0, len(content) - 1))
        end = data.draw(st.integers(start, min(len(content), start + data.draw(st.sampled_from([1, 3, 900])))))
        instead = data.draw(st.binary(max_size=4) | st.just(content[: data.draw(st.integers(0, 700))]))
        changed = content[:start] + instead + content[end:]
        # What is added behind the last line is not below the seal.
        assume(not changed.startswith(content))
        path.write_bytes(changed)
        assert verify(copy, sealed_trail.seal_key).tampering


def test_the_copy_itself_is_good(sealed_trail: Place) -> None:
    with copy_of(sealed_trail) as copy:
        assert verify(copy, sealed_trail.seal_key).findings == []
        assert files.days(copy)


def test_it_may_run_while_records_are_written(place: Place) -> None:
    trail = AuditTrail(place.audit, place.numbers)
    for number in range(50):
        trail.record(CALL._replace(time=START + number))
        place.record()
        place.sealer.seal()
        assert place.kinds() == []
    trail.close()
