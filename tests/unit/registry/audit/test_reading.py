"""Reading: in the order of time, what is wanted only, and on from any place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_verification.domain.audit import AuditKind
from number_verification.registry.audit import reading
from number_verification.registry.audit.files import DAY
from number_verification.registry.audit.reading import Query, decode_place, encode_place, page
from number_verification.registry.audit.trail import AuditTrail
from unit.registry.audit.support import CALL, NUMBERS, START, Place, everything


@pytest.fixture
def filled(place: Place) -> Place:
    """Three days, several writers at once on each."""
    for day in range(3):
        writers = [AuditTrail(place.audit, place.numbers) for _ in range(3)]
        for serial in range(120):
            place.now = START + day * DAY + serial * 7
            record = CALL._replace(
                time=place.now,
                correlator=f"{day}-{serial}",
                kind=list(AuditKind)[serial % 3],
                outcome=["OK", "UNAUTHENTICATED"][serial % 2],
                application=f"organizations/o{serial % 4}/applications/a",
                customer=f"organizations/o{serial % 4}",
                channel_partner="organizations/hub" if serial % 4 == 1 else "",
            )
            writers[serial % 3].record(record, NUMBERS[serial % 5])
        for writer in writers:
            writer.close()
    return place


def test_in_the_order_of_time(filled: Place) -> None:
    assert [record.correlator for record in everything(filled)] == [f"{d}-{s}" for d in range(3) for s in range(120)]


@pytest.mark.parametrize("size", [1, 7, 120, 359, 360, 361])
def test_page_by_page(filled: Place, size: int) -> None:
    assert everything(filled, size) == everything(filled)


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"kind": AuditKind.TOKEN}, 120),
        ({"outcome": "OK"}, 180),
        ({"outcome": "NOBODY"}, 0),
        ({"application": "organizations/o2/applications/a"}, 90),
        ({"customer": "organizations/o2"}, 90),
        ({"channel_partner": "organizations/hub"}, 90),
        ({"channel_partner": "organizations/hub", "kind": AuditKind.CALL}, 30),
        ({"start": START + DAY}, 240),
        ({"end": START + DAY}, 120),
        ({"start": START + 7, "end": START + 70}, 9),
        ({"start": START + DAY + 833, "end": START + DAY + 834}, 1),
        ({"start": START + 900 * DAY}, 0),
        ({"end": START}, 0),
    ],
)
def test_what_is_wanted(filled: Place, wanted: dict[str, Any], count: int) -> None:
    found = everything(filled, **wanted)
    assert len(found) == count
    assert everything(filled, 4, **wanted) == found
    query = Query(**wanted)
    assert all(query.wants(record) for record in found)


def test_all_records_of_one_subscriber(filled: Place) -> None:
    found = everything(filled, digests=filled.numbers.digests(NUMBERS[2]))
    assert [record.correlator for record in found] == [f"{d}-{s}" for d in range(3) for s in range(2, 120, 5)]
    assert everything(filled, digests=filled.numbers.digests("+990555999999")) == []


def test_a_long_search_goes_on_later(filled: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SCANNED_AT_ONCE", 50)
    empty = page(filled.audit, Query(outcome="NOBODY"), 10)
    assert empty.records == []
    assert empty.next is not None
    assert everything(filled, outcome="OK") == [r for r in everything(filled) if r.outcome == "OK"]


def test_half_a_line_and_what_is_no_line_are_passed_over(filled: Place) -> None:
    with filled.paths()[0].open("ab") as file:
        file.write(b'hello\n{"seq":99,"time":1}\n{"seq":100,"ti')
    assert len(everything(filled)) == 360


def test_a_place_is_found_in_a_great_segment(place: Place) -> None:
    place.record(3000)
    for after in (0, 1, 1500, 2998, 2999):
        records = page(place.audit, Query(start=START + 1 + after), 5).records
        assert [record.time for record in records] == list(range(START + 1 + after, START + min(3001, after + 6)))


def test_the_same_instant(place: Place) -> None:
    for serial in range(500):
        place.trail.record(CALL._replace(time=START, correlator=str(serial)))
    assert [record.correlator for record in everything(place, 17, start=START)] == [str(n) for n in range(500)]


def test_going_on_while_records_are_written(place: Place) -> None:
    place.record(10)
    first = page(place.audit, Query(), 10)
    place.record(5)
    assert len(page(place.audit, Query(), 10, first.next).records) == 5


def test_a_record_comes_back_whole(filled: Place) -> None:
    records = everything(filled, customer="organizations/o1")
    assert len(records) == 90
    assert records[0] == CALL._replace(
        time=START + 7,
        kind=AuditKind.TOKEN,
        correlator="0-1",
        outcome="UNAUTHENTICATED",
        application="organizations/o1/applications/a",
        customer="organizations/o1",
        number=filled.numbers.mark(NUMBERS[1], START),
    )
    assert records[0].number.masked == "+990*******01"


@pytest.mark.parametrize("time", [-1, 253_402_300_800_000, 10**30])
def test_a_place_in_no_calendar(time: int) -> None:
    place = reading.Place(time, "2026-03-01/1772323200000-4711-9f3c01ab", 1)
    assert decode_place(encode_place(place)) is None
    good = place._replace(time=min(max(time, 0), 253_402_300_799_999))
    assert decode_place(encode_place(good)) == good


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_what_is_no_place(text: str) -> None:
    assert decode_place(text) is None


def test_no_trail_is_no_records(place: Place) -> None:
    assert everything(place) == []
