"""Onboarding as a part of the service: two workers, two transports, one registry."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from functional.service import Service, request
from functional.serving import Setup, free_ports, running_service
from number_verification.gen.onboarding.v1 import organizations_pb2 as pb

STAFF_TOKEN = "staff-token"
HEADERS = [("authorization", f"Bearer {STAFF_TOKEN}"), ("content-type", "application/json")]
BASE = "/onboarding/v1"
REQUEST_ID = "7b0c1b1e-0c5f-4a52-9a5d-6a2f0d6e3c11"


@pytest.fixture(scope="module")
def internal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str, str]]:
    """The service, and where its internal APIs are, by HTTP and by gRPC."""
    directory: Path = tmp_path_factory.mktemp("onboarding")
    setup = Setup(directory / "data")
    address = f"127.0.0.1:{free_ports(1)[0]}"
    setup.content["internal"]["http_listen"] = address
    setup.content["internal"]["services"].append(
        {
            "name": "back-office",
            "roles": ["operator-staff"],
            "token_sha256": hashlib.sha256(STAFF_TOKEN.encode()).hexdigest(),
        }
    )
    setup.content["workers"] = 2
    with running_service(directory, setup) as service:
        yield service, f"http://{address}", setup.internal


def create(root: str, query: str = "", display_name: str = "Bank") -> Any:
    body = json.dumps({"kind": "ORGANIZATION_KIND_CUSTOMER", "displayName": display_name}).encode()
    return request(root, "POST", f"{BASE}/organizations{query}", HEADERS, body)


def test_what_one_worker_wrote_the_other_reads(internal: tuple[Service, str, str]) -> None:
    _, root, address = internal
    assert create(root, "?organizationId=first-bank").status == 200
    call = pb.GetOrganizationRequest(name="organizations/first-bank").SerializeToString()
    for _ in range(8):
        # A connection of its own each time: the kernel spreads them over the workers.
        with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            get = channel.unary_unary(
                "/onboarding.v1.OnboardingService/GetOrganization", None, pb.GetOrganizationResponse.FromString
            )
            found = get(call, metadata=(("authorization", f"Bearer {STAFF_TOKEN}"),), timeout=10)
        assert found.organization.display_name == "Bank"


def test_a_page_token_of_one_worker_is_good_at_the_other(internal: tuple[Service, str, str]) -> None:
    _, root, _ = internal
    for number in range(3):
        create(root, f"?organizationId=paged-{number}")
    first = request(root, "GET", f"{BASE}/organizations?pageSize=1", HEADERS).json
    for _ in range(8):
        target = f"{BASE}/organizations?pageSize=1000&pageToken={first['nextPageToken']}"
        page = request(root, "GET", target, HEADERS)
        assert page.status == 200
        assert first["organizations"][0] not in page.json["organizations"]


def test_the_same_request_at_both_workers_is_done_once(internal: tuple[Service, str, str]) -> None:
    _, root, _ = internal
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: create(root, f"?requestId={REQUEST_ID}"), range(8)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1


def test_a_conflict_and_a_wildcard_by_rest(internal: tuple[Service, str, str]) -> None:
    _, root, _ = internal
    name = create(root).json["name"]
    patch = [("PATCH", f"{BASE}/{name}?updateMask=*", HEADERS, b'{"displayName": "Other", "etag": "1"}')] * 2
    first, second = (request(root, *each) for each in patch)
    assert (first.status, first.json["displayName"], first.json["etag"]) == (200, "Other", "2")
    assert (second.status, second.json["code"]) == (409, "ABORTED")


def test_the_public_listener_knows_nothing_of_it(internal: tuple[Service, str, str]) -> None:
    service, root, _ = internal
    assert request(service.description["api_root"], "GET", f"{BASE}/organizations", HEADERS).status == 404
    assert request(root, "GET", f"{BASE}/openapi.json").status == 200


def test_nobody_else_is_let_in(internal: tuple[Service, str, str]) -> None:
    _, root, _ = internal
    assert request(root, "GET", f"{BASE}/organizations").status == 401
    other = [("authorization", "Bearer service-token-of-nobody")]
    assert request(root, "GET", f"{BASE}/organizations", other).status == 401


def test_records_say_what_a_call_was_about(internal: tuple[Service, str, str]) -> None:
    service, root, _ = internal
    created = create(root, display_name="Somebody whose name is chosen").json["name"]
    for name in (created, "organizations/who-is-not-there"):
        request(root, "POST", f"{BASE}/{name}:suspend", HEADERS, b"{}")
    trail = (service.data_dir / "data" / "audit").rglob("*.jsonl")
    records = [json.loads(line) for segment in trail for line in segment.read_text().splitlines()]
    found = {
        (record["operation"].rpartition("/")[2], record["resource"], record["outcome"], record["principal"])
        for record in records
        if record.get("resource") in (created, "organizations/who-is-not-there")
    }
    assert found == {
        ("CreateOrganization", created, "OK", "back-office"),
        ("SuspendOrganization", created, "OK", "back-office"),
        ("SuspendOrganization", "organizations/who-is-not-there", "NOT_FOUND", "back-office"),
    }
