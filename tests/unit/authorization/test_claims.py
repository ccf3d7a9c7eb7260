"""What the times, the audience and the texts of a token must be."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_verification.authorization import claims
from number_verification.authorization.jose import InvalidToken
from number_verification.domain.refusal import Reason
from unit.authorization.support import NOW, SECONDS

LEEWAY = claims.LEEWAY
LIFETIME = 300

NO_DATES = [True, False, "1800000000", None, [], {}, math.nan, math.inf, -math.inf, -1, -0.5, 1e300, 2**63, 10**400]


def check(now: int = NOW, **values: Any) -> claims.Times:
    return claims.check_times(values, now)


def refusal(now: int = NOW, **values: Any) -> Reason:
    with pytest.raises(InvalidToken) as caught:
        check(now, **values)
    return caught.value.reason


@pytest.mark.parametrize("value", NO_DATES, ids=repr)
@pytest.mark.parametrize("name", ["iat", "exp", "nbf"])
def test_no_date(name: str, value: Any) -> None:
    times = {"iat": SECONDS, "exp": SECONDS + 10, "nbf": SECONDS}
    assert refusal(**{**times, name: value}) is Reason.TOKEN_CLAIMS


@pytest.mark.parametrize("name", ["iat", "exp"])
def test_both_dates_are_mandatory(name: str) -> None:
    times = {"iat": SECONDS, "exp": SECONDS + 10}
    del times[name]
    assert refusal(**times) is Reason.TOKEN_CLAIMS


def test_dates_may_have_fractions() -> None:
    assert check(iat=SECONDS + 0.25, exp=SECONDS + 10.75) == (SECONDS * 1000 + 250, SECONDS * 1000 + 10_750)


def test_lifetime() -> None:
    assert check(iat=SECONDS, exp=SECONDS + LIFETIME).expires_at == (SECONDS + LIFETIME) * 1000
    assert refusal(iat=SECONDS, exp=SECONDS + LIFETIME + 1) is Reason.TOKEN_CLAIMS
    assert refusal(iat=SECONDS, exp=SECONDS + LIFETIME + 0.01) is Reason.TOKEN_CLAIMS
    assert refusal(iat=SECONDS, exp=SECONDS) is Reason.TOKEN_CLAIMS
    assert refusal(iat=SECONDS + 1, exp=SECONDS) is Reason.TOKEN_CLAIMS


def test_expiry_with_leeway() -> None:
    exp = SECONDS + 10
    assert check(exp * 1000 + LEEWAY - 1, iat=SECONDS, exp=exp)
    assert refusal(exp * 1000 + LEEWAY, iat=SECONDS, exp=exp) is Reason.TOKEN_EXPIRED


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_not_yet(name: str) -> None:
    times: dict[str, Any] = {"iat": SECONDS, "exp": SECONDS + 100, name: SECONDS + 50}
    starts = times[name] * 1000
    assert check(starts - LEEWAY, **times)
    assert refusal(starts - LEEWAY - 1, **times) is Reason.TOKEN_NOT_YET_VALID


@given(st.integers(0, 2**42), st.integers(0, 2**33), st.integers(0, 2**33))
def test_whatever_passes_keeps_every_limit(now: int, iat: int, exp: int) -> None:
    try:
        times = claims.check_times({"iat": iat, "exp": exp}, now)
    except InvalidToken:
        return
    assert times.issued_at - LEEWAY <= now < times.expires_at + LEEWAY
    assert 0 < times.expires_at - times.issued_at <= claims.MAX_LIFETIME
    assert times.expires_at <= now + claims.MAX_LIFETIME + LEEWAY


@pytest.mark.parametrize("audience", ["us", ["us"], ["them", "us"]])
def test_our_audience(audience: Any) -> None:
    claims.check_audience({"aud": audience}, frozenset({"us", "also us"}))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, Reason.TOKEN_CLAIMS),
        *(({"aud": value}, Reason.TOKEN_CLAIMS) for value in (None, [], 1, True, {}, {"us": 1}, ["us", 1], [["us"]])),
        *(({"aud": value}, Reason.TOKEN_AUDIENCE) for value in ("", "US", "us ", "u", "us/", "them us", ["them"])),
    ],
)
def test_any_other_audience(values: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(InvalidToken) as caught:
        claims.check_audience(values, frozenset({"us"}))
    assert caught.value.reason is reason
    with pytest.raises(InvalidToken):
        claims.check_audience({"aud": ["us"]}, frozenset())


@pytest.mark.parametrize("value", ["", None, 1, True, [], ["a"], {}])
def test_no_text(value: Any) -> None:
    with pytest.raises(InvalidToken):
        claims.text({"jti": value}, "jti")
    with pytest.raises(InvalidToken):
        claims.text({}, "jti")


@pytest.mark.parametrize("value", ["nba", None, 1, {}, {"nba": 1}, ["nba", 1], [["nba"]], [None]])
def test_no_texts(value: Any) -> None:
    assert claims.texts({}, "amr") == []
    with pytest.raises(InvalidToken):
        claims.texts({"amr": value}, "amr")
