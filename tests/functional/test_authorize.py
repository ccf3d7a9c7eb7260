"""The authorization endpoint, as a device meets it (contract, OAuth; CAMARA Security and Interoperability Profile)."""

import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from functional.authorization import CHALLENGE, PHONE_1, OAuthClient, callback
from functional.registered import OTHER_PURPOSE
from functional.service import PURPOSE, READ_SCOPE, VERIFY_SCOPE, Service, request
from functional.serving import REDIRECT_URI, Setup, running_service
from functional.transports import Rest
from number_verification.domain.onboarding.application import ApplicationState

OFF_NET = "127.1.0.7"


def test_a_code_with_state_and_issuer(oauth: OAuthClient) -> None:
    answer = oauth.callback()
    assert set(answer) == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("the-state", oauth.issuer)
    assert len(answer["code"]) >= 43


def test_an_error_carries_state_and_issuer_too(oauth: OAuthClient) -> None:
    answer = oauth.callback(OFF_NET)
    assert set(answer) == {"error", "error_description", "state", "iss"}
    assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", "the-state", oauth.issuer)


def test_without_state_there_is_none(oauth: OAuthClient) -> None:
    assert "state" not in oauth.callback(state=None)
    assert "state" not in oauth.callback(OFF_NET, state=None)


@pytest.mark.parametrize("state", ["a b&c=d%20+", "x" * 2048, "~!@#$^*()[]{}|;:'<>,./?`"])
def test_the_state_comes_back_as_it_was(oauth: OAuthClient, state: str) -> None:
    assert oauth.callback(state=state)["state"] == state


def test_the_form_of_a_post_works_too(oauth: OAuthClient) -> None:
    """OpenID Connect Core §3.1.2.1."""
    form = [("content-type", "application/x-www-form-urlencoded")]
    body = urlencode(oauth.parameters()).encode()
    answer = request(oauth.issuer, "POST", "/oauth2/authorize", form, body, source=PHONE_1)
    assert "code" in callback(answer, oauth.redirect_uri)


NOT_REGISTERED = [
    "http://127.0.0.1:9999/callback/",
    "http://127.0.0.1:9999/callback?x=1",
    "http://127.0.0.1:9999/callbac",
    "http://127.0.0.1:9999/CALLBACK",
    "http://127.0.0.1:9999/callback#x",
    "http://127.0.0.1:9999/../callback",
    "http://127.0.0.1:9999/./callback",
    "http://127.0.0.1:9998/callback",
    "http://127.0.0.1/callback",
    "https://127.0.0.1:9999/callback",
    "http://localhost:9999/callback",
    "http://evil.example@127.0.0.1:9999/callback",
    "http://127.0.0.1:9999@evil.example/callback",
    " http://127.0.0.1:9999/callback",
    "http://127.0.0.1:9999/callback\r\nX: y",
    "//127.0.0.1:9999/callback",
    "/callback",
    "javascript:alert(1)",
    None,
    "",
]


@pytest.mark.parametrize("uri", NOT_REGISTERED)
def test_another_redirect_uri_is_never_redirected_to(oauth: OAuthClient, uri: str | None) -> None:
    answer = oauth.authorize(redirect_uri=uri)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")
    assert "location" not in answer.headers


@pytest.mark.parametrize("client_id", ["", "nobody", "BANK", "bank ", "\x00", None, "b" * 10_000])
def test_an_unknown_client_is_never_redirected(oauth: OAuthClient, client_id: str | None) -> None:
    answer = oauth.authorize(client_id=client_id)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")
    assert "location" not in answer.headers


def test_an_unknown_client_and_a_wrong_uri_look_alike(oauth: OAuthClient) -> None:
    """Else whoever asks could find out which clients there are."""
    assert oauth.authorize(client_id="nobody").body == oauth.authorize(redirect_uri="http://x.example/").body


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "none"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"scope": f"openid {PURPOSE}"}, "invalid_scope"),
        ({"scope": f"{VERIFY_SCOPE}"}, "invalid_scope"),
        ({"scope": f"{PURPOSE} {OTHER_PURPOSE} {VERIFY_SCOPE}"}, "invalid_scope"),
        ({"scope": f"{OTHER_PURPOSE} {VERIFY_SCOPE}"}, "invalid_scope"),
        ({"scope": f"dpv:Unknown {VERIFY_SCOPE}"}, "invalid_scope"),
        ({"scope": f"dpv: {VERIFY_SCOPE}"}, "invalid_scope"),
        ({"scope": f"{PURPOSE.lower()} {VERIFY_SCOPE}"}, "invalid_scope"),
        ({"scope": f"{PURPOSE}\t{VERIFY_SCOPE}"}, "invalid_scope"),
        ({"scope": f"openid offline_access {PURPOSE} {VERIFY_SCOPE}"}, "invalid_scope"),
        ({"scope": f"offline_access {PURPOSE} {READ_SCOPE}"}, "invalid_scope"),
        ({"scope": f"{PURPOSE} {VERIFY_SCOPE} number-verification:unknown"}, "invalid_scope"),
        ({"scope": f"{PURPOSE} {VERIFY_SCOPE} sim-swap:check"}, "invalid_scope"),
        ({"scope": f"{PURPOSE} number-verification"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1]}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "A"}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1] + "="}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"prompt": "login"}, "interaction_required"),
        ({"prompt": "consent"}, "interaction_required"),
        ({"prompt": "none login"}, "interaction_required"),
        ({"request": "x.y.z"}, "request_not_supported"),
        ({"request_uri": "urn:x"}, "request_uri_not_supported"),
        ({"claims": "{}", "scope": f"{PURPOSE} {VERIFY_SCOPE}"}, "invalid_request"),
        ({"nonce": "n" * 513}, "invalid_request"),
        ({"nonce": "\xe9"}, "invalid_request"),
    ],
)
def test_what_is_refused_by_redirect(oauth: OAuthClient, changes: dict[str, Any], error: str) -> None:
    answer = oauth.callback(**changes)
    assert (answer["error"], answer["state"], answer["iss"]) == (error, "the-state", oauth.issuer)
    assert "code" not in answer


@pytest.mark.parametrize("state", ["\xe9", "a\x00b", "a\r\nb", "s" * 2049, '"', "\\"])
def test_a_state_that_may_not_be(oauth: OAuthClient, state: str) -> None:
    answer = oauth.callback(state=state)
    assert answer["error"] == "invalid_request"


@pytest.mark.parametrize(
    "extra",
    [
        {"login_hint": "tel:+990000000000"},
        {"login_hint": "anything"},
        {"acr_values": "2 3"},
        {"prompt": "none"},
        {"response_mode": "query"},
        {"max_age": "0"},
        {"ui_locales": "de"},
        {"display": "popup"},
        {"claims": "{}"},
        {"id_token_hint": "x"},
        {"unknown": "x"},
        {"nonce": None},
        {"scope": f"{PURPOSE} {VERIFY_SCOPE}"},
        {"scope": f" {PURPOSE}  {VERIFY_SCOPE} {VERIFY_SCOPE} "},
    ],
)
def test_what_is_ignored_or_good(oauth: OAuthClient, extra: dict[str, Any]) -> None:
    assert "code" in oauth.callback(**extra)


def test_a_login_hint_is_nobody_s_identity(oauth: OAuthClient, sandbox: Service, rest: Rest) -> None:
    token = oauth.token(login_hint=f"tel:{sandbox.partner.phone_number_of('phone-2')}")
    assert rest.share(token).body["devicePhoneNumber"] == sandbox.partner.phone_number_of("phone-1")


@pytest.mark.parametrize(
    "name", ["response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "unknown"]
)
def test_a_repeated_parameter(oauth: OAuthClient, name: str) -> None:
    """RFC 6749 §3.1. Which one of two redirect URIs would be meant cannot be told."""
    value = oauth.parameters().get(name, "x")
    answer = oauth.authorize(extra=[(name, value)] + ([(name, value)] if name == "unknown" else []))
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("query", ["", "%", "%ff=1", "a", "a=b&&c=d", "&".join(f"p{n}=1" for n in range(100))])
def test_a_query_that_cannot_be_read(oauth: OAuthClient, query: str) -> None:
    answer = request(oauth.issuer, "GET", f"/oauth2/authorize?{query}", source=PHONE_1)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")


REFUSED = {
    "127.1.0.3": "tethered",
    "127.1.0.4": "wlan_access",
    "127.1.0.5": "tethered",
    "127.1.0.6": "apn_not_allowed",
    OFF_NET: "off_net",
}


def test_every_reason_looks_the_same(sandbox: Service, oauth: OAuthClient) -> None:
    """Design D6: why is in the operator's log."""
    answers = set()
    for source, reason in REFUSED.items():
        correlator = f"why-{os.urandom(8).hex()}"
        answer = oauth.authorize(source, [("x-correlator", correlator)])
        assert sandbox.logged(correlator)["reason"] == reason
        answers.add((answer.headers["location"], answer.body, tuple(sorted(answer.headers))))
    assert len(answers) == 1


def test_every_reason_takes_about_as_long(oauth: OAuthClient) -> None:
    """A refusal that needs no look at the store would tell a stranger which addresses are of the network."""
    medians = []
    for source in REFUSED:
        times = []
        for _ in range(30):
            started = time.perf_counter()
            oauth.authorize(source)
            times.append(time.perf_counter() - started)
        medians.append(statistics.median(times))
    # Machines are noisy: only a difference in kind is found here.
    assert max(medians) < 3 * min(medians) + 0.005


FORGED = [
    ("forwarded", "for=127.1.0.2"),
    ("forwarded", 'for="127.1.0.2:40000"'),
    ("x-forwarded-for", "127.1.0.2"),
    ("x-real-ip", "127.1.0.2"),
    ("x-client-ip", "127.1.0.2"),
    ("true-client-ip", "127.1.0.2"),
    ("x-network-origin-address", "127.1.0.2"),
    ("via", "127.1.0.2"),
]


@pytest.mark.parametrize(("name", "value"), FORGED)
def test_what_a_device_writes_about_itself_changes_nothing(
    sandbox: Service, oauth: OAuthClient, rest: Rest, name: str, value: str
) -> None:
    """Design D5: the connection says who it is."""
    own = sandbox.partner.phone_number_of("phone-1")
    assert rest.share(oauth.token(PHONE_1, [(name, value)])).body == {"devicePhoneNumber": own}
    assert oauth.callback(OFF_NET, [(name, value)])["error"] == "access_denied"


def test_a_client_that_is_not_on_the_network_cannot_pass_for_the_proxy(oauth: OAuthClient, sandbox: Service) -> None:
    forged = [("Forwarded", "for=127.1.0.1, for=127.9.9.9")]
    for source in (OFF_NET, "127.9.9.8", "127.0.0.1"):
        assert oauth.callback(source, forged)["error"] == "access_denied"


def test_through_the_proxy_only_its_own_word_counts(sandbox: Service, oauth: OAuthClient, rest: Rest) -> None:
    """The proxy appends; whatever stands further left came from the device."""
    proxy = sandbox.description["trusted_proxy"]["address"]
    cgnat = sandbox.partner.phone_number_of("cgnat")
    for header in (
        [("Forwarded", 'for=127.1.0.2, for="203.0.113.7:40001"')],
        [("Forwarded", "for=127.1.0.2"), ("Forwarded", 'for="203.0.113.7:40001"')],
        [("Forwarded", 'for=unknown, for="203.0.113.7:40001"')],
        [("Forwarded", 'for="203.0.113.7:40001", for=127.9.9.9')],
    ):
        assert rest.share(oauth.token(proxy, header)).body == {"devicePhoneNumber": cgnat}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Forwarded", "for=127.1.0.2"), ("X-Forwarded-For", "127.1.0.2")],
        [("X-Forwarded-For", "127.1.0.2")],
        [("Forwarded", "for=unknown")],
        [("Forwarded", "for=_hidden")],
        [("Forwarded", "for=127.1.0.2, for=unknown")],
        [("Forwarded", "for=127.1.0.2;for=127.1.0.1")],
        [("Forwarded", "by=127.1.0.2")],
        [("Forwarded", "")],
        [("Forwarded", "for=127.9.9.9")],
        [("Forwarded", 'for="127.1.0.2')],
        [("Forwarded", 'for="203.0.113.7:0"')],
        [("Forwarded", 'for="203.0.113.7:70000"')],
        [("Forwarded", 'for="203.0.113.7:39999"')],
        [("Forwarded", 'for="203.0.113.8:40001"')],
        [("Forwarded", 'for="10.0.0.9:40001"')],
        [("Forwarded", 'for="[2001:db8:990:2::42]:40001"')],
        [("Forwarded", 'for="[::ffff:127.1.0.7]:40001"')],
        [("Forwarded", "for=" + "a" * 20_000)],
        [("Forwarded", ", ".join(["for=127.9.9.9"] * 5_000))],
    ],
)
def test_a_proxy_that_names_nobody(sandbox: Service, oauth: OAuthClient, headers: list[tuple[str, str]]) -> None:
    proxy = sandbox.description["trusted_proxy"]["address"]
    assert oauth.callback(proxy, headers)["error"] == "access_denied"


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With a suspended application, and a redirect URI that has a query of its own."""
    directory: Path = tmp_path_factory.mktemp("service")
    setup = Setup(directory / "data")
    setup.registered[-1] = replace(setup.registered[-1], state=ApplicationState.SUSPENDED)  # type: ignore[call-arg]
    with running_service(directory, setup) as service:
        yield service


def test_a_suspended_application(configured: Service) -> None:
    assert OAuthClient(configured, 1).callback()["error"] == "unauthorized_client"


def test_a_redirect_uri_keeps_its_query(configured: Service) -> None:
    uri = f"{REDIRECT_URI}?with=query"
    answer = OAuthClient(configured).callback(redirect_uri=uri)
    assert answer["with"] == "query"
    assert answer["error"] == "access_denied"


def test_two_purposes_that_are_both_agreed(configured: Service) -> None:
    client = OAuthClient(configured)
    assert client.callback(scope=f"{PURPOSE} {OTHER_PURPOSE} {VERIFY_SCOPE}")["error"] == "invalid_scope"
    assert client.callback(scope=f"{OTHER_PURPOSE} {VERIFY_SCOPE}")["error"] == "access_denied"
