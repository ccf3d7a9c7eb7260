import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_verification.domain.refusal import Kind, Refusal
from number_verification.services.page_tokens import PageTokens

TOKENS = PageTokens(b"k" * 32)
LISTING = ("onboarding.v1.ListPeopleRequest", "organizations/bank", "active")
LAST = "organizations/bank/people/ada"


def refusal_of(token: str, *listing: str, tokens: PageTokens = TOKENS) -> Refusal:
    with pytest.raises(Refusal) as caught:
        tokens.last(token, *listing)
    return caught.value


@given(st.text(max_size=160), st.lists(st.text(max_size=20), max_size=4))
def test_a_token_is_read_for_the_listing_that_it_was_given_out_for(last: str, listing: list[str]) -> None:
    assert TOKENS.last(TOKENS.token(last, *listing), *listing) == last


def test_no_token_is_the_beginning() -> None:
    assert TOKENS.last("", *LISTING) == ""


@pytest.mark.parametrize(
    "other",
    [
        ("onboarding.v1.ListApplicationsRequest", "organizations/bank", "active"),
        ("onboarding.v1.ListPeopleRequest", "organizations/shop", "active"),
        ("onboarding.v1.ListPeopleRequest", "organizations/-", "active"),
        ("onboarding.v1.ListPeopleRequest", "organizations/bank", ""),
        ("onboarding.v1.ListPeopleRequest", "organizations/ban", "kactive"),
        ("onboarding.v1.ListPeopleRequest", "organizations/bank"),
    ],
)
def test_a_token_of_another_listing_is_refused(other: tuple[str, ...]) -> None:
    assert refusal_of(TOKENS.token(LAST, *LISTING), *other).kind is Kind.INVALID_ARGUMENT


def test_a_token_of_another_key_is_refused() -> None:
    assert refusal_of(TOKENS.token(LAST, *LISTING), *LISTING, tokens=PageTokens(b"other")).kind is Kind.INVALID_ARGUMENT


def test_a_token_has_one_form_only() -> None:
    token = TOKENS.token(LAST, *LISTING)
    for forged in (token + "=", token + "\n", " " + token, token[:-1], token.swapcase(), "=" + token):
        assert refusal_of(forged, *LISTING).violations[0].field == "pageToken"


@given(st.text(st.characters(), max_size=200) | st.binary(max_size=80).map(base64.urlsafe_b64encode).map(bytes.decode))
def test_whatever_somebody_makes_up_is_refused(token: str) -> None:
    if token:
        assert refusal_of(token, *LISTING).kind is Kind.INVALID_ARGUMENT


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_no_byte_of_a_token_can_be_changed(position: int, difference: int) -> None:
    token = TOKENS.token(LAST, *LISTING)
    content = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    content[position % len(content)] ^= difference
    forged = base64.urlsafe_b64encode(content).rstrip(b"=").decode()
    assert refusal_of(forged, *LISTING).kind is Kind.INVALID_ARGUMENT
