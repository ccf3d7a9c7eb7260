"""What a one-time store must do. The docstrings are the contract; `tests/conformance` holds every engine to it."""

from typing import Protocol

from number_verification.domain.clock import Milliseconds


class OneTimeStore(Protocol):
    """Keeps values that are taken once: codes, tokens, `jti`s. Safe for threads and processes; every call is atomic.

    Keys are up to 255 bytes and never secrets themselves (callers hash them); values up to 64 KiB. What was taken or
    added stays so after the death of any process, at any moment. After the death of the machine everything kept is
    gone, and `remembers_since` says from when on the store's memory can be trusted again.

    All methods raise StoreUnavailable (StoreFull where there is no room), and then nothing was done.
    """

    @property
    def remembers_since(self) -> Milliseconds:
        """What was issued before this instant may have been used without the store remembering it.

        0 for a store that never lost anything.
        """
        ...

    def put(self, key: bytes, value: bytes, expires_at: Milliseconds) -> None:
        """Keep a value until it is taken or expires. A value under the same key is replaced."""
        ...

    def take(self, key: bytes) -> bytes | None:
        """Return the value and forget it: of any number of simultaneous takers exactly one gets it.

        None if there is none, if it was taken, or if it expired.
        """
        ...

    def add(self, key: bytes, expires_at: Milliseconds) -> bool:
        """Mark a key as used until the instant given: of any number of simultaneous callers exactly one gets True.

        False if it is marked already, and also if the instant lies so far back that a mark may have been purged.
        """
        ...

    def purge(self, limit: int) -> int:
        """Forget up to `limit` expired entries. Returns how many were forgotten."""
        ...

    def probe(self) -> None:
        """Write and take something, or raise: whether the store is usable."""
        ...

    def close(self) -> None:
        """Release what the store holds. Nothing may be called after it."""
        ...
