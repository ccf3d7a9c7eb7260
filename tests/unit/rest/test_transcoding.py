from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from golden.compiled import compiled_text
from golden.library import POOL, ROUTES, message
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.gen import routes
from number_verification.gen.numberverification.v2 import number_verification_pb2 as pb
from number_verification.rest.transcoding import Match, Transcoder
from protoc_gen_rest.bindings import exposed_services
from protoc_gen_rest.contract import Contract
from protoc_gen_rest.rules import access_rules

LIBRARY = Transcoder(ROUTES, POOL)
OURS = Transcoder([route for route in routes.ROUTES if not route.internal])
BASE = "/number-verification/v2"


def decode(method: str, path: str, query: str = "", body: bytes = b"", transcoder: Transcoder = LIBRARY) -> Any:
    match = transcoder.match(method, path)
    assert isinstance(match, Match)
    return transcoder.decode(match, query, body)


def violation(method: str, path: str, query: str = "", body: bytes = b"") -> tuple[str, str]:
    with pytest.raises(Refusal) as caught:
        decode(method, path, query, body)
    assert (caught.value.kind, caught.value.reason) == (Kind.INVALID_ARGUMENT, Reason.INPUT_MALFORMED)
    (only,) = caught.value.violations
    return only.field, only.description


def verify(body: bytes, query: str = "") -> Message:
    request: Message = decode("POST", f"{BASE}/verify", query, body, OURS)
    return request


def test_verify() -> None:
    assert verify(b'{"phoneNumber": "+990123456789"}') == pb.VerifyPhoneNumberRequest(phone_number="+990123456789")
    assert verify(b'{"hashedPhoneNumber":"00"}') == pb.VerifyPhoneNumberRequest(hashed_phone_number="00")
    assert verify(b"{}") == pb.VerifyPhoneNumberRequest()  # refused by the field rules, over gRPC too


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b'{"phoneNumber": 990123456789}',
        b'{"phoneNumber": null}',
        b'{"phone_number": "+990123456789"}',
        b'{"phoneNumber": "+990123456789", "hashedPhoneNumber": "00"}',
        b'{"phoneNumber": "+990123456789", "extra": {}}',
        b'{"phoneNumber": "+990123456789"}x',
        b'{"phoneNumber": "\\ud800"}',
    ],
)
def test_verify_refuses(body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        verify(body)
    assert caught.value.kind is Kind.INVALID_ARGUMENT
    assert "990123456789" not in str(caught.value.violations)


def test_verify_takes_no_query() -> None:
    with pytest.raises(Refusal):
        verify(b'{"phoneNumber": "+990123456789"}', "phoneNumber=%2B990123456788")


def test_share_needs_no_body() -> None:
    for method, body in (("GET", b""), ("POST", b""), ("POST", b"{}"), ("POST", b" {} ")):
        request = decode(method, f"{BASE}/device-phone-number", "", body, OURS)
        assert request == pb.GetDevicePhoneNumberRequest()


@pytest.mark.parametrize(("method", "body"), [("GET", b"{}"), ("POST", b"[]"), ("POST", b'{"x":1}'), ("POST", b" ")])
def test_share_refuses(method: str, body: bytes) -> None:
    with pytest.raises(Refusal):
        decode(method, f"{BASE}/device-phone-number", "", body, OURS)


def test_path_variables() -> None:
    assert decode("GET", "/library/v1/shelves/s/books/b").name == "shelves/s/books/b"
    assert decode("GET", "/library/v1/pages/any/a/b").path == "a/b"


def test_path_variables_win() -> None:
    path = "/library/v1/shelves/s/books/b17"
    request = decode("PUT", path, "", b'{"id": "b99", "title": "T"}')
    assert (request.shelf, request.book.id, request.book.title) == ("s", "b17", "T")
    moved = decode("POST", f"{path}:move", "", b'{"id": "b99", "shelf": "x", "otherShelf": "o"}')
    assert (moved.id, moved.shelf, moved.other_shelf) == ("b17", "s", "o")
    assert violation("PUT", path, "book.id=b99", b"{}") == ("", "the query has an unknown parameter")


def test_path_variables_win_within_a_oneof(tmp_path: Path) -> None:
    text = """syntax = "proto3"; package test.v1;
        import "contract/v1/options.proto"; import "google/api/annotations.proto";
        service S { option (contract.v1.api) = {base_path: "/t" title: "T" version: "1"};
          rpc Do(Ask) returns (Ask) { option (google.api.http) = {post: "/t/{a}" body: "*"};
            option (contract.v1.access) = {caller: CALLER_API_CONSUMER scopes: "s"}; } }
        message Ask { oneof o { string a = 1; string b = 2; } }"""
    contract = Contract(compiled_text(tmp_path, text))
    ((_, _, (binding,), _),) = exposed_services(contract, access_rules(contract))
    transcoder = Transcoder([binding.route], contract.pool)
    assert decode("POST", "/t/x", "", b'{"a": "y"}', transcoder).a == "x"
    with pytest.raises(Refusal):
        decode("POST", "/t/x", "", b'{"b": "y"}', transcoder)


def test_body_that_is_a_field() -> None:
    request = decode("POST", "/library/v1/shelves/s/books", "dryRun=true", b'{"title": "T"}')
    assert request == message("CreateBookRequest", shelf="s", dry_run=True, book={"title": "T"})
    empty = decode("POST", "/library/v1/shelves/s/books", "", b"{}")
    assert empty.HasField("book")


def test_faults_in_a_body_that_is_a_field() -> None:
    path = "/library/v1/shelves/s/books"
    assert violation("POST", path, "", b'{"sequelOf": {"title": 1}}') == ("book.sequelOf.title", "must be a string")
    assert violation("POST", path, "", b'{"nope": 1}') == ("book", "has an unknown property")
    assert violation("POST", path, "", b"") == ("", "a body is required")


def test_faults_of_a_body_as_a_whole() -> None:
    assert violation("POST", "/library/v1/echo", "", b"[]") == ("", "the body must be an object")
    assert violation("POST", "/library/v1/echo", "", b"{") == ("", "the body is not valid JSON in UTF-8")
    assert violation("GET", "/library/v1/books/b", "", b"{}") == ("", "no body is expected")


LIST = "/library/v1/shelves/s/books"


def test_query_parameters() -> None:
    query = (
        "pageSize=10&writtenBy=A+B&writtenBy=%C3%A9&covers=COVER_HARD&covers=COVER_SOFT&readMask=title,sequelOf"
        "&lending.sinceTime=1970-01-01T00:00:01Z&lending.period.atLeast=2s&lent=false&after=18446744073709551615"
        "&sorted=true&weight=-1.5e3"
    )
    request = decode("GET", LIST, query)
    assert (request.shelf, request.page_size, list(request.written_by)) == ("s", 10, ["A B", "é"])
    assert (list(request.covers), list(request.read_mask.paths)) == ([1, 2], ["title", "sequel_of"])
    assert (request.lending.since_time.seconds, request.lending.period.at_least.seconds) == (1, 2)
    assert request.HasField("lent")
    assert (request.lent.value, request.after, request.sorted, request.weight) == (False, 2**64 - 1, True, -1500)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("nope=1", ""),
        ("page_size=1", ""),
        ("shelf=t", ""),
        ("lending=x", ""),
        ("lending.period=1s", ""),
        ("&", ""),
        ("pageSize=1&", ""),
        ("=1", ""),
        ("pageSize", "pageSize"),
        ("pageSize=", "pageSize"),
        ("pageSize=1.0", "pageSize"),
        ("pageSize=%201", "pageSize"),
        ("pageSize=9" + "9" * 5000, "pageSize"),
        ("pageSize=1&pageSize=1", "pageSize"),
        ("sorted=TRUE", "sorted"),
        ("sorted=1", "sorted"),
        ("weight=NaN", "weight"),
        ("weight=1_0", "weight"),
        ("weight=1e999", "weight"),
        ("weight=0x1", "weight"),
        ("covers=1", "covers[0]"),
        ("covers=COVER_HARD&covers=", "covers[1]"),
        ("lending.sinceTime=now", "lending.sinceTime"),
        ("lent=null", "lent"),
        ("after=-1", "after"),
        ("readMask=a_b", "readMask"),
        ("writtenBy=%", ""),
        ("writtenBy=%z1", ""),
        ("writtenBy=%ff", ""),
        ("writtenBy=ÿ", ""),
        ("writtenBy=☃", ""),
        ("%ff=1", ""),
    ],
)
def test_query_refused(query: str, field: str) -> None:
    assert violation("GET", LIST, query)[0] == field


def test_encode() -> None:
    assert OURS.encode(pb.VerifyPhoneNumberResponse()) == b'{"devicePhoneNumberVerified":false}'
    assert OURS.encode(pb.GetDevicePhoneNumberResponse(device_phone_number="+990123456789")) == (
        b'{"devicePhoneNumber":"+990123456789"}'
    )


def test_encode_a_field() -> None:
    assert LIBRARY.encode(message("GetPageResponse", text="é"), "text") == '"é"'.encode()
    assert LIBRARY.encode(message("ListBooksResponse"), "books") == b"[]"


def outcome_of(attempt: Callable[[], Message]) -> Message | Kind:
    try:
        return attempt()
    except Refusal as refusal:
        return refusal.kind


@given(st.binary())
def test_any_body_is_a_message_or_a_refusal(body: bytes) -> None:
    outcome = outcome_of(partial(verify, body))
    assert outcome is Kind.INVALID_ARGUMENT or isinstance(outcome, pb.VerifyPhoneNumberRequest)


_names = st.sampled_from(
    ["pageSize", "writtenBy", "covers", "lending.sinceTime", "readMask", "lent", "weight", "after"]
)
_values = st.text(st.sampled_from("%&=+.-eE0123456789aZ\xff\u2603,")) | st.text()


@given(st.lists(st.builds(lambda name, value: f"{name}={value}", _names, _values), max_size=3).map("&".join))
def test_any_query_is_a_message_or_a_refusal(query: str) -> None:
    outcome = outcome_of(partial(decode, "GET", LIST, query))
    assert outcome is Kind.INVALID_ARGUMENT or isinstance(outcome, Message)


@given(st.text(min_size=1, max_size=20))
def test_any_path_is_a_message_or_a_refusal(segment: str) -> None:
    match = LIBRARY.match("GET", f"/library/v1/books/{segment}")
    if isinstance(match, Match):
        assert isinstance(LIBRARY.decode(match, "", b""), Message)
