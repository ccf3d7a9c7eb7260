"""Events of feeds, from the contract's messages to the domain."""

from typing import Any

import pytest

from number_verification.domain.refusal import Kind, Refusal
from number_verification.domain.session import EventKind
from number_verification.gen.subscribersession.v1 import subscriber_session_pb2 as pb
from number_verification.services.messages import EventReader

NOW = 1_790_000_000_000
EVENTS = EventReader(lambda _nas, _apn: "", max_event_age=60_000, max_clock_skew=5_000)


def event(**time: Any) -> pb.SessionEvent:
    return pb.SessionEvent(key=pb.SessionKey(nas="gw", session_id="1"), event_time=time)


@pytest.mark.parametrize(
    "time",
    [
        {},
        {"seconds": 2**63 - 1, "nanos": 2**31 - 1},
        {"seconds": -(2**63), "nanos": -(2**31)},
        {"seconds": 253_402_300_800},
        {"seconds": -62_135_596_801},
        {"seconds": NOW // 1000 - 61},
        {"seconds": NOW // 1000 + 6},
    ],
    ids=str,
)
def test_a_time_that_cannot_be(time: dict[str, int]) -> None:
    with pytest.raises(Refusal) as refused:
        EVENTS.session_event(EventKind.START, event(**time), NOW)
    assert refused.value.kind is Kind.INVALID_ARGUMENT
    assert [violation.field for violation in refused.value.violations] == ["eventTime"]


def test_a_time_to_the_millisecond() -> None:
    assert EVENTS.session_event(EventKind.START, event(seconds=NOW // 1000, nanos=7_999_999), NOW).time == NOW + 7
