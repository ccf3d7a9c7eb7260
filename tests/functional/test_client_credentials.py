"""Principals: people of the registry and services of the configuration, at the token endpoint and on both listeners."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import grpc
import pytest

from functional.authorization import ASSERTION_TYPE, OAuthClient
from functional.registered import CUSTOMER, change
from functional.service import HttpAnswer, Service, request
from functional.serving import SERVICE_TOKEN, Setup, key_pair, public, running_service
from functional.transports import Grpc, Rest, Transport
from number_verification.domain.onboarding.organization import Organization, OrganizationState
from number_verification.domain.onboarding.person import Person, PersonRole, PersonState
from number_verification.gen.subscribersession.v1 import subscriber_session_pb2 as pb

ADA = f"{CUSTOMER}/people/ada"
KEYS = {"reader": key_pair(), "ada": key_pair()}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("credentials")
    setup = Setup(directory / "data")
    setup.content["internal"]["services"].append(
        {"name": "reader", "roles": ["session-read"], "jwks": public(KEYS["reader"])}
    )
    setup.description["internal"] = setup.internal
    setup.registered.append(
        Person(
            name=ADA,
            display_name="Ada",
            roles=frozenset({PersonRole.ADMINISTRATOR}),
            client_id="ada",
            jwks=public(KEYS["ada"]),
        )
    )
    with running_service(directory, setup) as started:
        yield started


def as_client(service: Service, name: str) -> OAuthClient:
    client = OAuthClient(service)
    client.registered = {"client_id": name, "private_jwk": KEYS[name]}
    return client


def asked(service: Service, name: str, **changes: str) -> HttpAnswer:
    client = as_client(service, name)
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": client.assertion(),
        **changes,
    }
    return client.post_token(urlencode(form).encode())


def token_of(service: Service, name: str) -> str:
    answer = asked(service, name)
    assert answer.status == 200, answer
    token: str = answer.json["access_token"]
    return token


def resolved(service: Service, token: str | None) -> str:
    """OK, or the status of a call of an internal service."""
    with grpc.insecure_channel(service.description["internal"]) as channel:
        call = channel.unary_unary(
            "/subscribersession.v1.SubscriberSessionService/ResolveDevice",
            request_serializer=pb.ResolveDeviceRequest.SerializeToString,
            response_deserializer=pb.ResolveDeviceResponse.FromString,
        )
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        try:
            call(pb.ResolveDeviceRequest(address="127.3.3.3"), metadata=metadata, timeout=5)
        except grpc.RpcError as error:
            return str(error.code().name)
        return "OK"


def soon(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 1
    while not condition():
        assert time.monotonic() < deadline, "not within a second"
        time.sleep(0.02)


@pytest.fixture(params=["grpc", "rest"])
def api(request: pytest.FixtureRequest, service: Service) -> Iterator[Transport]:
    with Grpc(service) if request.param == "grpc" else Rest(service) as opened:
        yield opened


def test_discovery_names_the_grant(service: Service) -> None:
    found = request(service.description["issuer"], "GET", "/.well-known/openid-configuration").json
    assert found["grant_types_supported"] == ["authorization_code", "client_credentials"]


def test_the_answer(service: Service) -> None:
    answer = asked(service, "reader")
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json) == {"access_token", "token_type", "expires_in"}
    assert 0 < answer.json["expires_in"] <= 300


def test_a_service_of_the_operator(service: Service) -> None:
    token = token_of(service, "reader")
    assert [resolved(service, token) for _ in range(3)] == ["OK"] * 3
    assert resolved(service, SERVICE_TOKEN) == "OK"


def test_a_person_without_the_role(service: Service) -> None:
    assert resolved(service, token_of(service, "ada")) == "PERMISSION_DENIED"


def test_who_asked_is_in_the_log(service: Service) -> None:
    answer = asked(service, "ada")
    line = service.logged(answer.headers["x-correlator"])
    assert (line["endpoint"], line["principal"], line["error"]) == ("token", ADA, "")


@pytest.mark.parametrize("name", ["reader", "ada"])
def test_such_a_token_is_nothing_to_the_api(service: Service, api: Transport, name: str) -> None:
    token = token_of(service, name)
    assert api.share(token).code == "UNAUTHENTICATED"
    assert api.share(token).code == "UNAUTHENTICATED"


def test_tokens_for_the_api_are_nothing_to_internal_services(service: Service) -> None:
    external = service.external_token()
    assert resolved(service, external) == "UNAUTHENTICATED"
    # And are not used up by it.
    assert Rest(service).share(external).code == "OK"
    assert resolved(service, "a" * 43) == "UNAUTHENTICATED"
    assert resolved(service, None) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("name", "changes", "error"),
    [
        ("reader", {"scope": "number-verification:verify"}, "invalid_scope"),
        ("ada", {"scope": "openid"}, "invalid_scope"),
        ("ada", {"grant_type": "authorization_code", "code": "x"}, "unauthorized_client"),
        ("ada", {"client_id": "reader"}, "invalid_client"),
    ],
)
def test_what_a_principal_may_not_ask_for(service: Service, name: str, changes: dict[str, str], error: str) -> None:
    assert asked(service, name, **changes).json["error"] == error


def test_a_service_without_keys_is_no_client(service: Service) -> None:
    client = as_client(service, "reader")
    for name in ("core", "nobody"):
        forged = client.assertion(iss=name, sub=name)
        assert asked(service, "reader", client_assertion=forged).json["error"] == "invalid_client"


def data_dir(service: Service) -> Path:
    return service.data_dir / "data"


@pytest.mark.parametrize(
    ("kind", "name", "bad", "good", "code", "reason"),
    [
        (Person, ADA, {"state": PersonState.SUSPENDED}, {"state": PersonState.ACTIVE},
         "PERMISSION_DENIED", "person_suspended"),
        (Organization, CUSTOMER, {"state": OrganizationState.SUSPENDED}, {"state": OrganizationState.ACTIVE},
         "PERMISSION_DENIED", "customer_suspended"),
        (Person, ADA, {"state": PersonState.REMOVED}, {"state": PersonState.ACTIVE},
         "UNAUTHENTICATED", "caller_unknown"),
    ],
)  # fmt: skip
def test_whoever_may_not_act_any_more(
    service: Service, kind: Any, name: str, bad: dict[str, Any], good: dict[str, Any], code: str, reason: str
) -> None:
    """The token that was given before is refused within a second, and no new one is given."""
    token = token_of(service, "ada")
    change(data_dir(service), kind, name, **bad)
    try:
        soon(lambda: asked(service, "ada").json.get("error") in ("unauthorized_client", "invalid_client"))
        assert resolved(service, token) == code
        reasons = [line.get("reason") for line in service.log if line["event"] == "call"]
        assert reason in reasons
    finally:
        change(data_dir(service), kind, name, **good)
    soon(lambda: asked(service, "ada").status == 200)
    assert resolved(service, token) == "PERMISSION_DENIED"  # the role is still missing


def test_keys_that_were_changed(service: Service) -> None:
    former, KEYS["ada"] = KEYS["ada"], key_pair()
    change(data_dir(service), Person, ADA, jwks=public(KEYS["ada"]))
    soon(lambda: asked(service, "ada").status == 200)
    KEYS["ada"] = former
    assert asked(service, "ada").json["error"] == "invalid_client"
    change(data_dir(service), Person, ADA, jwks=public(former))
    soon(lambda: asked(service, "ada").status == 200)


def test_the_token_holds_nothing_personal(service: Service) -> None:
    payload = token_of(service, "ada").split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert set(claims) == {"iss", "sub", "aud", "client_id", "iat", "exp", "jti"}
    assert (claims["sub"], claims["aud"]) == ("ada", f"{service.description['issuer']}/internal")
