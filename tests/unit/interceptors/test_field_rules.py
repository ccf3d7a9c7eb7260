from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.library import RULES, message
from number_verification.domain.contract import FieldRule, MessageRules, OneofRule
from number_verification.domain.refusal import Violation
from number_verification.gen.numberverification.v2 import number_verification_pb2 as pb
from number_verification.gen.subscribersession.v1 import subscriber_session_pb2 as sessions
from number_verification.interceptors.field_rules import FieldRules, validate

HASH = "0123456789abcdefABCDEF" + "0" * 42
LIBRARY = FieldRules(RULES)
FREE = FieldRules({})


def library(name: str, **fields: Any) -> list[Violation]:
    return LIBRARY.violations(message(name, **fields))


@pytest.mark.parametrize("number", ["+12345", "+990123456789", "+123456789012345"])
def test_phone_numbers(number: str) -> None:
    assert validate(pb.VerifyPhoneNumberRequest(phone_number=number)) == []


@pytest.mark.parametrize(
    "number",
    [
        "",
        "+",
        "990123456789",
        "+0123456789",
        "+1234",
        "+1234567890123456",
        "+990123456789\n",
        "\n+990123456789",
        "+990123456789 ",
        "+99 0123456789",
        "+99٠123456789",
        "+990123456789" * 2000,
    ],
)
def test_no_phone_numbers(number: str) -> None:
    (violation,) = validate(pb.VerifyPhoneNumberRequest(phone_number=number))
    assert violation.field == "phoneNumber"
    assert "0123456789" not in violation.description.replace(r"^\+[1-9][0-9]{4,14}$", "")


@pytest.mark.parametrize("digest", ["", HASH[:-1], HASH + "0", HASH[:-1] + "g", HASH + "\n"])
def test_hashes(digest: str) -> None:
    assert validate(pb.VerifyPhoneNumberRequest(hashed_phone_number=HASH)) == []
    (violation,) = validate(pb.VerifyPhoneNumberRequest(hashed_phone_number=digest))
    assert violation.field == "hashedPhoneNumber"


def test_required_oneof() -> None:
    (violation,) = validate(pb.VerifyPhoneNumberRequest())
    assert violation == Violation("", "exactly one of phoneNumber, hashedPhoneNumber is required")


def test_messages_without_rules() -> None:
    assert validate(pb.GetDevicePhoneNumberRequest()) == []
    assert FREE.violations(pb.VerifyPhoneNumberRequest(phone_number="x")) == []


def test_required_message_and_what_it_holds() -> None:
    assert validate(sessions.OpenSessionRequest()) == [Violation("event", "is required")]
    event = sessions.SessionEvent(
        key=sessions.SessionKey(nas="n"), attributes=sessions.SessionAttributes(imsi="x", ipv6_prefixes=["a"] * 9)
    )
    assert validate(sessions.OpenSessionRequest(event=event)) == [
        Violation("event.key.sessionId", "is required"),
        Violation("event.attributes.imsi", "does not match ^[0-9]{5,15}$"),
        Violation("event.attributes.ipv6Prefixes", "has more than 8 elements"),
    ]


def test_members_of_oneofs_are_looked_into() -> None:
    request = sessions.FeedEventsRequest(gateway_restarted=sessions.GatewayRestart())
    assert validate(request) == [Violation("gatewayRestarted.nas", "is required")]
    assert validate(sessions.FeedEventsRequest(ended=sessions.SessionEvent())) == []


def test_length() -> None:
    assert validate(sessions.GatewayRestart(nas="é" * 253)) == []
    assert validate(sessions.GatewayRestart(nas="é" * 254)) == [Violation("nas", "is longer than 253")]
    assert library("Everything", some_bytes=b"x" * 101) == [Violation("someBytes", "is longer than 100")]


def test_values_with_presence_may_be_empty_and_are_checked() -> None:
    assert library("MoveBookRequest", id="b", other_shelf="s", reason="") == []
    assert library("MoveBookRequest", id="b", other_shelf="s", reason="x" * 6) == [
        Violation("reason", "is longer than 5")
    ]


def test_elements_of_a_repeated_field() -> None:
    assert library("ListBooksRequest", written_by=["a", "b"]) == []
    assert library("ListBooksRequest", written_by=["a", ","]) == [Violation("writtenBy", "does not match ^[^,]+$")]
    assert library("ListBooksRequest", written_by=["a"] * 4) == [Violation("writtenBy", "has more than 3 elements")]


def test_messages_that_hold_themselves() -> None:
    book = message("Book", title="t", sequel_of={"title": "t", "sequel_of": {"id": "?"}})
    assert LIBRARY.violations(book) == [
        Violation("sequelOf.sequelOf.id", "does not match ^[a-z0-9]{1,8}$"),
        Violation("sequelOf.sequelOf.title", "is required"),
    ]


def test_elements_and_values_of_maps_that_are_messages() -> None:
    rules = FieldRules(
        {
            "library.v1.Everything": MessageRules(nested=("inners", "inner_by_name")),
            "library.v1.Everything.Inner": MessageRules(fields=(FieldRule("number", required=True),)),
        }
    )
    everything = message("Everything", inners=[{"number": 1}, {}], inner_by_name={"secret": {}, "x": {"number": 1}})
    assert rules.violations(everything) == [
        Violation("inners[1].number", "is required"),
        Violation("innerByName.number", "is required"),
    ]


def test_required_values() -> None:
    rules = FieldRules(
        {
            "library.v1.Everything": MessageRules(
                fields=tuple(FieldRule(name, required=True) for name in ("maybe", "longs", "name_by_number", "empty")),
                oneofs=(OneofRule("choice"),),
            )
        }
    )
    missing = [Violation("", "exactly one of one, other is required")]
    names = ("maybe", "longs", "nameByNumber", "empty")
    assert rules.violations(message("Everything")) == missing + [Violation(name, "is required") for name in names]
    assert rules.violations(message("Everything", maybe="", one="")) == [Violation(n, "is required") for n in names]
    full = message("Everything", maybe="x", longs=[0], name_by_number={0: ""}, empty={}, one="")
    assert rules.violations(full) == []


@given(st.binary(max_size=200))
def test_any_message_that_decodes_is_checked(content: bytes) -> None:
    request = pb.VerifyPhoneNumberRequest()
    try:
        request.ParseFromString(content)
    except Exception:  # noqa: BLE001 - what does not decode is not the subject
        return
    assert isinstance(validate(request), list)


@given(st.text())
def test_only_what_the_pattern_says(text: str) -> None:
    is_number = text.isascii() and text[:1] == "+" and text[1:].isdecimal() and 5 <= len(text[1:]) <= 15
    valid = is_number and text[1] != "0"
    assert (validate(pb.VerifyPhoneNumberRequest(phone_number=text)) == []) == valid
