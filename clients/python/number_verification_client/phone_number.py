"""Phone numbers and their hashes, in the contract's form."""

import hashlib
import re

from number_verification_client.errors import invalid_argument

_PHONE_NUMBER = re.compile(r"\+[1-9][0-9]{4,14}")
_HASH = re.compile(r"[a-fA-F0-9]{64}")


def hash_phone_number(phone_number: str) -> str:
    """SHA-256 of a phone number with its `+`, as 64 lower-case hexadecimal digits.

    A hash of a phone number is no secret: all numbers can be tried. It only keeps the number out of sight.

    Args:
        phone_number: E.164 with its `+` and 5 to 15 digits, without spaces.

    Raises:
        InvalidArgument: the number is not in that form.
    """
    return hashlib.sha256(checked_phone_number(phone_number).encode()).hexdigest()


def is_phone_number(text: str) -> bool:
    """Whether the text is a phone number in the contract's form."""
    return _PHONE_NUMBER.fullmatch(text) is not None


def checked_phone_number(phone_number: str) -> str:
    """The phone number as it is; raises InvalidArgument if it is not in the contract's form."""
    if not is_phone_number(phone_number):
        raise invalid_argument("phoneNumber", "must be E.164: +, then 5 to 15 digits, the first not 0")
    return phone_number


def checked_hash(hashed_phone_number: str) -> str:
    """The hash as it is; raises InvalidArgument if it is not in the contract's form."""
    if _HASH.fullmatch(hashed_phone_number) is None:
        raise invalid_argument("hashedPhoneNumber", "must be 64 hexadecimal digits")
    return hashed_phone_number
