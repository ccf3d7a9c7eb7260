"""The two questions of Number Verification, asked of a device that is authenticated."""

from number_verification.domain.phone_number import matches_hashed, matches_plain
from number_verification.domain.session import Subscriber


def verify(device: Subscriber, *, phone_number: str = "", hashed_phone_number: str = "") -> bool:
    """Whether the number given, plain or as SHA-256 in hexadecimal, is the device's. Exactly one is not empty."""
    if phone_number:
        return matches_plain(device.phone_number, phone_number)
    return matches_hashed(device.phone_number, hashed_phone_number)
