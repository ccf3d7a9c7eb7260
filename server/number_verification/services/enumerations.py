"""The enumerations of the contract between their numbers and the domain."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from number_verification.domain.application import Flow, LegalBasis
from number_verification.domain.onboarding.application import ApplicationState
from number_verification.domain.onboarding.organization import OrganizationKind, OrganizationState
from number_verification.domain.onboarding.person import PersonRole, PersonState
from number_verification.domain.onboarding.product import ProductState
from number_verification.domain.onboarding.refusals import invalid
from number_verification.domain.onboarding.subscription import SubscriptionState
from number_verification.gen.onboarding.v1 import (
    applications_pb2,
    organizations_pb2,
    people_pb2,
    products_pb2,
    subscriptions_pb2,
)

N = TypeVar("N", bound=int)
V = TypeVar("V")


class Enumeration(Generic[N, V]):
    """One enumeration.

    Args:
        values: what each number stands for, without that for "not said". Numbers of a newer contract may arrive.
    """

    def __init__(self, values: Mapping[N, V]) -> None:
        self._values: Mapping[int, V] = {int(number): value for number, value in values.items()}
        self._numbers = {value: number for number, value in values.items()}

    def find(self, number: int) -> V | None:
        """What a number stands for; None where nothing is said, or something that is not known."""
        return self._values.get(number)

    def read(self, number: int, field: str) -> V | None:
        """What a number stands for; None where nothing is said.

        Args:
            number: as it was sent.
            field: the field's path in JSON.

        Raises:
            Refusal: INVALID_ARGUMENT: it is not known.
        """
        if number and number not in self._values:
            raise invalid(field, "is not known")
        return self._values.get(number)

    def number(self, value: V) -> N:
        """The number that stands for a value."""
        return self._numbers[value]


KINDS = Enumeration(
    {
        organizations_pb2.ORGANIZATION_KIND_CUSTOMER: OrganizationKind.CUSTOMER,
        organizations_pb2.ORGANIZATION_KIND_CHANNEL_PARTNER: OrganizationKind.CHANNEL_PARTNER,
    }
)
ORGANIZATION_STATES = Enumeration(
    {
        organizations_pb2.ORGANIZATION_STATE_ACTIVE: OrganizationState.ACTIVE,
        organizations_pb2.ORGANIZATION_STATE_SUSPENDED: OrganizationState.SUSPENDED,
        organizations_pb2.ORGANIZATION_STATE_CLOSED: OrganizationState.CLOSED,
    }
)
ROLES = Enumeration(
    {
        people_pb2.ROLE_BUSINESS_MANAGER: PersonRole.BUSINESS_MANAGER,
        people_pb2.ROLE_ADMINISTRATOR: PersonRole.ADMINISTRATOR,
        people_pb2.ROLE_USER: PersonRole.USER,
    }
)
PERSON_STATES = Enumeration(
    {
        people_pb2.PERSON_STATE_ACTIVE: PersonState.ACTIVE,
        people_pb2.PERSON_STATE_SUSPENDED: PersonState.SUSPENDED,
        people_pb2.PERSON_STATE_REMOVED: PersonState.REMOVED,
    }
)
PRODUCT_STATES = Enumeration(
    {
        products_pb2.PRODUCT_STATE_OFFERED: ProductState.OFFERED,
        products_pb2.PRODUCT_STATE_WITHDRAWN: ProductState.WITHDRAWN,
    }
)
SUBSCRIPTION_STATES = Enumeration(
    {
        subscriptions_pb2.SUBSCRIPTION_STATE_REQUESTED: SubscriptionState.REQUESTED,
        subscriptions_pb2.SUBSCRIPTION_STATE_ACTIVE: SubscriptionState.ACTIVE,
        subscriptions_pb2.SUBSCRIPTION_STATE_SUSPENDED: SubscriptionState.SUSPENDED,
        subscriptions_pb2.SUBSCRIPTION_STATE_ENDED: SubscriptionState.ENDED,
    }
)
APPLICATION_STATES = Enumeration(
    {
        applications_pb2.APPLICATION_STATE_REGISTERED: ApplicationState.REGISTERED,
        applications_pb2.APPLICATION_STATE_ACTIVE: ApplicationState.ACTIVE,
        applications_pb2.APPLICATION_STATE_SUSPENDED: ApplicationState.SUSPENDED,
        applications_pb2.APPLICATION_STATE_RETIRED: ApplicationState.RETIRED,
    }
)
FLOWS = Enumeration(
    {
        applications_pb2.FLOW_AUTHORIZATION_CODE: Flow.AUTHORIZATION_CODE,
        applications_pb2.FLOW_CIBA: Flow.CIBA,
        applications_pb2.FLOW_JWT_BEARER: Flow.JWT_BEARER,
    }
)
LEGAL_BASES = Enumeration(
    {
        applications_pb2.LEGAL_BASIS_CONSENT: LegalBasis.CONSENT,
        applications_pb2.LEGAL_BASIS_CONTRACT: LegalBasis.CONTRACT,
        applications_pb2.LEGAL_BASIS_LEGAL_OBLIGATION: LegalBasis.LEGAL_OBLIGATION,
        applications_pb2.LEGAL_BASIS_VITAL_INTEREST: LegalBasis.VITAL_INTEREST,
        applications_pb2.LEGAL_BASIS_PUBLIC_INTEREST: LegalBasis.PUBLIC_INTEREST,
        applications_pb2.LEGAL_BASIS_LEGITIMATE_INTEREST: LegalBasis.LEGITIMATE_INTEREST,
    }
)
