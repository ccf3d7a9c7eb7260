"""Subscriptions: that a customer may use a product, on one of its plans."""

from dataclasses import dataclass
from typing import ClassVar

from number_verification.domain.onboarding.entity import Entity, State


class SubscriptionState(State):
    """The life of a subscription."""

    REQUESTED = "requested"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription(Entity):
    """A customer's subscription to a product."""

    PATTERN: ClassVar[str] = "organizations/*/subscriptions/*"

    product: str
    """The name of the product."""
    plan: str
    """The id of one of the product's plans."""
    state: SubscriptionState = SubscriptionState.REQUESTED
