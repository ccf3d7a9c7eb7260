"""Who is served: every way in which an application may not be, over both transports, and how soon that counts.

Each takes the registry out of a good state and back, while the service runs. What is waited for must come within the
second that the operator is promised.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from functional.authorization import OAuthClient
from functional.gateway import Attachment, Gateway
from functional.registered import (
    API_SCOPES,
    CHANNEL_PARTNER,
    CUSTOMER,
    PRODUCT,
    SUBSCRIPTION,
    application,
    change,
    opened,
    register,
)
from functional.service import Service
from functional.serving import Setup, running_service
from functional.transports import Grpc, Rest, Transport
from number_verification.domain import clock
from number_verification.domain.application import Flow, LegalBasis, Limits
from number_verification.domain.approval_records import Action, Statement
from number_verification.domain.onboarding.application import ApplicationState, RegisteredApplication
from number_verification.domain.onboarding.entity import Entity
from number_verification.domain.onboarding.organization import Organization, OrganizationState
from number_verification.domain.onboarding.product import Plan, Product
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.registry.approval_records import SqlApprovalRecords
from number_verification.registry.subscriber_hash import load_consent_key, subscriber_hash

DEVICE = Attachment("127.2.0.1", "+990555000777", "999990555000777")
APPLICATION = f"{CUSTOMER}/applications/app-0"
PROMISED_SECONDS = 1.0


class Obstacle(NamedTuple):
    """Something that keeps an application from being served."""

    kind: type[Entity]
    name: str
    changes: dict[str, Any]
    reason: str
    error: str = "unauthorized_client"


def of_application(reason: str, error: str = "unauthorized_client", **changes: Any) -> Obstacle:
    return Obstacle(RegisteredApplication, APPLICATION, changes, reason, error)


STANDING: dict[str, Obstacle] = {
    "application not active": of_application("application_not_active", state=ApplicationState.REGISTERED),
    "application suspended": of_application("application_suspended", state=ApplicationState.SUSPENDED),
    "application retired": of_application("application_retired", state=ApplicationState.RETIRED),
    "customer suspended": Obstacle(
        Organization, CUSTOMER, {"state": OrganizationState.SUSPENDED}, "customer_suspended"
    ),
    "customer closed": Obstacle(Organization, CUSTOMER, {"state": OrganizationState.CLOSED}, "customer_closed"),
    "channel partner suspended": Obstacle(
        Organization, CHANNEL_PARTNER, {"state": OrganizationState.SUSPENDED}, "channel_partner_suspended"
    ),
    "channel partner closed": Obstacle(
        Organization, CHANNEL_PARTNER, {"state": OrganizationState.CLOSED}, "channel_partner_suspended"
    ),
    "subscription requested": Obstacle(
        Subscription, SUBSCRIPTION, {"state": SubscriptionState.REQUESTED}, "not_subscribed"
    ),
    "subscription suspended": Obstacle(
        Subscription, SUBSCRIPTION, {"state": SubscriptionState.SUSPENDED}, "subscription_suspended"
    ),
    "subscription ended": Obstacle(Subscription, SUBSCRIPTION, {"state": SubscriptionState.ENDED}, "not_subscribed"),
}
PLAN = Plan("basic", "Basic", Limits())
TERMS: dict[str, Obstacle] = {
    "scope not in the plan": Obstacle(
        Product,
        PRODUCT,
        {"plans": (PLAN._replace(scopes=frozenset({"number-verification:verify"})),)},
        "scope_missing",
        "invalid_scope",
    ),
    "purpose not in the plan": Obstacle(
        Product,
        PRODUCT,
        {"plans": (PLAN._replace(purposes=frozenset({"dpv:ServiceProvision"})),)},
        "purpose_not_allowed",
        "invalid_scope",
    ),
    "scope not registered": of_application(
        "scope_missing", "invalid_scope", scopes=frozenset({"openid", "number-verification:verify"})
    ),
    "purpose not registered": of_application(
        "purpose_not_allowed", "invalid_scope", purposes={"dpv:ServiceProvision": LegalBasis.CONTRACT}
    ),
}
FORMS: dict[str, Obstacle] = {
    "flow not agreed": of_application("flow_not_allowed", flows=frozenset({Flow.CIBA})),
    "signed request demanded": of_application(
        "signed_request_missing", "invalid_request", requires_signed_request=True
    ),
}
GOOD: dict[type[Entity], dict[str, Any]] = {
    RegisteredApplication: {
        "state": ApplicationState.ACTIVE,
        "scopes": API_SCOPES | {"openid"},
        "purposes": {
            "dpv:FraudPreventionAndDetection": LegalBasis.CONTRACT,
            "dpv:ServiceProvision": LegalBasis.CONTRACT,
        },
        "flows": frozenset({Flow.AUTHORIZATION_CODE}),
        "requires_signed_request": False,
        "requires_dpop": False,
    },
    Organization: {"state": OrganizationState.ACTIVE},
    Subscription: {"state": SubscriptionState.ACTIVE},
    Product: {"plans": (PLAN,)},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("access")
    setup = Setup(directory / "data")
    with running_service(directory, setup) as started:
        Gateway(started).start(DEVICE)
        yield started


@pytest.fixture(params=["grpc", "rest"])
def api(request: pytest.FixtureRequest, service: Service) -> Iterator[Transport]:
    with Grpc(service) if request.param == "grpc" else Rest(service) as opened:
        yield opened


@pytest.fixture
def oauth(service: Service) -> OAuthClient:
    return OAuthClient(service)


def data_dir(service: Service) -> Path:
    return service.data_dir / "data"


def soon(condition: Callable[[], bool]) -> None:
    """Wait until something is so. It must come within the second that is promised."""
    deadline = time.monotonic() + PROMISED_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "not within a second"
        time.sleep(0.02)


@pytest.fixture
def put(service: Service, oauth: OAuthClient) -> Iterator[Callable[[Obstacle], None]]:
    """Puts an obstacle in the way, and takes it away in the end."""
    placed: list[Obstacle] = []

    def place(obstacle: Obstacle) -> None:
        placed.append(obstacle)
        change(data_dir(service), obstacle.kind, obstacle.name, **obstacle.changes)

    yield place
    for obstacle in placed:
        change(data_dir(service), obstacle.kind, obstacle.name, **GOOD[obstacle.kind])
    # And that counts as soon.
    soon(lambda: "code" in oauth.callback(DEVICE.address))


@pytest.mark.parametrize("case", [*STANDING, *TERMS, *FORMS])
def test_no_authorization(service: Service, oauth: OAuthClient, put: Callable[[Obstacle], None], case: str) -> None:
    obstacle = (STANDING | TERMS | FORMS)[case]
    put(obstacle)
    soon(lambda: oauth.callback(DEVICE.address).get("error") == obstacle.error)
    answer = oauth.authorize(DEVICE.address)
    assert service.logged(answer.headers["x-correlator"])["reason"] == obstacle.reason


@pytest.mark.parametrize("case", [*STANDING, *TERMS, "flow not agreed"])
def test_no_token(service: Service, oauth: OAuthClient, put: Callable[[Obstacle], None], case: str) -> None:
    obstacle = (STANDING | TERMS | FORMS)[case]
    codes = [oauth.code(DEVICE.address) for _ in range(2)]
    put(obstacle)
    soon(lambda: oauth.callback(DEVICE.address).get("error") == obstacle.error)
    for code in codes:
        answer = oauth.redeem(code)
        assert answer.json["error"] == ("invalid_grant" if case in TERMS else "unauthorized_client")
        assert service.logged(answer.headers["x-correlator"])["reason"] == obstacle.reason


@pytest.mark.parametrize("case", [*STANDING, *TERMS])
def test_no_call(
    service: Service, oauth: OAuthClient, api: Transport, put: Callable[[Obstacle], None], case: str
) -> None:
    """The token was given before. A suspension need not wait until it expires."""
    obstacle = (STANDING | TERMS)[case]
    tokens = [oauth.token(DEVICE.address) for _ in range(2)]
    put(obstacle)
    soon(lambda: oauth.callback(DEVICE.address).get("error") == obstacle.error)
    for number, token in enumerate(tokens):
        refused = api.share(token, headers=[("x-correlator", f"{case.replace(' ', '-')}-{api.name}-{number}")])
        assert refused.code == "PERMISSION_DENIED"
        assert service.logged(refused.correlator)["reason"] == obstacle.reason
        # Used up all the same (design D3).
        assert api.share(token).code == "UNAUTHENTICATED"


def test_external_tokens_for_an_application_of_ours(
    service: Service, api: Transport, put: Callable[[Obstacle], None], oauth: OAuthClient
) -> None:
    assert api.share(service.external_token(client_id="client-0")).code == "OK"
    put(STANDING["application suspended"])
    soon(lambda: oauth.callback(DEVICE.address).get("error") == "unauthorized_client")
    assert api.share(service.external_token(client_id="client-0")).code == "PERMISSION_DENIED"
    assert api.share(service.external_token(client_id="somebody-else")).code == "OK"


def test_an_application_that_demands_dpop(oauth: OAuthClient, put: Callable[[Obstacle], None]) -> None:
    put(of_application("dpop_missing", requires_dpop=True))
    soon(lambda: oauth.redeem("x").json["error"] == "invalid_dpop_proof")
    assert oauth.redeem(oauth.code(DEVICE.address)).json["error"] == "invalid_dpop_proof"


PURPOSE = "dpv:FraudPreventionAndDetection"


def record(service: Service, action: Action) -> None:
    """What the subscriber of the device said."""
    with opened(data_dir(service)) as registry:
        records = SqlApprovalRecords(registry._engine, clock.now)
        hashed = subscriber_hash(load_consent_key(data_dir(service) / "keys"))
        scopes = API_SCOPES if action is Action.GIVEN else frozenset()
        said = Statement(action, hashed(DEVICE.phone_number), APPLICATION, PURPOSE, "a test", scopes)
        records.record(said)
        records.close()


def test_consent_missing_given_and_withdrawn(
    service: Service, oauth: OAuthClient, api: Transport, put: Callable[[Obstacle], None]
) -> None:
    """At the authorization endpoint, at the token endpoint, and at the call."""
    put(of_application("consent_missing", purposes={PURPOSE: LegalBasis.CONSENT}))
    soon(lambda: oauth.callback(DEVICE.address).get("error") == "consent_required")
    record(service, Action.GIVEN)
    # Where it was withdrawn lately, calls go on to be refused until what is in memory has followed.
    soon(lambda: api.share(oauth.token(DEVICE.address)).code == "OK")
    code, kept = oauth.code(DEVICE.address), oauth.code(DEVICE.address)
    tokens = [oauth.token(DEVICE.address) for _ in range(30)]
    record(service, Action.WITHDRAWN)
    # What reads the record knows at once.
    assert oauth.callback(DEVICE.address)["error"] == "consent_required"
    assert oauth.redeem(code).json["error"] == "invalid_grant"
    # The call reads memory only, which follows within a second.
    soon(lambda: api.share(tokens.pop()).code == "UNAUTHENTICATED")
    refused = api.share(tokens.pop())
    assert refused.code == "UNAUTHENTICATED"
    assert service.logged(refused.correlator)["reason"] == "consent_withdrawn"
    # Consent that is given anew revives nothing that was authorized before it ended, though the token is newer.
    record(service, Action.GIVEN)
    token = oauth.redeem(kept).json["access_token"]
    soon(lambda: api.share(oauth.token(DEVICE.address)).code == "OK")
    refused = api.share(token)
    assert refused.code == "UNAUTHENTICATED"
    assert service.logged(refused.correlator)["reason"] == "consent_withdrawn"
    record(service, Action.WITHDRAWN)  # as it was before


def test_an_application_that_is_registered_while_the_service_runs(service: Service, oauth: OAuthClient) -> None:
    added = application(7, {"keys": []}, [oauth.redirect_uri])
    register(data_dir(service), [added])
    soon(lambda: oauth.authorize(DEVICE.address, client_id="client-7").status == 302)
    assert "code" in oauth.callback(DEVICE.address, client_id="client-7")
    register(data_dir(service), [replace(added, redirect_uris=frozenset({"https://other.example/"}))])
    soon(lambda: oauth.authorize(DEVICE.address, client_id="client-7").status == 400)
