"""FreeRADIUS' radclient feeds the sandbox, and what it reported is verified a moment later."""

from collections.abc import Iterator

import pytest

from functional.service import Service
from functional.transports import Grpc, Rest, Transport
from interop.device import Device
from interop.radclient import Attached, Gateway
from number_verification_client import OAuthError

pytestmark = pytest.mark.interop


@pytest.fixture(params=[Grpc, Rest])
def transport(request: pytest.FixtureRequest, sandbox: Service) -> Iterator[Transport]:
    with request.param(sandbox) as opened:
        yield opened


def token_of(sandbox: Service, address: str) -> str:
    """A token for the user of whatever device has this loopback address.

    Raises:
        OAuthError: the network does not know it.
    """
    request = sandbox.partner.begin()
    opened = Device(address).open(request.issuer, request)
    return sandbox.partner.redeem(opened.headers["location"], request).access_token


def test_a_device_begins_moves_and_leaves(sandbox: Service, transport: Transport) -> None:
    serial = 1 if transport.name == "grpc" else 2
    gateway = Gateway(sandbox, f"radclient-{transport.name}")
    address, moved_to = f"127.4.0.{serial}", f"127.4.1.{serial}"
    device = Attached(serial, {"Framed-IP-Address": address})
    with pytest.raises(OAuthError, match="access_denied"):
        token_of(sandbox, address)

    assert gateway.reports("Start", device)
    verified = transport.verify(token_of(sandbox, address), phoneNumber=device.phone_number)
    assert (verified.code, verified.body) == ("OK", {"devicePhoneNumberVerified": True})

    moved = Attached(serial, {"Framed-IP-Address": moved_to}, session_id=device.session_id)
    assert gateway.reports("Interim-Update", moved)
    assert transport.share(token_of(sandbox, moved_to)).body == {"devicePhoneNumber": device.phone_number}
    with pytest.raises(OAuthError, match="access_denied"):
        token_of(sandbox, address)

    token = token_of(sandbox, moved_to)
    assert gateway.reports("Stop", moved)
    assert transport.share(token).code == "UNAUTHENTICATED"
    with pytest.raises(OAuthError, match="access_denied"):
        token_of(sandbox, moved_to)


@pytest.mark.parametrize(
    ("rat_type", "may"), [("UTRAN", True), ("HSPA-Evolution", True), ("51", True), ("WLAN", False)]
)
def test_the_radio_access_is_read_from_its_dictionary(sandbox: Service, rat_type: str, may: bool) -> None:
    device = Attached(3, {"Framed-IP-Address": "127.4.0.3"}, {"3GPP-RAT-Type": rat_type})
    gateway = Gateway(sandbox, "radclient-rat")
    assert gateway.reports("Start", device)
    try:
        if may:
            assert token_of(sandbox, "127.4.0.3")
        else:
            with pytest.raises(OAuthError, match="access_denied"):
                token_of(sandbox, "127.4.0.3")
    finally:
        assert gateway.reports("Stop", device)


def test_a_gateway_that_starts_anew_has_no_sessions(sandbox: Service) -> None:
    device = Attached(4, {"Framed-IP-Address": "127.4.0.4"})
    neighbour = Attached(5, {"Framed-IP-Address": "127.4.0.5"})
    gateway, other_gateway = Gateway(sandbox, "radclient-restarts"), Gateway(sandbox, "radclient-runs-on")
    assert gateway.reports("Start", device)
    assert other_gateway.reports("Start", neighbour)
    assert token_of(sandbox, "127.4.0.4")
    assert gateway.reports("Accounting-On")
    with pytest.raises(OAuthError, match="access_denied"):
        token_of(sandbox, "127.4.0.4")
    assert token_of(sandbox, "127.4.0.5")


def test_a_wrong_secret_gets_no_answer_and_changes_nothing(sandbox: Service) -> None:
    stranger = Gateway(sandbox, "radclient-stranger", secret="not the secret of the sandbox")
    assert not stranger.reports("Start", Attached(6, {"Framed-IP-Address": "127.4.0.6"}))
    assert not stranger.asks_for_status()
    with pytest.raises(OAuthError, match="access_denied"):
        token_of(sandbox, "127.4.0.6")


def test_status_server(sandbox: Service) -> None:
    assert Gateway(sandbox, "radclient-status").asks_for_status()
