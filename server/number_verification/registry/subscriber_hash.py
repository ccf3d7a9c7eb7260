"""Subscribers as the registry knows them: by a keyed hash of their phone number."""

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

from number_verification.authorization import key_files
from number_verification.domain.approval_records import SUBSCRIBER_BYTES

_KEY_FILE = "consent-key"


def has_consent_key(directory: Path) -> bool:
    """Whether there is a key already.

    Raises:
        KeyFileUnusable: it cannot be read.
    """
    return key_files.read(directory / _KEY_FILE) is not None


def load_consent_key(directory: Path) -> bytes:
    """The key of the hash, created if there is none.

    It is never changed: with another one, every consent and every objection on record would be nobody's. Nodes that
    share a database share the key.

    Args:
        directory: where our keys are kept.

    Raises:
        KeyFileUnusable: it cannot be read or written.
    """
    return key_files.secret(directory / _KEY_FILE)


def subscriber_hash(key: bytes) -> Callable[[str], bytes]:
    """The hash of phone numbers with their `+`.

    There are few enough numbers to try them all, so only the key keeps a hash from being traced back. Half of the
    SHA-256 is enough to tell any number of subscribers apart.
    """

    def hashed(phone_number: str) -> bytes:
        return hmac.digest(key, phone_number.encode(), hashlib.sha256)[:SUBSCRIBER_BYTES]

    return hashed
