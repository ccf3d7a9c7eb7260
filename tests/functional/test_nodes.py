"""Two nodes with one registry in PostgreSQL: what is done at one counts at the other, and is counted once."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from functional.authorization import PHONE_1, OAuthClient
from functional.desk import CONSENT, Desk, GrpcWire, RestWire
from functional.gateway import Attachment, Gateway
from functional.load import wait_until
from functional.service import Service
from functional.serving import Setup, running_service, with_staff
from functional.transports import Grpc, Rest
from number_verification.gen.onboarding.v1 import applications_pb2 as apps
from number_verification.gen.onboarding.v1 import people_pb2 as people
from postgresql import Postgresql

DEVICE = Attachment(PHONE_1, "+990555000777", "999990555000777")
SOON = 5.0
"""Seconds by which what is promised within one must have come on a machine that is busy."""
QUOTA = 12


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, postgresql: Postgresql) -> Iterator[tuple[Service, Service]]:
    """They share the database and the keys (docs/decisions/0009)."""
    directories = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    url = postgresql.database()
    first = setup(directories[0], url)
    with running_service(directories[0], first) as one:
        second = setup(directories[1], url)
        shutil.copytree(directories[0] / "data" / "keys", directories[1] / "data" / "keys")
        with running_service(directories[1], second) as other:
            for node in (one, other):
                Gateway(node).start(DEVICE)
            yield one, other


def setup(directory: Path, url: str) -> Setup:
    made = Setup(directory / "data")
    made.content["registry"] = {"url": url}
    made.registered = []
    with_staff(made)
    (directory / "data").mkdir()
    return made


def at(node: Service, client: OAuthClient) -> OAuthClient:
    """The same application, at another node."""
    return OAuthClient(node, registered=client.registered)


def test_the_story_over_two_nodes(nodes: tuple[Service, Service]) -> None:
    """Onboarded at one over gRPC, consented to at the other by REST, served at both, and suspended."""
    one, other = nodes
    with GrpcWire(one) as by_grpc, RestWire(other) as by_rest, Grpc(one) as first, Rest(other) as second:
        here, there = Desk(by_grpc), Desk(by_rest)
        product = here.product({"id": "standard"})
        customer = here.organization()
        manager = here.person(customer, people.ROLE_BUSINESS_MANAGER)
        administrator = here.person(customer, people.ROLE_ADMINISTRATOR)
        here.subscribe(customer, product, "standard", manager)
        client = here.application(customer, administrator, CONSENT)
        elsewhere = at(other, client)
        wait_until(lambda: elsewhere.authorize().status == 302, SOON)
        assert client.callback()["error"] == elsewhere.callback()["error"] == "consent_required"
        there.agree(client, DEVICE.phone_number)
        assert first.share(client.token()).body == {"devicePhoneNumber": DEVICE.phone_number}
        assert second.share(elsewhere.token()).body == {"devicePhoneNumber": DEVICE.phone_number}
        there.staff(apps.SuspendApplicationRequest(name=client.registered["name"]))
        for node in (client, elsewhere):
            wait_until(lambda node=node: node.callback().get("error") == "unauthorized_client", SOON)  # type: ignore[misc]


def test_a_quota_is_exact_across_nodes(nodes: tuple[Service, Service]) -> None:
    one, other = nodes
    with GrpcWire(one) as wire:
        desk = Desk(wire)
        product = desk.product({"id": "limited", "daily_quota": QUOTA})
        customer = desk.organization()
        desk.subscribe(customer, product, "limited", desk.staff)
        client = desk.application(customer, desk.staff)
    elsewhere = at(other, client)
    wait_until(elsewhere.may_authorize, SOON)
    asked = [(node, node.code()) for node in (client, elsewhere) for _ in range(QUOTA)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda each: each[0].redeem(each[1]), asked))
    assert [answer.status for answer in answers].count(200) == QUOTA
    refused = [answer for answer in answers if answer.status != 200]
    assert {(answer.status, answer.json["error"]) for answer in refused} == {(429, "quota_exceeded")}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
