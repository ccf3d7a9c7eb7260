"""Access grants as bytes, for the one-time store.

JSON of one flat array whose first element is the version: measured as fast as packed binary fields, and it holds any
text that a gateway may report.
"""

import json
from collections.abc import Sequence
from typing import Any

from number_verification.domain.grant import AccessGrant, AuthenticationMethod, SessionAnchor
from number_verification.domain.session import Ipv4Address, SessionKey, Subscriber

_VERSION = 2
_METHODS = {method.value: method for method in AuthenticationMethod}

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_decode = json.JSONDecoder().decode


def encode(grant: AccessGrant) -> bytes:
    """The grant as bytes."""
    client_id, scopes, purpose, method, authenticated_at, issued_at, expires_at, anchor, *texts = grant
    return _encode(
        (
            _VERSION,
            client_id,
            " ".join(scopes),
            purpose,
            method,
            authenticated_at,
            issued_at,
            expires_at,
            anchor and encode_anchor(anchor),
            *texts,
        )
    ).encode()


def decode(content: bytes) -> AccessGrant:
    """The grant that `encode` made the bytes of.

    Raises:
        ValueError: the bytes are of another version, or not of a grant. The message holds nothing of them.
    """
    try:
        version, client_id, scopes, purpose, method, authenticated_at, issued_at, expires_at, anchor, *texts = _decode(
            content.decode()
        )
        if version == _VERSION:
            phone_number, application, customer, channel_partner = texts
            return AccessGrant(
                client_id,
                frozenset(scopes.split()),
                purpose,
                _METHODS[method],
                authenticated_at,
                issued_at,
                expires_at,
                anchor and decode_anchor(anchor),
                phone_number,
                application,
                customer,
                channel_partner,
            )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError("not a grant") from None
    raise ValueError("a grant of another version")


def encode_anchor(anchor: SessionAnchor) -> Sequence[str | int | None]:
    """The anchor as an array for JSON."""
    (nas, session_id), began, (imsi, phone_number), address = anchor
    if isinstance(address, Ipv4Address):
        return nas, session_id, began, imsi, phone_number, address.address.hex(), address.ip_domain
    return nas, session_id, began, imsi, phone_number, address.hex(), None


def decode_anchor(array: Sequence[Any]) -> SessionAnchor:
    """The anchor that `encode_anchor` made the array of.

    Raises:
        ValueError, TypeError: the array is not of an anchor.
    """
    nas, session_id, began, imsi, phone_number, address, ip_domain = array
    octets = bytes.fromhex(address)
    return SessionAnchor(
        SessionKey(nas, session_id),
        began,
        Subscriber(imsi, phone_number),
        octets if ip_domain is None else Ipv4Address(ip_domain, octets),
    )
