"""Files that describe a registry: what is wished for, read and checked before anything is asked or changed.

A file (TOML or JSON) holds the API's messages by their JSON names, grouped by kind: `products` and `organizations`,
within an organization `people`, `subscriptions` and `applications`. Identifiers may stand for full names, enums may be
written without their prefix, `state` is the wished state, and `jwksFile` names a file beside this one.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.message import Message

from number_verification.administration import contract, files, options
from number_verification.administration.failure import Failure
from number_verification.administration.resources import ANY, KINDS, Kind

KEYS_FILE = "jwksFile"


class Entry(NamedTuple):
    """A resource as it is wished for."""

    kind: Kind
    name: str
    wished: Message
    """Holds the fields that are named."""
    named: tuple[str, ...]
    """The fields that the file says something of; nothing else is touched."""
    state: str
    """The wished state, without prefix; empty where nothing is said of it."""
    place: str
    """Where in the file it stands."""


def read(path: Path) -> list[Entry]:
    """The entries of a file, each after the one that it belongs to.

    Raises:
        Failure: with the places of all that is wrong.
    """
    text = files.text(path)
    if path.suffix == ".json":
        content = files.json_object(path, text)
    else:
        try:
            content = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise Failure(f"{path} is not TOML: {error}") from None
    return entries(content, path)


def entries(content: Mapping[str, Any], path: Path) -> list[Entry]:
    """The entries of a file's content.

    Args:
        content: the content.
        path: of the file, from which key files are found.

    Raises:
        Failure: with the places of all that is wrong.
    """
    reading = _Reading(path.parent)
    top = [kind for kind in KINDS.values() if kind.collection is None]
    for unknown in content.keys() - {kind.plural for kind in top}:
        reading.faults.append(f"{unknown}: unknown key")
    # Products come first: subscriptions name them. Channel partners come before those that name them.
    found = [entry for kind in reversed(top) for entry in reading.group(content, kind, "", "")]
    if reading.faults:
        raise Failure(f"{path} is not right", details=sorted(reading.faults))
    return found


class _Reading:
    def __init__(self, directory: Path) -> None:
        self.faults: list[str] = []
        self._directory = directory
        self._names: set[str] = set()

    def group(self, content: Mapping[str, Any], kind: Kind, parent: str, place: str) -> Iterator[Entry]:
        """The entries of one kind, and what belongs to them."""
        values = content.get(kind.plural, [])
        if not isinstance(values, list):
            self.faults.append(f"{place}{kind.plural}: must be a list")
            return
        for index, value in enumerate(values):
            where = f"{place}{kind.plural}[{index}]"
            if not isinstance(value, dict):
                self.faults.append(f"{where}: must be an object")
                continue
            entry = self._entry(value, kind, parent, where)
            if entry is not None:
                yield entry
                for nested in KINDS.values():
                    if nested.collection is kind:
                        yield from self.group(value, nested, entry.name, f"{where}.")

    def _entry(self, value: Mapping[str, Any], kind: Kind, parent: str, place: str) -> Entry | None:
        try:
            name = self._name(value.get("name"), kind, parent)
        except Failure as failure:
            self.faults.append(f"{place}.name: {failure.message}")
            return None
        wished = contract.new(kind.message)
        named: list[str] = []
        for key, content in value.items():
            try:
                field = self._field(wished, kind, key, content, place)
            except Failure as failure:
                self.faults.append(failure.message)
            else:
                if field in named:
                    self.faults.append(f"{place}.{key}: {field} is described twice")
                named += [field] if field else []
        return Entry(kind, name, wished, tuple(named), self._state(value, kind, place), place)

    def _name(self, text: object, kind: Kind, parent: str) -> str:
        if not isinstance(text, str):
            raise Failure("must be given")
        name = kind.full_name(f"{parent.split('/')[-1]}/{text}" if parent and "/" not in text else text)
        if name.endswith(f"/{ANY}"):
            raise Failure("must be given in full")
        if parent and not name.startswith(f"{parent}/"):
            raise Failure(f"does not belong to {parent}")
        if name in self._names:
            raise Failure(f"{name} is described twice")
        self._names.add(name)
        return name

    def _field(self, wished: Message, kind: Kind, key: str, content: object, place: str) -> str:
        """Read one key. Returns the field that it says something of; empty for none."""
        nested = {each.plural for each in KINDS.values() if each.collection is kind}
        if key in {"name", "state"} | nested:
            return ""
        fields = {field.json_name: field for field in kind.message.fields}
        where = f"{place}.{key}"
        if key == KEYS_FILE and "jwks" in fields:
            if not isinstance(content, str):
                raise Failure(f"{where}: must be a path")
            try:
                options.put_json(wished, fields["jwks"], files.public_keys(self._directory / content), where)
            except Failure as failure:
                raise Failure(f"{where}: {failure.message}") from None
            return "jwks"
        if key not in fields:
            raise Failure(f"{where}: unknown key")
        field = fields[key]
        if field.name in kind.only_read:
            raise Failure(f"{where}: can only be read")
        if key == "jwks" and isinstance(content, dict):
            content = files.key_set(content, where)
        options.put_json(wished, field, content, where)
        return field.name

    def _state(self, value: Mapping[str, Any], kind: Kind, place: str) -> str:
        if "state" not in value:
            return ""
        field = kind.message.fields_by_name["state"]
        names = {value.name: kind.state(value.number) for value in kind.states.values if value.number}
        state = contract.expanded(field, value["state"])
        if not isinstance(state, str) or state not in names:
            self.faults.append(f"{place}.state: must be one of {', '.join(names.values())}")
            return ""
        return names[state]
