"""The registry cannot be read any more: who is known is served while that is fresh, then nobody, then all again.

And nothing that could not be written is there afterwards by half.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from functional.authorization import PHONE_1, OAuthClient
from functional.desk import Caller, GrpcWire, Refused, RestWire, Wire
from functional.gateway import Attachment, Gateway
from functional.load import load
from functional.registered import PRODUCT, application
from functional.serving import REDIRECT_URI, Setup, key_pair, public, running_service, with_staff
from functional.transports import Grpc, Rest
from number_verification.domain.application import Limits
from number_verification.domain.onboarding.entity import Entity
from number_verification.domain.onboarding.organization import Organization, OrganizationKind
from number_verification.domain.onboarding.product import Plan, Product
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.gen.onboarding.v1 import organizations_pb2 as orgs
from postgresql import Postgresql, running_postgresql

DEVICE = Attachment(PHONE_1, "+990555000777", "999990555000777")
STALE_AFTER = 3
BOUNDED = 25
"""Seconds: a connection that hangs is given up, a new one is made, and is given up as well."""
LIMITED = "organizations/limited"
LIMITED_KEY = key_pair()


class Loss(NamedTuple):
    """A way to lose the registry."""

    url: str
    lose: Callable[[], None]
    give_back: Callable[[], None]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def rename_counter(database: Path, *, back: bool) -> None:
    """Take away what is read of the registry, or give it back."""
    with closing(sqlite3.connect(database, timeout=10)) as connection:
        names = ("lost", "change_counter") if back else ("change_counter", "lost")
        connection.execute(f"ALTER TABLE {names[0]} RENAME TO {names[1]}")
        connection.commit()


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    """One of our own, for it is not left alone."""
    with running_postgresql() as started:
        yield started


@pytest.fixture(params=["SQLite cannot be read", "PostgreSQL hangs", "PostgreSQL dies"])
def loss(request: pytest.FixtureRequest, tmp_path: Path) -> Loss:
    if request.param == "SQLite cannot be read":
        database = tmp_path / "data" / "registry.db"
        url = f"sqlite:///{database}"
        return Loss(url, lambda: rename_counter(database, back=False), lambda: rename_counter(database, back=True))
    server: Postgresql = request.getfixturevalue("server")
    if request.param == "PostgreSQL hangs":
        return Loss(server.database(), server.pause, server.resume)
    return Loss(server.database(), server.kill, server.start)


def with_a_limited_customer(registered: Iterable[Entity]) -> Iterator[Entity]:
    """Beside the one without limits: the tokens of this one are counted."""
    for each in registered:
        plans = (*each.plans, Plan("limited", "Limited", Limits(daily_quota=1000))) if isinstance(each, Product) else ()
        yield replace(each, plans=plans) if isinstance(each, Product) else each
    yield Organization(name=LIMITED, kind=OrganizationKind.CUSTOMER, display_name="A customer with limits")
    yield Subscription(
        name=f"{LIMITED}/subscriptions/limited", product=PRODUCT, plan="limited", state=SubscriptionState.ACTIVE
    )
    its_own = application(9, public(LIMITED_KEY), [REDIRECT_URI])
    yield replace(its_own, name=f"{LIMITED}/applications/app-9")


@pytest.fixture
def setup(tmp_path: Path, loss: Loss) -> Setup:
    made = Setup(tmp_path / "data")
    (tmp_path / "data").mkdir()
    made.content["registry"] = {"stale_after_seconds": STALE_AFTER, "url": loss.url}
    made.registered = list(with_a_limited_customer(made.registered))
    with_staff(made)
    return made


def test_fresh_then_refused_then_back(tmp_path: Path, setup: Setup, loss: Loss) -> None:
    with running_service(tmp_path, setup) as service, Grpc(service) as by_grpc, Rest(service) as by_rest:
        Gateway(service).start(DEVICE)
        oauth = OAuthClient(service)
        tokens = [oauth.token() for _ in range(4)]
        with load(service, threads=1) as running:
            until(lambda: min(running.calls("grpc"), running.calls("rest")) > 5)
            lost = time.monotonic()
            loss.lose()
            for api in (by_grpc, by_rest):
                assert api.share(tokens.pop()).code == "OK"
            assert "code" in oauth.callback()
            until(lambda: oauth.authorize().status == 503)
            assert time.monotonic() - lost > STALE_AFTER - 1
            refused = oauth.authorize()
            assert refused.json["error"] == "temporarily_unavailable"
            assert int(refused.headers["retry-after"]) >= 1
            assert service.logged(refused.headers["x-correlator"])["reason"] == "stale_registry"
            for api in (by_grpc, by_rest):
                answer = api.share(tokens.pop())
                assert (answer.code, int(answer.retry_after) >= 1) == ("UNAVAILABLE", True)
                assert service.logged(answer.correlator)["reason"] == "stale_registry"
            assert oauth.redeem("x").json["error"] == "temporarily_unavailable"
            until(lambda: service.admin("/readyz").status == 503)
            until(lambda: any(line["event"] == "registry_unavailable" for line in service.log))
            loss.give_back()
            until(lambda: oauth.authorize().status == 302)
            until(lambda: service.admin("/readyz").status == 200)
            served = len(running.used_tokens)
            until(lambda: len(running.used_tokens) > served + 5)
        assert {code for *_, code in running.codes} <= {"OK", "UNAVAILABLE"}
        for api in (by_grpc, by_rest):
            assert api.share(oauth.token()).code == "OK"


def create(identifier: str) -> orgs.CreateOrganizationRequest:
    organization = orgs.Organization(kind=orgs.ORGANIZATION_KIND_CUSTOMER, display_name=identifier)
    request_id = f"7b0c1b1e-0c5f-4a52-9a5d-{identifier.encode().hex()[:12]}"
    return orgs.CreateOrganizationRequest(organization=organization, organization_id=identifier, request_id=request_id)


def test_what_needs_it_is_refused_in_time_and_nothing_is_written_by_half(
    tmp_path: Path, setup: Setup, loss: Loss
) -> None:
    with running_service(tmp_path, setup) as service, GrpcWire(service) as by_grpc, RestWire(service) as by_rest:
        Gateway(service).start(DEVICE)
        limited = OAuthClient(
            service, registered={"client_id": "client-9", "private_jwk": LIMITED_KEY, "redirect_uri": REDIRECT_URI}
        )
        code = limited.code()
        staff = {wire.name: staff_of(wire) for wire in (by_grpc, by_rest)}
        for caller in staff.values():
            assert caller(orgs.ListOrganizationsRequest(page_size=1)).organizations
        loss.lose()
        for name, caller in staff.items():
            asked = time.monotonic()
            assert caller.refused(create(f"lost-{name}")) == "UNAVAILABLE"
            assert time.monotonic() - asked < BOUNDED
        if not loss.url.startswith("sqlite"):
            answer = limited.redeem(code)
            assert (answer.status, answer.json["error"]) == (503, "temporarily_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
        loss.give_back()
        for name, caller in staff.items():
            # Whoever does not know what became of it asks for the same again, and gets it once.
            until(lambda caller=caller, name=name: made(caller, create(f"lost-{name}")))  # type: ignore[misc]
        listed = staff["grpc"](orgs.ListOrganizationsRequest(page_size=1000)).organizations
        lost = [each for each in listed if each.name.startswith("organizations/lost-")]
        assert sorted((each.name, each.display_name) for each in lost) == [
            (f"organizations/lost-{name}", f"lost-{name}") for name in ("grpc", "rest")
        ]
        until(limited.may_authorize)
        assert limited.redeem(limited.code()).status == 200


def staff_of(wire: Wire) -> Caller:
    return Caller(wire, wire.internal["client_id"], wire.internal["private_jwk"])


def made(caller: Caller, message: orgs.CreateOrganizationRequest) -> bool:
    with suppress(Refused):
        caller(message)
        return True
    return False
