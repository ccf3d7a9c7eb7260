"""The `X-Forwarded-For` header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_verification.domain.origin import NetworkOrigin
from number_verification.origin.address import parse_address
from number_verification.origin.forwarded import MAX_ELEMENTS, MAX_LENGTH
from number_verification.origin.x_forwarded_for import parse_x_forwarded_for

DEVICE = parse_address("203.0.113.7:40001")
V6_DEVICE = parse_address("[2001:db8::1]:4711")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("203.0.113.7:40001", (DEVICE,)),
        ("203.0.113.7", (parse_address("203.0.113.7"),)),
        ("[2001:db8::1]:4711", (V6_DEVICE,)),
        ("2001:db8::1", (parse_address("2001:db8::1"),)),
        ("unknown,\t203.0.113.7:40001 ,[2001:db8::1]:4711", (None, DEVICE, V6_DEVICE)),
        ('"203.0.113.7:40001"', (None,)),
        ("for=203.0.113.7", (None,)),
        ("203.0.113.7 198.51.100.1", (None,)),
        ("203.0.113.7\n", (None,)),
        ("", (None,)),
        ("203.0.113.7:40001,", (DEVICE, None)),
        (",203.0.113.7:40001", (None, DEVICE)),
    ],
)
def test_elements_in_order(header: str, expected: tuple[NetworkOrigin | None, ...]) -> None:
    assert parse_x_forwarded_for(header) == expected


def test_bounds() -> None:
    assert parse_x_forwarded_for(",".join(["a"] * MAX_ELEMENTS)) == (None,) * MAX_ELEMENTS
    assert parse_x_forwarded_for(",".join(["a"] * (MAX_ELEMENTS + 1))) is None
    assert parse_x_forwarded_for("a" * MAX_LENGTH) == (None,)
    assert parse_x_forwarded_for("a" * (MAX_LENGTH + 1)) is None


@given(st.one_of(st.text(max_size=60), st.text(alphabet="1.:[], ", max_size=60)))
def test_nothing_a_client_writes_before_it_changes_what_the_proxy_wrote(prefix: str) -> None:
    elements = parse_x_forwarded_for(f"{prefix}, 203.0.113.7:40001")
    assert elements is None or elements[-1] == DEVICE
