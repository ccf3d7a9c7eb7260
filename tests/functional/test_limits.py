"""How often one peer may call: a 429 says when to come back and costs no token."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from functional.service import Service
from functional.serving import Setup, running_service
from functional.transports import Grpc, Rest, Transport

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
