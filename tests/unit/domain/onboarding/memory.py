"""A registry in memory that keeps to the docstrings of `registry.store`: what use cases are tested against."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from number_verification.domain.clock import Milliseconds
from number_verification.domain.onboarding.entity import Entity, State
from number_verification.domain.onboarding.organization import Organization
from number_verification.registry.store import AlreadyExists, Answer, Changes, StaleRevision

E = TypeVar("E", bound=Entity)


class _View:
    """A transaction, or a view: both see a copy."""

    def __init__(self, entities: dict[str, Entity], answers: dict[tuple[str, str], Answer]) -> None:
        self.entities = entities
        self.answers = answers

    def find(self, kind: type[E], name: str) -> E | None:
        found = self.entities.get(name)
        return found if isinstance(found, kind) else None

    def page(
        self,
        kind: type[E],
        *,
        parent: str = "",
        reach: str = "",
        state: State | None = None,
        after: str = "",
        limit: int,
    ) -> Sequence[E]:
        assert limit >= 1
        fitting = [
            entity
            for entity in self.entities.values()
            if isinstance(entity, kind)
            and parent in ("", entity.parent)
            and state in (None, getattr(entity, "state", None))
            and entity.name > after
            and self._is_within(entity, reach)
        ]
        return sorted(fitting, key=lambda entity: entity.name)[:limit]

    def _is_within(self, entity: Entity, reach: str) -> bool:
        owner = self.entities.get(entity.parent or entity.name)
        if not reach or not isinstance(owner, Organization):
            return True
        return reach in (owner.name, owner.channel_partner)

    def add(self, entity: E, now: Milliseconds) -> E:
        client_id = getattr(entity, "client_id", None)
        taken = client_id and any(getattr(other, "client_id", "") == client_id for other in self.entities.values())
        if entity.name in self.entities or taken:
            raise AlreadyExists
        return self._put(replace(entity, revision=1, created=now, updated=now))

    def replace(self, entity: E, now: Milliseconds) -> E:
        stored = self.entities.get(entity.name)
        if stored is None or stored.revision != entity.revision:
            raise StaleRevision
        return self._put(replace(entity, revision=entity.revision + 1, updated=now))

    def _put(self, entity: E) -> E:
        self.entities[entity.name] = entity
        return entity

    def answer_to(self, caller: str, request_id: str) -> Answer | None:
        return self.answers.get((caller, request_id))

    def keep_answer(self, caller: str, request_id: str, answer: Answer, now: Milliseconds) -> None:
        del now
        self.answers[caller, request_id] = answer


class MemoryRegistry:
    def __init__(self) -> None:
        self._entities: dict[str, Entity] = {}
        self._answers: dict[tuple[str, str], Answer] = {}
        self._serial = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[_View]:
        yield _View(dict(self._entities), dict(self._answers))

    @contextmanager
    def writing(self) -> Iterator[_View]:
        with self._serial:
            view = _View(dict(self._entities), dict(self._answers))
            yield view
            self._entities, self._answers = view.entities, view.answers

    def change(self) -> int:
        return sum(entity.revision for entity in self._entities.values())

    def changes(self, since: int) -> Changes:
        raise NotImplementedError("use cases do not ask for changes")

    def probe(self) -> None:
        return None

    def close(self) -> None:
        return None

    def put(self, *entities: Any) -> None:
        """Whatever the test wants to be there."""
        with self.writing() as writing:
            for entity in entities:
                writing.entities[entity.name] = replace(entity, revision=entity.revision or 1)
