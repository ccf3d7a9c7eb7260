"""Phone numbers: E.164 with a leading `+`, five to fifteen digits (CAMARA `DevicePhoneNumber`)."""

import hashlib
import hmac
import re

_E164 = re.compile(r"\+[1-9][0-9]{4,14}")
_MSISDN = re.compile(r"\+?([1-9][0-9]{4,14})")


def is_phone_number(text: str) -> bool:
    """Whether the text is a phone number in the contract's form."""
    return _E164.fullmatch(text) is not None


def from_msisdn(text: str) -> str | None:
    """The phone number that a gateway reports as an MSISDN, with or without `+` (3GPP TS 29.061, Calling-Station-Id).

    Returns None for anything else: a number that cannot be read is no number.
    """
    match = _MSISDN.fullmatch(text)
    return "+" + match[1] if match else None


def matches_plain(phone_number: str, claimed: str) -> bool:
    """Whether a claimed number is this one, in constant time."""
    return hmac.compare_digest(phone_number.encode(), claimed.encode())


def matches_hashed(phone_number: str, claimed: str) -> bool:
    """Whether a claimed SHA-256 (hexadecimal, either case) is of this number with its `+`, in constant time."""
    digest = hashlib.sha256(phone_number.encode()).hexdigest()
    return hmac.compare_digest(digest.encode(), claimed.lower().encode())
