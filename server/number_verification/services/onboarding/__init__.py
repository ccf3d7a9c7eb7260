"""`onboarding.v1.OnboardingService`."""

from number_verification.domain.clock import Clock
from number_verification.domain.onboarding.rules import Rules
from number_verification.domain.onboarding.usage import UsageReading
from number_verification.registry.store import Registry
from number_verification.services.onboarding.applications import ApplicationsMethods
from number_verification.services.onboarding.calls import OnboardingCalls
from number_verification.services.onboarding.organizations import OrganizationsMethods
from number_verification.services.onboarding.people import PeopleMethods
from number_verification.services.onboarding.products import ProductsMethods
from number_verification.services.onboarding.subscriptions import SubscriptionsMethods
from number_verification.services.onboarding.usage import UsageMethods
from number_verification.services.page_tokens import PageTokens


class OnboardingServicer(
    OrganizationsMethods, PeopleMethods, ProductsMethods, SubscriptionsMethods, ApplicationsMethods, UsageMethods
):
    """Serves the registry to those who onboard.

    Args:
        registry: what the use cases read and write.
        rules: what they hold their input to.
        usage: where usage is looked up.
        page_tokens: for listings.
        clock: the current instant.
    """

    def __init__(
        self, registry: Registry, rules: Rules, usage: UsageReading, page_tokens: PageTokens, clock: Clock
    ) -> None:
        self._calls = OnboardingCalls(registry, page_tokens, clock)
        self._rules = rules
        self._usage = usage
