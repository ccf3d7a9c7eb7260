"""Seals: signed statements of how far segments had got, each naming the one before.

A seal is a JWS in compact serialization, one a line, in the seals file of the day it was made on. Seals are numbered
from 1 across all days, so that one that is missing, or a day of them, leaves a gap. What the last one is is also kept
beside the key, away from the trail: without that nobody could tell that the latest seals were cut off.
"""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from number_verification.authorization import jose, key_files
from number_verification.authorization.jose import InvalidToken, SigningKey, UnusableKey, VerificationKey
from number_verification.authorization.key_files import KeyFileUnusable
from number_verification.domain.clock import Milliseconds
from number_verification.registry.audit.files import SEALS, is_segment

TYPE = "audit-seal"
MAX_SEAL = 1 << 24
"""Characters of one seal: room for far more segments than can grow within a second."""

_KEY_FILE = "audit-seal-key.json"
_HEAD_FILE = "audit-seal-head.json"


class Reached(NamedTuple):
    """How far a segment has got."""

    lines: int
    """Its lines, the header included."""
    size: int
    """Its bytes."""
    chain: str
    """The chain value of the last of these lines, in hexadecimal."""


class Purged(NamedTuple):
    """Days that were removed by policy."""

    through: str
    """The last of them."""
    first_kept: int
    """The number of the first seal that was kept."""
    digest_before: str
    """The digest of the last seal that was removed; empty if there was none."""


class Seal(NamedTuple):
    """One seal."""

    number: int
    previous: str
    """The digest of the seal before; empty for the first one."""
    time: Milliseconds
    segments: Mapping[str, Reached]
    """Those that grew since the seal before."""
    purged: Purged | None = None


class Head(NamedTuple):
    """The latest seal: its number and its digest."""

    number: int = 0
    digest: str = ""


NO_SEAL = Head()


class SealKey:
    """What seals are signed with, and the note of the latest seal beside it.

    Args:
        directory: where our keys are kept; the key is made if there is none.

    Raises:
        KeyFileUnusable: it cannot be kept, or what is kept cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        path = directory / _KEY_FILE
        with key_files.locked(directory):
            content = key_files.read(path)
            if content is None:
                key = SigningKey.generate()
                key_files.write(path, json.dumps(key.private_jwk()).encode())
            else:
                key = _key_of(path, content)
        self._key = key
        self._public = jose.verification_key(key.public_jwk())

    def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """The key to check a seal with (see `KeySource`)."""
        return self._public if kid == self._public.kid and algorithm in self._public.algorithms else None

    def signed(self, seal: Seal) -> str:
        """The seal as it is written."""
        claims: dict[str, Any] = {
            "number": seal.number,
            "previous": seal.previous,
            "time": seal.time,
            "segments": seal.segments,
        }
        if seal.purged is not None:
            claims["purged"] = seal.purged._asdict()
        return self._key.sign(claims, typ=TYPE)

    def opened(self, text: str) -> Seal | None:
        """A seal that was signed with this key; None for any other text."""
        try:
            _, claims = jose.verify(
                text, self, algorithms=frozenset({"ES256"}), types=frozenset({TYPE}), max_length=MAX_SEAL
            )
            return _seal(claims)
        except InvalidToken:
            return None

    def head(self) -> Head:
        """What was noted as the latest seal.

        Raises:
            KeyFileUnusable: the note cannot be read.
        """
        path = self._directory / _HEAD_FILE
        content = key_files.read(path)
        if content is None:
            return NO_SEAL
        try:
            members = jose.parse_object(content)
            return Head(int(members["number"]), str(members["digest"]))
        except (ValueError, KeyError, TypeError):
            raise KeyFileUnusable(f"{path} is not the note of a seal") from None

    def note(self, head: Head) -> None:
        """Note which seal is the latest.

        Raises:
            KeyFileUnusable: it cannot be noted.
        """
        with key_files.locked(self._directory):
            key_files.write(self._directory / _HEAD_FILE, json.dumps(head._asdict()).encode())


def digest_of(text: str) -> str:
    """What the seal after this one names it by."""
    return sha256(text.encode()).hexdigest()


def unverified(text: str) -> Seal | None:
    """What a seal says, its signature unchecked: a good seal after it that names its digest vouches for it too."""
    try:
        return _seal(jose.unverified_claims(text, max_length=MAX_SEAL))
    except InvalidToken:
        return None


def written(directory: Path, day: str) -> Iterator[str]:
    """The seals in the file of a day, as they were written, unchecked; what has no newline yet is left out."""
    try:
        with (directory / day / SEALS).open("rb") as file:
            for raw in file:
                if raw.endswith(b"\n"):
                    yield raw[:-1].decode("ascii", "replace")
    except FileNotFoundError:
        return


def _key_of(path: Path, content: bytes) -> SigningKey:
    try:
        return SigningKey.from_jwk(jose.parse_object(content))
    except (ValueError, UnusableKey):
        raise KeyFileUnusable(f"{path} is not a signing key") from None


def _seal(claims: Mapping[str, Any]) -> Seal | None:
    # Nobody but us can have signed it: what has another form is of another version of this service.
    try:
        purged = claims.get("purged")
        return Seal(
            int(claims["number"]),
            str(claims["previous"]),
            int(claims["time"]),
            {name: Reached(*reached) for name, reached in claims["segments"].items() if is_segment(name)},
            Purged(**purged) if purged is not None else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
