"""A stale feed means refusal (invariant 4).

Seen to fail with the look at the silence left out of the attribution: a device is authenticated by a session of which
nothing was heard for longer than the operator allows.
"""

import os
import time
from collections.abc import Iterator

import pytest

from functional.authorization import OAuthClient
from functional.gateway import Attachment, Gateway
from functional.load import wait_until
from functional.service import Service
from functional.serving import Setup, running_service
from functional.transports import Grpc, Rest, Transport

SILENCE_SECONDS = 1
DEVICE = Attachment("127.2.0.1", "+990555000777", "999990555000777")
OTHER = Attachment("127.2.0.2", "+990555000778", "999990555000778")


@pytest.fixture(scope="module", params=["session", "feed"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Sessions, or gateways, that may be silent for a second only."""
    directory = tmp_path_factory.mktemp("service")
    setup = Setup(directory / "data")
    setup.content["network"][f"{request.param}_silence_seconds"] = SILENCE_SECONDS
    with running_service(directory, setup) as started:
        yield started


@pytest.fixture(params=["grpc", "rest"])
def api(request: pytest.FixtureRequest, service: Service) -> Iterator[Transport]:
    with Grpc(service) if request.param == "grpc" else Rest(service) as opened:
        yield opened


def test_silence_ends_what_a_device_can_prove(service: Service, api: Transport) -> None:
    gateway, oauth = Gateway(service), OAuthClient(service)
    gateway.start(DEVICE)
    heard = time.monotonic()
    code, token, kept = oauth.code(DEVICE.address), oauth.token(DEVICE.address), oauth.token(DEVICE.address)
    assert api.share(token).body == {"devicePhoneNumber": DEVICE.phone_number}
    wait_until(lambda: time.monotonic() > heard + SILENCE_SECONDS + 0.1)
    correlator = f"stale-{os.urandom(8).hex()}"
    assert oauth.callback(DEVICE.address, [("x-correlator", correlator)])["error"] == "access_denied"
    assert service.logged(correlator)["reason"] == "stale_feed"
    assert oauth.redeem(code).json["error"] == "invalid_grant"
    assert api.share(kept).code == "UNAUTHENTICATED"
    gateway.update(DEVICE)
    assert api.share(oauth.token(DEVICE.address)).body == {"devicePhoneNumber": DEVICE.phone_number}


def test_a_device_of_which_nothing_was_ever_heard(service: Service) -> None:
    assert OAuthClient(service).callback(OTHER.address)["error"] == "access_denied"
