"""A grant lives no longer than the session it is founded on (design D4, invariant 1).

Seen to fail with `AccessCheck.subscriber_at` returning the subscriber of the anchor unasked: every test here that
expects a refusal gets a number.
"""

import itertools
import secrets
from collections.abc import Callable

import pytest

from functional.authorization import OAuthClient
from functional.gateway import Attachment, Gateway
from functional.service import Service
from functional.transports import Transport

_serials = itertools.count(1)

Change = Callable[[Gateway, Attachment], None]


def attachment() -> Attachment:
    """A new SIM at a new address."""
    serial = next(_serials)
    return Attachment(f"127.77.{serial // 250}.{serial % 250 + 1}", f"+9907700{serial:04d}", f"99999077{serial:07d}")


@pytest.fixture
def gateway(sandbox: Service) -> Gateway:
    return Gateway(sandbox, f"gateway-{secrets.token_hex(4)}")


def ended(gateway: Gateway, device: Attachment) -> None:
    gateway.stop(device)


def handed_over(gateway: Gateway, device: Attachment) -> None:
    """The Stop was lost; the address was given to somebody else."""
    other = attachment()
    gateway.start(Attachment(device.address, other.phone_number, other.imsi))


def handed_over_by_another_gateway(gateway: Gateway, device: Attachment) -> None:
    other = attachment()
    Gateway.start(_twin(gateway), Attachment(device.address, other.phone_number, other.imsi))


def _twin(gateway: Gateway) -> Gateway:
    twin = Gateway.__new__(Gateway)
    twin.name, twin.apn, twin.client = f"{gateway.name}-twin", gateway.apn, gateway.client
    return twin


def restarted(gateway: Gateway, _: Attachment) -> None:
    gateway.restart()


def sim_swapped(gateway: Gateway, device: Attachment) -> None:
    """The same session reports another IMSI for the same number."""
    swapped = Attachment(device.address, device.phone_number, attachment().imsi, device.session_id)
    gateway.update(swapped)


def number_changed(gateway: Gateway, device: Attachment) -> None:
    gateway.update(Attachment(device.address, attachment().phone_number, device.imsi, device.session_id))


def attached_anew(gateway: Gateway, device: Attachment) -> None:
    """The same SIM at the same address, but another session: nobody knows what was between."""
    gateway.stop(device)
    gateway.start(Attachment(device.address, device.phone_number, device.imsi))


def moved_to_another_address(gateway: Gateway, device: Attachment) -> None:
    moved = Attachment(attachment().address, device.phone_number, device.imsi, device.session_id)
    gateway.update(moved)


CHANGES: list[Change] = [
    ended,
    handed_over,
    handed_over_by_another_gateway,
    restarted,
    sim_swapped,
    number_changed,
    attached_anew,
    moved_to_another_address,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_between_code_and_token(oauth: OAuthClient, gateway: Gateway, change: Change) -> None:
    device = attachment()
    gateway.start(device)
    code = oauth.code(device.address)
    change(gateway, device)
    answer = oauth.redeem(code)
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_between_token_and_call(oauth: OAuthClient, gateway: Gateway, transport: Transport, change: Change) -> None:
    device = attachment()
    gateway.start(device)
    token = oauth.token(device.address)
    change(gateway, device)
    assert transport.verify(token, phoneNumber=device.phone_number).code == "UNAUTHENTICATED"
    assert transport.share(token).code == "UNAUTHENTICATED"


def test_nothing_changed(oauth: OAuthClient, gateway: Gateway, transport: Transport) -> None:
    device = attachment()
    gateway.start(device)
    token = oauth.token(device.address)
    gateway.update(device)
    gateway.start(attachment())
    assert transport.share(token).body == {"devicePhoneNumber": device.phone_number}


def test_whoever_has_the_address_now(oauth: OAuthClient, gateway: Gateway, transport: Transport) -> None:
    """Two hand-overs without a Stop: each new authorization names who is there then."""
    first = attachment()
    gateway.start(first)
    for _ in range(2):
        other = attachment()
        token = oauth.token(first.address)
        heir = Attachment(first.address, other.phone_number, other.imsi)
        gateway.start(heir)
        assert transport.share(token).code == "UNAUTHENTICATED"
        assert transport.share(oauth.token(first.address)).body == {"devicePhoneNumber": heir.phone_number}


def test_a_late_stop_of_the_former_holder_changes_nothing(
    oauth: OAuthClient, gateway: Gateway, transport: Transport
) -> None:
    former, other = attachment(), attachment()
    gateway.start(former)
    heir = Attachment(former.address, other.phone_number, other.imsi)
    gateway.start(heir)
    token = oauth.token(former.address)
    gateway.stop(former)
    assert transport.share(token).body == {"devicePhoneNumber": heir.phone_number}


def test_two_live_subscribers_at_one_address_are_nobody(
    oauth: OAuthClient, gateway: Gateway, transport: Transport
) -> None:
    """Both gateways insist: never guess."""
    device, other = attachment(), attachment()
    twin = _twin(gateway)
    rival = Attachment(device.address, other.phone_number, other.imsi)
    gateway.start(device)
    twin.start(rival)
    gateway.update(device)
    token = oauth.callback(device.address)
    assert token.get("error") == "access_denied"
    twin.stop(rival)
    assert transport.share(oauth.token(device.address)).body == {"devicePhoneNumber": device.phone_number}


def test_a_device_added_with_a_start_is_verified_a_moment_later(
    oauth: OAuthClient, gateway: Gateway, transport: Transport
) -> None:
    device = attachment()
    assert oauth.callback(device.address)["error"] == "access_denied"
    gateway.start(device)
    outcome = transport.verify(oauth.token(device.address), phoneNumber=device.phone_number)
    assert outcome.body == {"devicePhoneNumberVerified": True}
    gateway.stop(device)
    assert oauth.callback(device.address)["error"] == "access_denied"
