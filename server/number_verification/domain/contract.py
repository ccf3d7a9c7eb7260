"""What the contract says of methods and messages beyond their types. The generator fills these from its options."""

import enum
from typing import NamedTuple


class Caller(enum.Enum):
    """The kinds of caller a method can be for."""

    API_CONSUMER = enum.auto()
    """An application with an access token."""
    INTERNAL_SERVICE = enum.auto()
    """A service of the operator, known by its client certificate or its service token."""


class OriginNeed(enum.Enum):
    """What a method needs to know of where its end user is."""

    NONE = enum.auto()
    MOBILE_NETWORK = enum.auto()
    """The end user was authenticated by the mobile network or by the SIM, and nothing attested contradicts it."""


class AccessRule(NamedTuple):
    """Who may call a method, and what a call must bring."""

    caller: Caller
    scopes: frozenset[str]
    """OAuth scopes of which the access grant must hold every one; empty for internal services."""
    origin: OriginNeed
    roles: frozenset[str]
    """Roles of which an internal service must hold at least one; empty for API consumers."""


class FieldRule(NamedTuple):
    """What a field must look like. All parts that are set must hold."""

    name: str
    """The field's name in the proto file."""
    required: bool = False
    """The field must be present and not empty."""
    pattern: str = ""
    """A regular expression that a string, or every string of a repeated field, matches in full; empty for any."""
    max_length: int = 0
    """Characters of a string, bytes of bytes, elements of a repeated field; 0 for no limit."""


class OneofRule(NamedTuple):
    """A oneof of which exactly one member must be present."""

    name: str


class MessageRules(NamedTuple):
    """The rules of one message type."""

    fields: tuple[FieldRule, ...] = ()
    oneofs: tuple[OneofRule, ...] = ()
    nested: tuple[str, ...] = ()
    """The fields, by name, that hold messages with rules of their own."""
