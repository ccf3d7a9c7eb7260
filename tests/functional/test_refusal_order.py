"""401 before 403 before 400: who may not ask learns nothing about how to ask."""

import pytest

from functional.service import PURPOSE, READ_SCOPE, VERIFY_SCOPE, Service
from functional.transports import MOBILE_403, Rest, Transport

BAD_CORRELATOR = ("x-correlator", "not allowed")
FORGED_ORIGIN = ("x-network-origin-access", "cellular")


@pytest.mark.parametrize("headers", [[], [BAD_CORRELATOR], [FORGED_ORIGIN], [BAD_CORRELATOR, FORGED_ORIGIN]])
def test_nothing_else_is_said_without_a_token(transport: Transport, headers: list[tuple[str, str]]) -> None:
    expected = transport.share(None)
    assert expected.code == "UNAUTHENTICATED"
    for outcome in (
        transport.verify_malformed(None, headers),
        transport.verify(None, headers),
        transport.verify(None, headers, phoneNumber="nonsense"),
        transport.verify("unknown", headers, phoneNumber="nonsense"),
    ):
        assert (outcome.code, outcome.body) == (expected.code, expected.body)


def test_a_missing_scope_goes_before_a_bad_request(sandbox: Service, transport: Transport) -> None:
    def token() -> str:
        return sandbox.external_token(scope=f"{PURPOSE} {READ_SCOPE}")

    for outcome in (
        transport.verify_malformed(token(), [BAD_CORRELATOR]),
        transport.verify(token(), phoneNumber="nonsense"),
        transport.verify(token(), phoneNumber="+990555000001"),
    ):
        assert outcome.code == "PERMISSION_DENIED"


def test_forged_origin_goes_before_a_bad_request(sandbox: Service, transport: Transport) -> None:
    outcome = transport.verify_malformed(sandbox.external_token(), [FORGED_ORIGIN, BAD_CORRELATOR])
    assert outcome.code == "PERMISSION_DENIED"


def test_a_user_of_another_kind_goes_before_a_bad_request(sandbox: Service, transport: Transport) -> None:
    outcome = transport.verify_malformed(sandbox.external_token(amr=["pwd"]), [BAD_CORRELATOR])
    assert outcome.code == MOBILE_403


def test_a_missing_scope_goes_before_a_user_of_another_kind(sandbox: Service, transport: Transport) -> None:
    outcome = transport.verify_malformed(sandbox.external_token(amr=["pwd"], scope=f"{PURPOSE} {READ_SCOPE}"))
    assert outcome.code == "PERMISSION_DENIED"


@pytest.mark.parametrize(("scope", "verifies"), [(VERIFY_SCOPE, True), (READ_SCOPE, False)])
def test_each_question_has_a_scope_of_its_own(
    sandbox: Service, transport: Transport, scope: str, verifies: bool
) -> None:
    verified = transport.verify(sandbox.external_token(scope=f"{PURPOSE} {scope}"), phoneNumber="+990555000001")
    shared = transport.share(sandbox.external_token(scope=f"{PURPOSE} {scope}"))
    assert verified.code == ("OK" if verifies else "PERMISSION_DENIED")
    assert shared.code == ("PERMISSION_DENIED" if verifies else "OK")


def test_a_good_token_meets_the_malformed_request(sandbox: Service, transport: Transport) -> None:
    assert transport.verify_malformed(sandbox.external_token()).code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("headers", "body", "media_type"),
    [
        ([("accept", "text/html")], b"{}", "application/json"),
        ([], b"{}", "text/plain"),
        ([], b"x" * 20_000, "application/json"),
    ],
)
def test_http_s_own_refusals_come_last(
    sandbox: Service, rest: Rest, headers: list[tuple[str, str]], body: bytes, media_type: str
) -> None:
    assert rest.post_verify(None, body, headers, media_type).code == "UNAUTHENTICATED"
    no_scope = sandbox.external_token(scope=PURPOSE)
    assert rest.post_verify(no_scope, body, headers, media_type).code == "PERMISSION_DENIED"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "DPoP {token}",
        "{token}",
        "Bearer {token} more",
        "Bearer {token},Bearer {token}",
        'Bearer token="{token}"',
    ],
)
def test_a_token_comes_as_a_bearer_token(sandbox: Service, transport: Transport, authorization: str) -> None:
    token = sandbox.external_token()
    assert transport.share(None, [("authorization", authorization.format(token=token))]).code == "UNAUTHENTICATED"


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_the_scheme_s_case_does_not_matter(sandbox: Service, transport: Transport, scheme: str) -> None:
    """RFC 9110 §11.1."""
    headers = [("authorization", f"{scheme} {sandbox.external_token()}")]
    assert transport.share(None, headers).code == "OK"


@pytest.mark.parametrize("second", ["other", "same", "nonsense", "empty"])
def test_two_authorizations_are_none(sandbox: Service, transport: Transport, second: str) -> None:
    """As a dict of single values, metadata would let the second win."""
    token = sandbox.external_token()
    value = {
        "other": f"Bearer {sandbox.external_token()}",
        "same": f"Bearer {token}",
        "nonsense": "nonsense",
        "empty": "",
    }[second]
    assert transport.share(token, [("authorization", value)]).code == "UNAUTHENTICATED"
    assert transport.share(None, [("authorization", value), ("authorization", f"Bearer {token}")]).code == (
        "UNAUTHENTICATED"
    )


def test_what_a_401_says_of_how_to_authenticate(sandbox: Service, rest: Rest) -> None:
    """RFC 6750 §3: an error code only where a token was sent."""
    without = rest.request("GET", "/device-phone-number")
    assert without.headers["www-authenticate"] == "Bearer"
    used = sandbox.external_token()
    assert rest.share(used).code == "OK"
    for token in (used, "unknown", "a" * 43):
        answer = rest.request("GET", "/device-phone-number", [("authorization", f"Bearer {token}")])
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
