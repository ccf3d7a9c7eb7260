"""What all entities of the registry have in common."""

import enum
from dataclasses import dataclass
from typing import ClassVar

from number_verification.domain.clock import Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One entity of the registry. The store sets the revision and the instants; nothing else does."""

    PATTERN: ClassVar[str] = ""
    """The form of its name (AIP-122), such as `organizations/*/people/*`."""

    name: str
    """Its resource name (AIP-122), unique for ever: a name is never given again."""
    revision: int = 0
    """How often it was written; 0 for one that is not stored yet. Makes up its etag (AIP-154)."""
    created: Milliseconds = 0
    updated: Milliseconds = 0

    @property
    def parent(self) -> str:
        """The name of the entity that it belongs to; empty for the ones on top."""
        return self.name.rpartition("/")[0].rpartition("/")[0]

    @property
    def id(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]


class State(enum.StrEnum):
    """A state in the life of an entity."""
