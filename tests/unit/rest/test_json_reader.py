import base64
import json
import math
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from golden.library import POOL, message
from number_verification.rest.json_reader import MAX_DEPTH, Malformed, MessageReader, parse

READER = MessageReader(POOL.FindMessageTypeByName("library.v1.Everything"))


def read(content: bytes | str) -> Any:
    everything = message("Everything")
    READER.read(everything, parse(content.encode() if isinstance(content, str) else content))
    return everything


def fault(content: bytes | str) -> tuple[str, str]:
    with pytest.raises(Malformed) as caught:
        read(content)
    return caught.value.field, caught.value.description


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"{",
        b"{}{}",
        b"{} x",
        b"{}\x00",
        b"{'a': 1}",
        b'{"aString": "a\nb"}',
        b'{"aString": "\xff"}',
        b'{"aString": "\xed\xa0\x80"}',
        b'{"aString": "\xc0\xaf"}',
        b"\xef\xbb\xbf{}",
        '{"aString": "x"}'.encode("utf-16"),
        '{"aString": "x"}'.encode("utf-32"),
        b'{"aDouble": NaN}',
        b'{"aDouble": Infinity}',
        b'{"aDouble": -Infinity}',
        b'{"anInt32": 01}',
        b'{"anInt32": +1}',
        b'{"anInt32": 1' + b"0" * 5000 + b"}",
        b"[" * 1_000_000,
        b"{" * 1_000_000,
        b'{"a":' * 200_000,
        b'{"aString": tru}',
        b"{,}",
        b'{"aString": "x",}',
        b'/**/{"aString": "x"}',
    ],
)
def test_no_json(content: bytes) -> None:
    assert fault(content) == ("", "is not valid JSON in UTF-8")


@pytest.mark.parametrize(
    "content",
    [
        '{"aString": "x", "aString": "y"}',
        '{"aString": "x", "aString": "x"}',
        '{"aString": "x", "\\u0061String": "x"}',
        '{"unknown": {"x": 1, "x": 2}}',
        '{"inner": {"number": 1, "number": 2}}',
        '{"inners": [{}, {"number": 1, "number": 2}]}',
    ],
)
def test_duplicate_properties(content: str) -> None:
    assert fault(content) == ("", "an object names a property twice")


@pytest.mark.parametrize("content", ["null", "[]", "true", "0", '"{}"', "1.5", "[{}]"])
def test_no_object(content: str) -> None:
    assert fault(content) == ("", "must be an object")


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ('{"nope": 1}', ""),
        ('{"a_string": "x"}', ""),
        ('{"AString": "x"}', ""),
        ('{"": 1}', ""),
        ('{"renamed": "x"}', ""),
        ('{"inner": {"nope": 1}}', "inner"),
        ('{"inners": [{}, {"nope": 1}]}', "inners[1]"),
        ('{"itself": {"itself": {"inners": [{"nope": 1}]}}}', "itself.itself.inners[0]"),
        ('{"empty": {"nope": 1}}', "empty"),
        ('{"choice": "one"}', ""),
    ],
)
def test_unknown_properties(content: str, field: str) -> None:
    assert fault(content) == (field, "has an unknown property")


VALUES = ["null", "true", "1", "1.5", '"x"', '"1"', '"true"', "[]", "{}", '["x"]', '""']
FITTING = {
    "aDouble": {"1", "1.5"},
    "aFloat": {"1", "1.5"},
    "anInt32": {"1"},
    "anInt64": {'"1"'},
    "anUint32": {"1"},
    "anUint64": {'"1"'},
    "aBool": {"true"},
    "aString": {'"x"', '"1"', '"true"', '""'},
    # "true" is base64.
    "someBytes": {'"true"', '""'},
    "cover": set(),
    "inner": {"{}"},
    "maybe": {'"x"', '"1"', '"true"', '""'},
    "longs": {"[]"},
    "inners": {"[]"},
    "innerByName": {"{}"},
    "nameByNumber": {"{}"},
    "timeByFlag": {"{}"},
    "time": set(),
    "duration": set(),
    "mask": {'"x"', '"true"', '""'},
    "wrappedString": {'"x"', '"1"', '"true"', '""'},
    "wrappedLong": {'"1"'},
    "times": {"[]"},
    "empty": {"{}"},
    "one": {'"x"', '"1"', '"true"', '""'},
    "other": {"{}"},
    "itself": {"{}"},
    "@name": {'"x"', '"1"', '"true"', '""'},
}


def test_the_table_names_every_field() -> None:
    assert FITTING.keys() == READER.setters.keys()


@pytest.mark.parametrize("name", FITTING)
@pytest.mark.parametrize("value", VALUES)
def test_exactly_the_type(name: str, value: str) -> None:
    content = f'{{"{name}": {value}}}'
    if value in FITTING[name]:
        read(content)
    else:
        field, description = fault(content)
        assert field.removesuffix("[0]") == name
        assert description.startswith("must be")


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("anInt32", ["-2147483648", "2147483647"], ["-2147483649", "2147483648", "1.0", "1e2", '"1"']),
        ("anUint32", ["0", "4294967295"], ["-1", "4294967296"]),
        ("anInt64", ['"-9223372036854775808"', '"9223372036854775807"'], ['"9223372036854775808"', '"1.0"', '"1_0"']),
        (
            "anUint64",
            ['"0"', '"18446744073709551615"'],
            ['"-1"', '"18446744073709551616"', '" 1"', '"01"', '"+1"', '"١"'],
        ),
        ("anInt64", ['"1"'], ["1", '"1\\n"', '"' + "9" * 5000 + '"']),
        ("aFloat", ["3.4028234663852886e38", "-3.4028234663852886e38"], ["3.41e38", "1e999", "-1e999", '"NaN"']),
        ("aDouble", ["1.7976931348623157e308", "5e-324"], ["1e309", "-1e309", '"Infinity"', "1" + "0" * 400]),
        ("cover", ['"COVER_HARD"'], ["1", '"hard"', '"COVER_NONE"', '"1"', '""']),
        ("someBytes", ['"AAEC/+8="'], ['"AAEC_-8="', '"AAEC/+8"', '"A A="', '"AA EC"', '"AAEC!!!!"', '"é"', '"A==="']),
        ("aString", ['"é☃\\ud83d\\ude00\\u0000"'], ['"\\ud800"', '"\\udc00x"', '"\\ude00\\ud83d"']),
        (
            "time",
            ['"2024-02-29T23:59:59Z"', '"2024-01-01T00:00:00.123456789+01:00"', '"0001-01-01T00:00:00Z"'],
            [
                '"2024-2-9T3:9:9Z"',
                '"2024-02-30T00:00:00Z"',
                '"2024-01-01"',
                '"2024-01-01T00:00:00"',
                '"2024-01-01T00:00:00.1234567890Z"',
                '"2024-01-01T25:00:00Z"',
                '"2024-01-01 00:00:00Z"',
                '"2024-01-01T00:00:00Z\\n"',
                '"0000-01-01T00:00:00Z"',
                '"0001-01-01T00:00:00+23:59"',
                '"9999-12-31T23:59:59-23:59"',
            ],
        ),
        (
            "duration",
            ['"1s"', '"-1.5s"', '"315576000000s"', '"0.000000001s"'],
            ['"1"', '"1.s"', '" 1s"', '"1_0s"', '"315576000001s"', '"1.0000000001s"', '"1S"', '"1s\\n"'],
        ),
        ("mask", ['"a,bC.dE"', '""'], ['"a_b"', '"a,,b"', '"a,"', '",a"', '"a.b."', '"a\\n"', '"A"']),
        ("nameByNumber", ['{"1": "x", "-2": ""}'], ['{"x": "x"}', '{"1": 1}', '{"1.0": "x"}', '{"": "x"}', "[]"]),
        ("timeByFlag", ['{"true": "2024-01-01T00:00:00Z"}'], ['{"1": "2024-01-01T00:00:00Z"}', '{"true": "x"}']),
        ("longs", ['["1", "-1"]'], ["[1]", '["x"]', "[null]", '[["1"]]']),
        ("times", ['["2024-01-01T00:00:00Z"]'], ['["x"]', "[{}]"]),
    ],
)
def test_values(name: str, good: list[str], bad: list[str]) -> None:
    for value in good:
        read(f'{{"{name}": {value}}}')
    for value in bad:
        field, _ = fault(f'{{"{name}": {value}}}')
        assert field.startswith(name), value


def test_what_is_read() -> None:
    everything = read(
        """{"aDouble": 0.5, "aFloat": 2, "anInt32": -3, "anInt64": "-4", "anUint32": 5, "anUint64": "6", "aBool": true,
            "aString": "é", "someBytes": "AP8=", "cover": "COVER_SOFT", "inner": {"number": -7}, "maybe": "",
            "longs": ["8", "9"], "inners": [{}, {"number": 1}], "innerByName": {"x": {"number": 2}},
            "nameByNumber": {"-3": "z"}, "timeByFlag": {"true": "1970-01-01T00:00:01Z"},
            "time": "1970-01-01T00:00:02.5Z", "duration": "-1.5s", "mask": "aB,c.d", "wrappedString": "",
            "wrappedLong": "10", "times": ["1970-01-01T00:00:03Z"], "empty": {}, "other": {}, "itself": {"aBool": true},
            "@name": "n"}"""
    )
    assert (everything.a_double, everything.a_float, everything.an_int32, everything.an_int64) == (0.5, 2, -3, -4)
    assert (everything.an_uint32, everything.an_uint64, everything.a_bool, everything.a_string) == (5, 6, True, "é")
    assert (everything.some_bytes, everything.cover, everything.inner.number) == (b"\x00\xff", 2, -7)
    assert everything.HasField("maybe")
    assert list(everything.longs) == [8, 9]
    assert [inner.number for inner in everything.inners] == [0, 1]
    assert everything.inner_by_name["x"].number == 2
    assert dict(everything.name_by_number) == {-3: "z"}
    assert everything.time_by_flag[True].seconds == 1
    assert (everything.time.seconds, everything.time.nanos) == (2, 500_000_000)
    assert (everything.duration.seconds, everything.duration.nanos) == (-1, -500_000_000)
    assert list(everything.mask.paths) == ["a_b", "c.d"]
    assert everything.HasField("wrapped_string")
    assert everything.wrapped_long.value == 10
    assert everything.times[0].seconds == 3
    assert everything.HasField("empty")
    assert everything.WhichOneof("choice") == "other"
    assert everything.itself.a_bool
    assert everything.renamed == "n"


def test_one_member_of_a_oneof() -> None:
    assert fault('{"one": "x", "other": {}}') == ("other", "only one of one, other may be given")
    assert fault('{"other": {}, "one": ""}') == ("one", "only one of one, other may be given")


def nested(depth: int) -> str:
    return '{"itself":' * depth + "{}" + "}" * depth


def test_depth_of_messages() -> None:
    read(nested(MAX_DEPTH))
    _, description = fault(nested(MAX_DEPTH + 1))
    assert description == "is nested too deeply"


def test_what_is_wrong_is_not_repeated() -> None:
    secret = "+990123456789"
    for content in (
        f'{{"{secret}": 1}}',
        f'{{"anInt64": "{secret}"}}',
        f'{{"nameByNumber": {{"{secret}": "x"}}}}',
        f'{{"innerByName": {{"{secret}": 1}}}}',
        f'{{"time": "{secret}"}}',
        f'{{"cover": "{secret}"}}',
        f'{{"aString": "{secret}',
        f'{{"{secret}": 1, "{secret}": 1}}',
    ):
        with pytest.raises(Malformed) as caught:
            read(content)
        assert secret not in f"{caught.value.field} {caught.value.description} {caught.value!r}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(FITTING)) | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(sorted(FITTING)), JSON, max_size=4))
def test_any_json_is_read_or_malformed(content: dict[str, Any]) -> None:
    try:
        everything = read(json.dumps(content))
    except Malformed:
        return
    # What is read is what protobuf's own reader makes of it: strictness refuses, it never means something else.
    assert json_format.ParseDict(content, message("Everything")) == everything


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_malformed(content: bytes) -> None:
    try:
        read(content)
    except Malformed:
        return
    assert json.loads(content) is not None


@given(st.floats(allow_nan=False, allow_infinity=False), st.binary(), st.text(), st.integers(-(2**63), 2**63 - 1))
def test_values_arrive(number: float, content: bytes, text: str, integer: int) -> None:
    everything = read(
        json.dumps(
            {
                "aDouble": number,
                "someBytes": base64.b64encode(content).decode(),
                "aString": text,
                "longs": [str(integer)],
            }
        )
    )
    assert everything.a_double == number or math.isclose(everything.a_double, number)
    assert (everything.some_bytes, everything.a_string, list(everything.longs)) == (content, text, [integer])
