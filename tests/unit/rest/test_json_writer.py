import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from golden.library import POOL, message
from number_verification.gen.numberverification.v2 import number_verification_pb2 as pb
from number_verification.rest.json_reader import MessageReader, parse
from number_verification.rest.json_writer import MessageWriter, encode, field_writer

EVERYTHING = POOL.FindMessageTypeByName("library.v1.Everything")
READER, WRITER = MessageReader(EVERYTHING), MessageWriter(EVERYTHING)


def test_fields_without_presence_are_always_written() -> None:
    written = encode(MessageWriter(pb.VerifyPhoneNumberResponse.DESCRIPTOR).write(pb.VerifyPhoneNumberResponse()))
    assert written == b'{"devicePhoneNumberVerified":false}'


def test_what_json_does_not_know_is_never_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(float("nan"))


def test_text_is_written_as_utf_8() -> None:
    assert encode({"x": "é☃"}) == '{"x":"é☃"}'.encode()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0.1, 0.1),
        (16777217.0, 16777216.0),
        (3.4028234663852886e38, 3.4028235e38),
        (1e-45, 1.4013e-45),
        (-2.5, -2.5),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_numbers_of_32_bits(number: float, expected: object) -> None:
    assert WRITER.write(message("Everything", a_float=number))["aFloat"] == expected


def test_numbers_of_64_bits_are_strings() -> None:
    written = WRITER.write(message("Everything", an_int64=-(2**63), an_uint64=2**64 - 1, a_double=float("nan")))
    assert (written["anInt64"], written["anUint64"], written["aDouble"]) == (str(-(2**63)), str(2**64 - 1), "NaN")


def test_enum_value_without_a_name() -> None:
    assert WRITER.write(message("Everything", cover=77))["cover"] == 77


def test_single_fields() -> None:
    fields = POOL.FindMessageTypeByName("library.v1.ListBooksResponse").fields_by_name
    response = message("ListBooksResponse", books=[message("Book", id="b1")])
    (book,) = field_writer(fields["books"])(response.books)
    assert book == {"id": "b1", "title": "", "cover": "COVER_UNSPECIFIED"}


_inner = st.builds(lambda number: message("Everything.Inner", number=number), st.integers(-(2**31), 2**31 - 1))
_seconds = st.integers(-62135596800, 253402300799)
_times = st.builds(lambda s, n: {"seconds": s, "nanos": n}, _seconds, st.integers(0, 999_999_999))
_names = st.from_regex(r"[a-z][a-z0-9]{0,5}(_[a-z][a-z0-9]{0,3})?", fullmatch=True)
MESSAGES = st.builds(
    lambda fields, choice: message("Everything", **fields, **choice),
    st.fixed_dictionaries(
        {},
        optional={
            "a_double": st.floats(allow_nan=False, allow_infinity=False),
            "a_float": st.floats(allow_nan=False, allow_infinity=False, width=32),
            "an_int32": st.integers(-(2**31), 2**31 - 1),
            "an_int64": st.integers(-(2**63), 2**63 - 1),
            "an_uint32": st.integers(0, 2**32 - 1),
            "an_uint64": st.integers(0, 2**64 - 1),
            "a_bool": st.booleans(),
            "a_string": st.text(),
            "some_bytes": st.binary(),
            "cover": st.integers(0, 2),
            "inner": _inner,
            "maybe": st.text(),
            "longs": st.lists(st.integers(-(2**63), 2**63 - 1)),
            "inners": st.lists(_inner),
            "inner_by_name": st.dictionaries(st.text(), _inner),
            "name_by_number": st.dictionaries(st.integers(-(2**31), 2**31 - 1), st.text()),
            "time_by_flag": st.dictionaries(st.booleans(), _times),
            "time": _times,
            "duration": st.builds(lambda s: {"seconds": s}, st.integers(-315576000000, 315576000000)),
            "mask": st.builds(lambda paths: {"paths": paths}, st.lists(_names)),
            "wrapped_string": st.builds(lambda text: {"value": text}, st.text()),
            "wrapped_long": st.builds(lambda number: {"value": number}, st.integers(0, 2**64 - 1)),
            "times": st.lists(_times),
            "empty": st.just({}),
            "itself": st.builds(lambda text: message("Everything", maybe=text), st.text()),
            "renamed": st.text(),
        },
    ),
    st.sampled_from([{}, {"one": ""}, {"one": "x"}]) | st.builds(lambda inner: {"other": inner}, _inner),
)


@given(MESSAGES)
def test_round_trip(everything: Any) -> None:
    content = encode(WRITER.write(everything))
    again = message("Everything")
    READER.read(again, parse(content))
    assert again == everything


@given(MESSAGES)
def test_protobuf_writes_the_same(everything: Any) -> None:
    theirs = json_format.MessageToDict(everything, always_print_fields_with_no_presence=True)
    assert json.loads(encode(WRITER.write(everything))) == theirs
