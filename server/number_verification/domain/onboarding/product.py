"""The product catalogue: what customers can subscribe to, and on which plans."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from number_verification.domain.application import Limits
from number_verification.domain.onboarding.entity import Entity, State


class ProductState(State):
    """Whether a product can be subscribed to."""

    OFFERED = "offered"
    WITHDRAWN = "withdrawn"
    """No new subscriptions; those there are go on."""


class Plan(NamedTuple):
    """The terms on which a product is had."""

    id: str
    display_name: str
    limits: Limits
    purposes: frozenset[str] = frozenset()
    """Of the product's purposes those that the plan allows; empty for all."""
    scopes: frozenset[str] = frozenset()
    """Of the product's scopes those that the plan allows; empty for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product(Entity):
    """One product of the catalogue."""

    PATTERN: ClassVar[str] = "products/*"

    display_name: str
    operations: tuple[str, ...]
    """Methods of the contract that it gives access to, by their names on the wire: `/package.Service/Method`."""
    scopes: frozenset[str]
    """The OAuth scopes of the operations, as the contract has them."""
    purposes: frozenset[str]
    """The purposes (`dpv:…`) that it may be used for."""
    plans: tuple[Plan, ...]
    state: ProductState = ProductState.OFFERED

    def plan(self, plan_id: str) -> Plan | None:
        """The plan with this id; None if there is none."""
        return next((plan for plan in self.plans if plan.id == plan_id), None)
