"""The internal HTTP listener as a part of the service: beside gRPC, in every worker, and never with public routes."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from functional.service import Service, request
from functional.serving import SERVICE_TOKEN, Setup, free_ports, running_service
from functional.transports import BASE, Rest, rest_outcome
from number_verification.gen.routes import APIS, ROUTES

HEADERS = [("authorization", f"Bearer {SERVICE_TOKEN}"), ("x-correlator", "internal-1")]


@pytest.fixture(scope="module")
def internal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    directory: Path = tmp_path_factory.mktemp("internal")
    setup = Setup(directory / "data")
    address = f"127.0.0.1:{free_ports(1)[0]}"
    setup.content["internal"]["http_listen"] = address
    setup.content["workers"] = 2
    with running_service(directory, setup) as service:
        yield service, f"http://{address}"


def test_it_answers_in_the_form_of_the_api(internal: tuple[Service, str]) -> None:
    service, root = internal
    answer = request(root, "GET", "/nowhere", HEADERS)
    outcome = rest_outcome(answer)
    assert (answer.status, outcome.code, outcome.correlator) == (404, "NOT_FOUND", "internal-1")
    assert service.logged("internal-1")["transport"] == "rest"


def test_it_serves_no_public_route(internal: tuple[Service, str]) -> None:
    service, root = internal
    assert request(root, "POST", f"{BASE}/verify", HEADERS, b"{}").status == 404
    assert request(root, "GET", f"{BASE}/openapi.json").status == 404
    assert request(root, "POST", "/oauth2/token", [], b"").status == 404
    assert Rest(service).share(service.external_token()).code != "NOT_FOUND"


def status(root: str, method: str, path: str) -> int:
    return request(root, method, path).status


def test_a_route_is_served_by_one_listener_at_most(internal: tuple[Service, str]) -> None:
    service, inside = internal
    outside = service.description["api_root"]
    for route in ROUTES:
        path = "/" + "/".join(route.segments).replace("*", "x") + (f":{route.verb}" if route.verb else "")
        assert status(outside if route.internal else inside, route.http_method, path) == 404
    for api in APIS:
        assert status(outside if api.internal else inside, "GET", f"{api.base_path}/openapi.json") == 404


def test_it_serves_the_internal_apis(internal: tuple[Service, str]) -> None:
    _, root = internal
    (api,) = (api for api in APIS if "audit" in api.base_path)
    assert status(root, "GET", f"{api.base_path}/openapi.json") == 200
    assert status(root, "GET", f"{api.base_path}/openapi.yaml") == 200
    (route, *_) = (route for route in ROUTES if route.template.startswith(api.base_path))
    path = "/" + "/".join(route.segments).replace("*", "x") + (f":{route.verb}" if route.verb else "")
    assert status(root, route.http_method, path) == 401


def test_readiness_looks_at_it(internal: tuple[Service, str]) -> None:
    assert internal[0].admin("/readyz").json == {"status": "ready", "failing": {}}


def test_what_is_no_http_leaves_nothing_in_the_log(internal: tuple[Service, str]) -> None:
    service, root = internal
    host, _, port = root.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(b"GET /+990555000001 nonsense\r\n\r\n")
        assert raw.recv(64).startswith(b"HTTP/1.1 400 ")
    assert "nonsense" not in service.log_path.read_text()
    assert not [line for line in service.log if line["event"] == "internal_http_fault"]
