"""Writing: what is on record once `record` returned, whatever happens then."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from number_verification.domain.audit import AuditKind
from number_verification.domain.faults import StoreFull, StoreUnavailable
from number_verification.registry.audit import lines, reading
from number_verification.registry.audit.files import DAY, day_of
from number_verification.registry.audit.numbers import NumberKeys
from number_verification.registry.audit.reading import Query
from number_verification.registry.audit.trail import AuditTrail
from unit.registry.audit.support import CALL, NUMBERS, START, Place, everything

WRITER = """
import itertools, sys, threading
from pathlib import Path
from number_verification.domain import clock
from number_verification.registry.audit.numbers import NumberKeys
from number_verification.registry.audit.trail import AuditTrail
from unit.registry.audit.support import CALL, NUMBERS, everything

root, name, threads, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
trail = AuditTrail(root / "audit", NumberKeys(root / "keys", 30))

def write(thread):
    for serial in range(count) if count else itertools.count():
        correlator = f"{name}-{thread}-{serial}"
        trail.record(CALL._replace(time=clock.now(), correlator=correlator), NUMBERS[serial % 5])
        sys.stdout.write(correlator + "\\n")
        sys.stdout.flush()

running = [threading.Thread(target=write, args=(thread,)) for thread in range(threads)]
for each in running: each.start()
for each in running: each.join()
"""


def writer(root: Path, name: str, threads: int, count: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), name, str(threads), str(count)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def correlators(place: Place) -> list[str]:
    return [record.correlator for record in everything(place)]


def members(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_what_a_line_says(place: Place) -> None:
    place.record(reason="off_net", outcome="PERMISSION_DENIED")
    (path,) = place.paths()
    header, line = members(path)
    assert header == {
        "seq": 0,
        "version": 1,
        "segment": place.segments()[0],
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "chain": header["chain"],
    }
    digest = line["number_hash"]
    assert len(digest) == 64
    assert line == {
        "seq": 1,
        "time": START + 1,
        "kind": "call",
        "correlator": "correlator-1",
        "operation": "/s.S/M",
        "transport": "grpc",
        "outcome": "PERMISSION_DENIED",
        "reason": "off_net",
        "client_id": "client",
        "application": "organizations/bank/applications/app",
        "customer": "organizations/bank",
        "channel_partner": "organizations/hub",
        "principal": "",
        "resource": "",
        "method": "nba",
        "purpose": "dpv:Test",
        "number": "+990*******00",
        "number_key": line["number_key"],
        "number_hash": digest,
        "chain": line["chain"],
    }
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert place.audit.stat().st_mode & 0o777 == 0o700


def test_nobody_is_nobody(place: Place) -> None:
    place.record(phone_number="")
    line = members(place.paths()[0])[1]
    assert (line["number"], line["number_key"], line["number_hash"]) == ("", "", "")


@pytest.mark.parametrize("text", ['"', "\\", "\n", "\x00", "\ud800", "é", "\u2028", "x" * 100_000, '"}\n{"seq":1'])
def test_texts_of_outside_stay_within_their_line(place: Place, text: str) -> None:
    place.record(client_id=text, purpose=text, correlator=text)
    place.record()
    content = place.paths()[0].read_bytes()
    assert content.count(b"\n") == 3
    assert len(content) < 20_000
    assert place.kinds() == []
    first, _ = reading.page(place.audit, Query(), 2).records
    if len(text) < 100:
        assert first.client_id == text.encode("utf-8", "replace").decode()


def test_no_number_in_clear_anywhere(place: Place) -> None:
    for number in NUMBERS:
        place.record(phone_number=number)
    place.sealer.seal()
    content = b"".join(path.read_bytes() for path in place.root.rglob("*") if path.is_file())
    assert len(content) > 1000
    for number in NUMBERS:
        assert number[1:].encode() not in content


def test_a_day_begins_another_segment(place: Place) -> None:
    place.record(2)
    place.a_day_later()
    place.record(2)
    first, second = place.segments()
    assert first.startswith(day_of(START) + "/")
    assert second.startswith(day_of(START + DAY) + "/")
    assert [len(members(path)) for path in place.paths()] == [3, 3]


def test_times_never_go_back_within_a_segment(place: Place) -> None:
    for time in (START, START - 900, START + 5):
        place.trail.record(CALL._replace(time=time))
    assert [line["time"] for line in members(place.paths()[0])[1:]] == [START, START, START + 5]


def test_a_clock_that_was_set_back_begins_another_segment(place: Place) -> None:
    for time in (START, START - 5000):
        place.trail.record(CALL._replace(time=time))
    assert len(place.segments()) == 2
    assert [record.time for record in reading.page(place.audit, Query(), 9).records] == [START - 5000, START]


def test_a_straggler_of_yesterday_is_not_put_into_another_day(place: Place) -> None:
    midnight = START - START % DAY + DAY
    for time in (midnight - 1, midnight, midnight - 1):
        place.trail.record(CALL._replace(time=time))
    assert [[line["time"] for line in members(path)[1:]] for path in place.paths()] == [
        [midnight - 1],
        [midnight, midnight],
    ]


def test_threads_and_processes_at_once(place: Place) -> None:
    processes = [writer(place.root, f"p{number}", threads=4, count=250) for number in range(3)]
    acknowledged = [line for process in processes for line in process.communicate(timeout=60)[0].split()]
    assert len(acknowledged) == 3000
    assert sorted(correlators(place)) == sorted(acknowledged)
    assert len(place.segments()) == 3
    assert len({line["number_key"] for path in place.paths() for line in members(path)[1:]}) == 1
    assert place.kinds() == []


@pytest.mark.parametrize("acknowledgements", [1, 500, 5000])
def test_kill_9_loses_nothing_that_was_acknowledged(place: Place, acknowledgements: int) -> None:
    process = writer(place.root, "p", threads=4, count=0)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline() for _ in range(acknowledgements)]
    process.send_signal(signal.SIGKILL)
    # Half of a line may have got into the pipe.
    acknowledged += [line for line in process.stdout if line.endswith("\n")]
    process.wait(10)
    assert set(map(str.strip, acknowledged)) <= set(correlators(place))
    assert not place.verify().tampering


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """What a write beyond it comes to is what it comes to on a full disk: a part, then an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("more", [0, 1, 300, 1000])
def test_no_room(place: Place, more: int) -> None:
    place.record(3)
    (path,) = place.paths()
    size = path.stat().st_size
    written = 0
    with files_of_at_most(size + more):
        with suppress(StoreFull):
            while True:
                place.record()
                written += 1
        with pytest.raises(StoreFull):
            place.record()
    assert path.read_bytes().endswith(b"\n")
    assert len(members(path)) == 4 + written
    place.record(2)
    assert place.paths() == [path]
    assert len(members(path)) == 6 + written
    assert place.kinds() == []


def test_no_room_for_a_header_leaves_no_file(place: Place) -> None:
    # The key needs room, too.
    place.numbers.mark(NUMBERS[0], START)
    with files_of_at_most(20), pytest.raises(StoreFull):
        place.record()
    assert place.paths() == []
    place.record()
    assert place.kinds() == []


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        AuditTrail(tmp_path / "no" / "audit", NumberKeys(tmp_path / "keys", 30))


def test_the_probe(place: Place) -> None:
    place.trail.probe()
    with files_of_at_most(100), pytest.raises(StoreFull):
        place.trail.probe()
    assert list(place.audit.iterdir()) == []


def test_half_a_line_that_cannot_be_cut_back_ends_its_segment(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.record()
    size = place.paths()[0].stat().st_size

    def refused(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with files_of_at_most(size + 100), monkeypatch.context() as patched:
        patched.setattr(os, "ftruncate", refused)
        with pytest.raises(StoreFull):
            place.record()
    place.record()
    assert len(place.segments()) == 2
    assert place.kinds() == ["torn_tail"]
    assert len(correlators(place)) == 2


def test_a_line_and_its_chain_value() -> None:
    content = lines.content(7, START, lines.body(CALL, CALL.number))
    chain = lines.chained(lines.ORIGIN, content)
    found = lines.split(lines.line(content, chain))
    assert found == (content, chain.hex().encode())
    parsed = lines.parsed(content)
    assert parsed is not None
    assert parsed["seq"] == 7
    assert lines.record_of(parsed) == CALL
    assert AuditKind(parsed["kind"]) is AuditKind.CALL


@pytest.mark.parametrize("raw", [b"", b"\n", b"{}\n", b"x" * 200 + b"\n", b'{"a":1,"chain":"00"}\n'])
def test_what_is_no_line(raw: bytes) -> None:
    assert lines.split(raw) is None
