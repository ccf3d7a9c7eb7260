"""The `Forwarded` header."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_verification.domain.origin import NetworkOrigin
from number_verification.origin.address import format_address, parse_address, unmapped
from number_verification.origin.forwarded import MAX_ELEMENTS, MAX_LENGTH, parse_forwarded

DEVICE = parse_address("203.0.113.7:40001")
V6_DEVICE = parse_address("[2001:db8::1]:4711")

origins = st.builds(
    NetworkOrigin,
    st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16).map(unmapped)),
    st.integers(0, 0xFFFF),
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('for="203.0.113.7:40001"', (DEVICE,)),
        ('For="[2001:db8::1]:4711"', (V6_DEVICE,)),
        ("for=203.0.113.7", (parse_address("203.0.113.7"),)),
        ('for="203.0.113.7"', (parse_address("203.0.113.7"),)),
        (
            'for=192.0.2.43, for="[2001:db8::1]:4711";by=_edge;proto=https',
            (parse_address("192.0.2.43"), V6_DEVICE),
        ),
        ('proto=http;host="a,b;c=\\"d";FOR="203.0.113.7:40001"', (DEVICE,)),
        ('for="203\\.0.113.7:4000\\1"', (DEVICE,)),
        ('\t for="203.0.113.7:40001" \t', (DEVICE,)),
        ('for=_a ,\tfor="203.0.113.7:40001"', (None, DEVICE)),
        (';;for="203.0.113.7:40001";', (DEVICE,)),
        ('x="\xe9";for="203.0.113.7:40001"', (DEVICE,)),
    ],
)
def test_elements_in_order(header: str, expected: tuple[NetworkOrigin | None, ...]) -> None:
    assert parse_forwarded(header) == expected


@pytest.mark.parametrize(
    "element",
    [
        "for=unknown",
        "for=_hidden",
        'for="_hidden:_port"',
        'for="203.0.113.7:_port"',
        'for="unknown:40001"',
        "by=203.0.113.7",
        "proto=https",
        'for=""',
        'for=" 203.0.113.7"',
        'for="2001:db8::1"',  # RFC 7239 §6: brackets
        'for="fe80::1%eth0"',
        "for=203.0.113.07",
        "",
    ],
)
def test_an_element_that_names_nobody_keeps_its_place(element: str) -> None:
    assert parse_forwarded(element) == (None,)
    assert parse_forwarded(f'for="203.0.113.7:40001",{element}') == (DEVICE, None)
    assert parse_forwarded(f'{element},for="203.0.113.7:40001"') == (None, DEVICE)


@pytest.mark.parametrize(
    "header",
    [
        "203.0.113.7",
        "for",
        "for=",
        "=203.0.113.7",
        "for:203.0.113.7",
        "for =203.0.113.7",
        "for= 203.0.113.7",
        "for=203.0.113.7 ;proto=http",
        "for=203.0.113.7; proto=http",
        "for=203.0.113.7:40001",  # a colon needs quotes
        "for=[2001:db8::1]",
        'for="203.0.113.7',
        'for="203.0.113.7\\"',
        'for="203.0.113.7"x',
        'for="a" "b"',
        "for='203.0.113.7:1'",
        "for=203.0.113.7;for=198.51.100.1",
        "for=203.0.113.7;FOR=203.0.113.7",
        "for=203.0.113.7;by=a;by=b",
        "fo\u00f6=a",
        'for="\u20ac"',
        'for="\x7f"',
        'for="a\nb"',
        "for=a\0",
        "for=a\n",
    ],
)
def test_what_breaks_the_grammar_is_refused(header: str) -> None:
    assert parse_forwarded(header) is None
    assert parse_forwarded(f'for="203.0.113.7:40001", {header}') is None
    assert parse_forwarded(f'{header}, for="203.0.113.7:40001"') is None


def test_bounds() -> None:
    assert parse_forwarded(",".join(["for=a"] * MAX_ELEMENTS)) == (None,) * MAX_ELEMENTS
    assert parse_forwarded(",".join(["for=a"] * (MAX_ELEMENTS + 1))) is None
    assert parse_forwarded("x=" + "a" * (MAX_LENGTH - 2)) == (None,)
    assert parse_forwarded("x=" + "a" * (MAX_LENGTH - 1)) is None


@pytest.mark.parametrize(
    "piece", [";", "a=b;", "a=", 'a="', "\\", '"\\"', " ", ", ", "a=b ", 'a="b" ', 'a="\\a', "a;", "\t,"]
)
def test_no_header_takes_long(piece: str) -> None:
    for tail in ("", "!", '"', "\0"):
        began = time.thread_time()
        parse_forwarded((piece * MAX_LENGTH)[: MAX_LENGTH - 1] + tail)
        assert time.thread_time() - began < 0.1


@given(st.one_of(st.text(), st.text(alphabet='for=by;,"\\ 1.:[]_x\t')))
def test_arbitrary_text_is_elements_or_none(header: str) -> None:
    elements = parse_forwarded(header)
    assert elements is None or 1 <= len(elements) <= MAX_ELEMENTS


@given(st.lists(origins, min_size=1, max_size=MAX_ELEMENTS), st.sampled_from([",", ", ", " ,\t"]))
def test_round_trip(written: list[NetworkOrigin], separator: str) -> None:
    header = separator.join(f'for="{format_address(origin)}"' for origin in written)
    assert parse_forwarded(header) == tuple(written)


@given(st.one_of(st.text(max_size=60), st.text(alphabet='for=by;,"\\ 1.:[]_x\t', max_size=60)))
def test_nothing_a_client_writes_before_it_changes_what_the_proxy_wrote(prefix: str) -> None:
    """A quote left open by the client must not swallow the proxy's element, nor a comma of its own replace it."""
    for own in ('for="203.0.113.7:40001"', 'for="203.0.113.7:40001";proto="https";by="_edge"'):
        elements = parse_forwarded(f"{prefix}, {own}")
        assert elements is None or elements[-1] == DEVICE
