"""The resources of the onboarding API, as one table: what is particular to each kind, and nothing else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor

from number_verification.administration.failure import Failure
from number_verification.gen.onboarding.v1 import onboarding_service_pb2
from number_verification.gen.onboarding.v1.applications_pb2 import Application
from number_verification.gen.onboarding.v1.organizations_pb2 import Organization
from number_verification.gen.onboarding.v1.people_pb2 import Person
from number_verification.gen.onboarding.v1.products_pb2 import Product
from number_verification.gen.onboarding.v1.subscriptions_pb2 import Subscription

SERVICE = onboarding_service_pb2.DESCRIPTOR.services_by_name["OnboardingService"]
ANY = "-"
"""As the last part of a parent: all of them (AIP-159). As that of the name of what is made: the service picks one."""

_ID = re.compile(r"-|[a-z][a-z0-9-]{1,61}[a-z0-9]")
_ONLY_READ = frozenset({"name", "state", "etag", "create_time", "update_time", "client_id"})


class Verb(NamedTuple):
    """A custom method that leads from one state to another."""

    sources: frozenset[str]
    target: str
    upward: bool = False
    """Whether it begins service. What ends service is done last, since nothing can be added to what is closed."""


VERBS: Mapping[str, Verb] = {
    "activate": Verb(frozenset({"REQUESTED", "REGISTERED"}), "ACTIVE", upward=True),
    "reinstate": Verb(frozenset({"SUSPENDED"}), "ACTIVE", upward=True),
    "suspend": Verb(frozenset({"ACTIVE"}), "SUSPENDED"),
    "close": Verb(frozenset({"ACTIVE", "SUSPENDED"}), "CLOSED"),
    "remove": Verb(frozenset({"ACTIVE", "SUSPENDED"}), "REMOVED"),
    "withdraw": Verb(frozenset({"OFFERED"}), "WITHDRAWN"),
    "end": Verb(frozenset({"REQUESTED", "ACTIVE", "SUSPENDED"}), "ENDED"),
    "retire": Verb(frozenset({"REGISTERED", "ACTIVE", "SUSPENDED"}), "RETIRED"),
}


@dataclass(frozen=True)
class Kind:
    """One kind of resource. Everything that the contract says already is read from its descriptors."""

    plural: str
    """As in names: `organizations`."""
    message: Descriptor
    columns: tuple[str, ...]
    """The fields that a list shows."""
    collection: "Kind | None" = None
    """The kind that it belongs to."""
    only_read: frozenset[str] = _ONLY_READ
    only_created: frozenset[str] = frozenset()
    """The fields that cannot be changed later."""
    changes_to_the_end: bool = False
    """Whether it can be changed in its last state too."""

    @property
    def singular(self) -> str:
        """As requests call it."""
        return self.message.name.lower()

    @property
    def settable(self) -> tuple[FieldDescriptor, ...]:
        """The fields that a new one can be given."""
        return tuple(each for each in self.message.fields if each.name not in self.only_read)

    @property
    def changeable(self) -> tuple[FieldDescriptor, ...]:
        """The fields that can be changed."""
        return tuple(each for each in self.settable if each.name not in self.only_created)

    @property
    def states(self) -> EnumDescriptor:
        """Its states. The first is the one in which it is made."""
        states = self.message.fields_by_name["state"].enum_type
        if states is None:
            raise TypeError("every kind has states")
        return states

    @property
    def verbs(self) -> Mapping[str, Verb]:
        """The verbs that it knows."""
        return {name: verb for name, verb in VERBS.items() if self._has(name)}

    def state(self, number: int) -> str:
        """A state without the prefix of its kind."""
        return self.states.values_by_number[number].name.removeprefix(_prefix(self.states))

    def method(self, verb: str) -> MethodDescriptor:
        """`get`, `create`, `update` or a custom method."""
        return SERVICE.methods_by_name[verb.title() + self.message.name]

    @property
    def list_method(self) -> MethodDescriptor:
        """Its list method."""
        return SERVICE.methods_by_name["List" + self.plural.title()]

    def _has(self, verb: str) -> bool:
        return verb.title() + self.message.name in SERVICE.methods_by_name

    def full_name(self, text: str) -> str:
        """The name that a text stands for: the name itself, or only its identifiers, as in `first-bank/banking-app`.

        Raises:
            Failure: it cannot be one.
        """
        parts = text.split("/")
        plurals = [self.plural] if self.collection is None else [self.collection.plural, self.plural]
        if parts[::2] == plurals and len(parts) == 2 * len(plurals):
            parts = parts[1::2]
        if len(parts) != len(plurals) or not all(map(_ID.fullmatch, parts)):
            short = "/".join(["organization", "…"][-len(plurals) :])
            form = "IDs are 3 to 63 of a-z, 0-9 and -"
            raise Failure(f"no name of {self.plural}: it must look like {short} or {self.pattern}; {form}")
        return "/".join(f"{plural}/{part}" for plural, part in zip(plurals, parts, strict=True))

    @property
    def pattern(self) -> str:
        """The form of its names (AIP-122)."""
        return f"{self.plural}/*" if self.collection is None else f"{self.collection.pattern}/{self.plural}/*"


def _prefix(enum: EnumDescriptor) -> str:
    return enum.values_by_number[0].name.removesuffix("UNSPECIFIED")


ORGANIZATIONS = Kind(
    "organizations",
    Organization.DESCRIPTOR,
    ("name", "kind", "display_name", "channel_partner", "state"),
    only_created=frozenset({"kind", "channel_partner"}),
)
PEOPLE = Kind("people", Person.DESCRIPTOR, ("name", "display_name", "roles", "client_id", "state"), ORGANIZATIONS)
PRODUCTS = Kind(
    "products",
    Product.DESCRIPTOR,
    ("name", "display_name", "plans", "purposes", "state"),
    only_read=_ONLY_READ | {"scopes"},
    # A withdrawn product is still subscribed to.
    changes_to_the_end=True,
)
SUBSCRIPTIONS = Kind(
    "subscriptions",
    Subscription.DESCRIPTOR,
    ("name", "product", "plan", "state"),
    ORGANIZATIONS,
    only_created=frozenset({"product"}),
)
APPLICATIONS = Kind(
    "applications", Application.DESCRIPTOR, ("name", "display_name", "client_id", "purposes", "state"), ORGANIZATIONS
)
KINDS = {kind.plural: kind for kind in (ORGANIZATIONS, PEOPLE, PRODUCTS, SUBSCRIPTIONS, APPLICATIONS)}
"""All kinds. What belongs to another one stands after it."""


REFERENCES = {
    "application": APPLICATIONS,
    "channel_partner": ORGANIZATIONS,
    "parent": ORGANIZATIONS,
    "product": PRODUCTS,
}
"""What fields of this name refer to, in every message."""


def reference(field: FieldDescriptor, value: object) -> object:
    """The full name, for the value of a field that refers to a resource; anything else stays as it is.

    Raises:
        Failure: it cannot be such a name.
    """
    kind = REFERENCES.get(field.name)
    return kind.full_name(value) if kind is not None and isinstance(value, str) and value else value
