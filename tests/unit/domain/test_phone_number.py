import hashlib

import pytest

from number_verification.domain.phone_number import from_msisdn, is_phone_number, matches_hashed, matches_plain

NUMBER = "+99012345678"
DIGEST = hashlib.sha256(NUMBER.encode()).hexdigest()

NO_NUMBERS = [
    "",
    "+",
    "+9901",
    "+9901234567890123",
    "+0990123456",
    "+990 123456",
    "+990123456\n",
    "++990123456",
    "+99012345٦",
    "990123456+",
    "+990-123456",
    "tel:+990123456",
]


@pytest.mark.parametrize("number", ["+99012", NUMBER, "+990123456789012"])
def test_numbers_have_a_plus_and_five_to_fifteen_digits(number: str) -> None:
    assert is_phone_number(number)
    assert from_msisdn(number) == number
    assert from_msisdn(number[1:]) == number


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_anything_else_is_no_number(text: str) -> None:
    assert not is_phone_number(text)
    assert from_msisdn(text) is None


def test_the_plus_is_part_of_a_number() -> None:
    assert not is_phone_number(NUMBER[1:])


def test_a_number_matches_itself_only() -> None:
    assert matches_plain(NUMBER, NUMBER)
    for claimed in (NUMBER[1:], NUMBER + "0", NUMBER[:-1], "", "+99012345679", "\N{BELL}"):
        assert not matches_plain(NUMBER, claimed)


@pytest.mark.parametrize("claimed", [DIGEST, DIGEST.upper(), DIGEST[:32].upper() + DIGEST[32:]])
def test_a_digest_matches_in_either_case(claimed: str) -> None:
    assert matches_hashed(NUMBER, claimed)


@pytest.mark.parametrize(
    "claimed",
    ["", DIGEST[:-1], DIGEST + "0", hashlib.sha256(NUMBER[1:].encode()).hexdigest(), "0" * 64, "é" * 64],
    ids=["none", "short", "long", "without plus", "zeros", "not ASCII"],
)
def test_another_digest_does_not_match(claimed: str) -> None:
    assert not matches_hashed(NUMBER, claimed)
