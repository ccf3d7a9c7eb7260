"""How often one peer may call: a 429 says when to come back and costs no token."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest

from functional.authorization import OAuthClient
from functional.gateway import Attachment, Gateway
from functional.registered import change, customer
from functional.service import Service, request
from functional.serving import Setup, running_service
from functional.transports import Grpc, Rest, Transport
from number_verification.domain.application import Limits
from number_verification.domain.onboarding.application import RegisteredApplication
from number_verification.domain.onboarding.product import Product

BURST = 5


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Service]:
    """A service that lets a peer call five times, and then once in a hundred seconds."""
    setup = Setup(tmp_path / "data")
    setup.content["limits"] = {"peer_rate": 0.01, "peer_burst": BURST}
    with running_service(tmp_path, setup) as service:
        yield service


@pytest.mark.parametrize("name", ["grpc", "rest"])
def test_a_peer_that_calls_too_often(limited: Service, name: str) -> None:
    transport: Transport
    with Grpc(limited) if name == "grpc" else Rest(limited) as transport:
        for _ in range(BURST):
            assert transport.share(limited.external_token()).code == "OK"
        token = limited.external_token()
        for attempt in (token, None, "unknown"):
            refused = transport.share(attempt)
            assert refused.code == "TOO_MANY_REQUESTS"
            assert 0 < int(refused.retry_after) <= 100
    # Another peer is not held up, and the token is as good as before.
    elsewhere = Rest(limited, source="127.0.0.5")
    assert elsewhere.share(token).code == "OK"
    assert elsewhere.share(token).code == "UNAUTHENTICATED"


def test_what_does_not_exist_counts_too(limited: Service) -> None:
    rest = Rest(limited)
    for _ in range(BURST):
        assert rest.request("GET", "/nothing").status == 404
    assert rest.request("GET", "/nothing").status == 429


DEVICE = Attachment("127.2.0.1", "+990555000777", "999990555000777")


@pytest.fixture
def metered(tmp_path: Path) -> Iterator[Service]:
    """A service whose plan allows three tokens a day."""
    setup = Setup(tmp_path / "data")
    applications = [each for each in setup.registered if isinstance(each, RegisteredApplication)]
    setup.registered = customer(*applications, limits=Limits(rate=1000, burst=1000, daily_quota=3))
    with running_service(tmp_path, setup) as service:
        Gateway(service).start(DEVICE)
        yield service


def test_a_quota_counts_tokens_and_nothing_else(metered: Service) -> None:
    """What gave no token is given back; another application has a quota of its own."""
    oauth, other = OAuthClient(metered), OAuthClient(metered, 1)
    for _ in range(5):
        assert oauth.redeem(oauth.code(DEVICE.address), code_verifier="wrong" * 10).json["error"] == "invalid_grant"
        assert oauth.redeem("unknown").json["error"] == "invalid_grant"
    tokens = [oauth.token(DEVICE.address) for _ in range(3)]
    code = oauth.code(DEVICE.address)
    refused = oauth.redeem(code)
    assert (refused.status, refused.json["error"]) == (429, "quota_exceeded")
    assert 0 < int(refused.headers["retry-after"]) <= 24 * 3600
    assert refused.headers["cache-control"] == "no-store"
    assert metered.logged(refused.headers["x-correlator"])["reason"] == "daily_quota"
    assert Rest(metered).share(tokens[0]).code == "OK"
    other.token(DEVICE.address)
    # A plan with more room counts at once, and the code that had to wait is still good.
    product = next(each for each in customer() if isinstance(each, Product))
    change(metered.data_dir / "data", Product, product.name, plans=product.plans)
    deadline = time.monotonic() + 1
    while (answer := oauth.redeem(code)).status == 429:
        assert time.monotonic() < deadline
    assert answer.status == 200


def test_a_quota_is_exact_however_many_ask_at_once(metered: Service) -> None:
    oauth = OAuthClient(metered)
    forms = [urlencode(oauth.form(oauth.code(DEVICE.address))).encode() for _ in range(10)]
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(oauth.post_token, forms))
    assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 7


def test_a_rate(tmp_path: Path) -> None:
    setup = Setup(tmp_path / "data")
    applications = [each for each in setup.registered if isinstance(each, RegisteredApplication)]
    setup.registered = customer(*applications, limits=Limits(rate=0.01, burst=2))
    with running_service(tmp_path, setup) as service:
        Gateway(service).start(DEVICE)
        oauth = OAuthClient(service)
        for _ in range(2):
            oauth.token(DEVICE.address)
        refused = oauth.redeem(oauth.code(DEVICE.address))
        assert (refused.status, refused.json["error"]) == (429, "too_many_requests")
        assert 90 < int(refused.headers["retry-after"]) <= 101
        assert service.logged(refused.headers["x-correlator"])["reason"] == "application_rate"


def test_a_peer_that_asks_for_tokens_too_often(limited: Service) -> None:
    """In front of authentication: whoever sends nonsense is held up like anybody, and nobody else with them."""
    form = [("content-type", "application/x-www-form-urlencoded")]
    for _ in range(BURST):
        assert request(limited.description["issuer"], "POST", "/oauth2/token", form, b"x=1").status == 401
    refused = request(limited.description["issuer"], "POST", "/oauth2/token", form, b"x=1")
    assert (refused.status, refused.json["error"]) == (429, "too_many_requests")
    assert 0 < int(refused.headers["retry-after"]) <= 100
    assert limited.logged(refused.headers["x-correlator"])["reason"] == "peer_rate"
    elsewhere = request(limited.description["issuer"], "POST", "/oauth2/token", form, b"x=1", source="127.0.0.5")
    assert elsewhere.status == 401
    # Calls have a bucket of their own: a partner at its rate can use the tokens that it gets.
    assert Rest(limited).share(limited.external_token()).code == "OK"


def test_a_device_that_asks_too_often(tmp_path: Path) -> None:
    """By where it is, whatever it says; behind CGNAT the port belongs to that."""
    setup = Setup(tmp_path / "data")
    setup.content["limits"] = {"device_rate": 0.01, "device_burst": 2}
    setup.content["network"]["translated"] = ["203.0.113.0/24"]
    setup.content["origin"] = {"trusted_proxies": ["127.9.9.9/32"], "header": "Forwarded"}
    with running_service(tmp_path, setup) as service:
        oauth = OAuthClient(service)

        def statuses(source: str, *origins: str, **changes: str) -> list[int]:
            headers = [[("Forwarded", f'for="{origin}"')] if origin else [] for origin in origins]
            return [oauth.authorize(source, each, **changes).status for each in headers]

        assert statuses("127.2.0.1", *[""] * 3) == [302, 302, 429]
        # Before anything is looked up, also for clients that there are not.
        assert statuses("127.2.0.2", *[""] * 3, client_id="nobody") == [400, 400, 429]
        proxy = "127.9.9.9"
        assert statuses(proxy, *["203.0.113.7:4001"] * 3) == [302, 302, 429]
        assert statuses(proxy, "203.0.113.7:4002", "203.0.113.8:4001") == [302, 302]
        assert statuses(proxy, *[f"127.2.0.3:{port}" for port in (1, 2, 3)]) == [302, 302, 429]
        # A device has a prefix of 64 bits to itself.
        assert statuses(proxy, "[2001:db8::1]", "[2001:db8::2]", "[2001:db8::3]") == [302, 302, 429]
        assert statuses(proxy, "[2001:db8:0:1::1]") == [302]
        refused = oauth.authorize("127.2.0.1")
        assert refused.json["error"] == "too_many_requests"
        assert 0 < int(refused.headers["retry-after"]) <= 100
