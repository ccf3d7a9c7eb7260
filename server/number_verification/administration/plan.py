"""What has to be done to bring a registry to a described state. Pure: asks nothing, changes nothing."""

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from google.protobuf import json_format
from google.protobuf.message import Message

from number_verification.administration.described import Entry
from number_verification.administration.resources import PRODUCTS, Kind

CREATE, UPDATE = "create", "update"


class Change(NamedTuple):
    """What becomes of a field, in JSON."""

    field: str
    before: object
    after: object


class Step(NamedTuple):
    """One call. Its action is `create`, `update` or a verb of the kind."""

    action: str
    entry: Entry
    changes: tuple[Change, ...] = ()
    """For `create` and `update`: the fields that are written."""

    @property
    def upward(self) -> bool:
        """Whether it begins something: these are taken first, from the top down."""
        return self.action in (CREATE, UPDATE) or self.entry.kind.verbs[self.action].upward


class Plan(NamedTuple):
    """All that is to be done, in order."""

    steps: Sequence[Step]
    faults: Sequence[str]
    """What cannot be done. Where there is anything, nothing may be done."""


def plan(entries: Iterable[Entry], found: Mapping[str, Message]) -> Plan:
    """Compare what is wished for with what is there.

    Args:
        entries: what is wished for.
        found: what is there, by name.
    """
    entries = list(entries)
    partnered = {entry.name for entry in entries if "channel_partner" in entry.named}
    steps: list[Step] = []
    faults: list[str] = []
    # The sort keeps what belongs to something behind it.
    for entry in sorted(entries, key=lambda entry: _rank(entry, partnered)):
        for_entry, impossible = _steps(entry, found.get(entry.name))
        steps += for_entry
        faults += impossible
    # Nothing can be added to what is suspended or closed: that comes last, and from the bottom up.
    begun = [step for step in steps if step.upward]
    ended = [step for step in reversed(steps) if not step.upward]
    return Plan([*begun, *ended], faults)


def _rank(entry: Entry, partnered: Container[str]) -> int:
    """Products first, which subscriptions name; then channel partners, which the organizations of the others name."""
    collection, root = entry.name.split("/")[:2]
    if collection == PRODUCTS.plural:
        return 0
    return 2 if f"{collection}/{root}" in partnered else 1


def _steps(entry: Entry, there: Message | None) -> tuple[list[Step], list[str]]:
    steps: list[Step] = []
    if there is None:
        state = entry.kind.state(1)
        written = _changes(entry, None, entry.named)
        steps.append(Step(CREATE, entry, tuple(written)))
    else:
        state = entry.kind.state(there.state)  # type: ignore[attr-defined]
        written = _changes(entry, there, entry.named)
        fixed = [change.field for change in written if _is_fixed(entry.kind, change.field)]
        if fixed:
            return [], [f"{entry.place}: {entry.name}: {', '.join(fixed)} cannot be changed"]
        if written and not (_leads_on(entry.kind, state) or entry.kind.changes_to_the_end):
            return [], [f"{entry.place}: {entry.name} is {state}: it cannot be changed any more"]
        if written:
            steps.append(Step(UPDATE, entry, tuple(written)))
    verbs = path(entry.kind, state, entry.state or state)
    if verbs is None:
        return [], [f"{entry.place}: {entry.name} is {state}: it cannot become {entry.state}"]
    return [*steps, *(Step(verb, entry) for verb in verbs)], []


def path(kind: Kind, state: str, wished: str) -> list[str] | None:
    """The verbs that lead from one state to another, as few as there can be; None if none do."""
    ways: list[tuple[str, list[str]]] = [(state, [])]
    seen = {state}
    for at, verbs in ways:
        if at == wished:
            return verbs
        for name, verb in kind.verbs.items():
            if at in verb.sources and verb.target not in seen:
                seen.add(verb.target)
                ways.append((verb.target, [*verbs, name]))
    return None


def _leads_on(kind: Kind, state: str) -> bool:
    return any(state in verb.sources for verb in kind.verbs.values())


def _is_fixed(kind: Kind, json_name: str) -> bool:
    return any(field.json_name == json_name and field.name in kind.only_created for field in kind.message.fields)


def _changes(entry: Entry, there: Message | None, named: Iterable[str]) -> list[Change]:
    changes = []
    for name in named:
        field = entry.kind.message.fields_by_name[name]
        before = _value(there, name) if there is not None else None
        after = _value(entry.wished, name)
        if there is None or _same(before) != _same(after):
            changes.append(Change(field.json_name, before, after))
    return changes


def _value(message: Message, name: str) -> Any:
    field = message.DESCRIPTOR.fields_by_name[name]
    return json_format.MessageToDict(message, always_print_fields_with_no_presence=True).get(field.json_name)


def _same(value: Any) -> Any:
    # A message that is not there says what an empty one says.
    return canonical(value) or None


def canonical(value: Any) -> Any:
    """A JSON value such that two of them are the same if they say the same: the order in a list says nothing."""
    if isinstance(value, list):
        return sorted((canonical(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, dict):
        return {name: canonical(item) for name, item in value.items() if item not in ("", [], 0, False)}
    return value
