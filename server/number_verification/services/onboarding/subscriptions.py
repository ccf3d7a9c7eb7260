"""The methods of the onboarding service for subscriptions."""

import grpc

from number_verification.domain.onboarding import subscriptions
from number_verification.domain.onboarding.rules import Rules
from number_verification.domain.onboarding.steps import (
    ACTIVATE_SUBSCRIPTION,
    END_SUBSCRIPTION,
    REINSTATE_SUBSCRIPTION,
    SUSPEND_SUBSCRIPTION,
)
from number_verification.domain.onboarding.subscription import Subscription
from number_verification.gen.onboarding.v1 import subscriptions_pb2 as pb
from number_verification.services import update_masks
from number_verification.services.entities import subscription_draft, subscription_message
from number_verification.services.enumerations import SUBSCRIPTION_STATES
from number_verification.services.onboarding.calls import OnboardingCalls


class SubscriptionsMethods:
    """Serves each method by its use case."""

    _calls: OnboardingCalls
    _rules: Rules

    def CreateSubscription(
        self, request: pb.CreateSubscriptionRequest, _: grpc.ServicerContext
    ) -> pb.CreateSubscriptionResponse:
        """Request a subscription."""
        draft = subscription_draft(request.subscription)
        return self._calls.write(
            request,
            pb.CreateSubscriptionResponse,
            lambda writing, principal, now: subscriptions.create(
                writing, principal, self._rules, request.parent, draft, request.subscription_id, now
            ),
            subscription_message,
        )

    def GetSubscription(
        self, request: pb.GetSubscriptionRequest, _: grpc.ServicerContext
    ) -> pb.GetSubscriptionResponse:
        """Return a subscription."""
        subscription = self._calls.owned(Subscription, request.name)
        return pb.GetSubscriptionResponse(subscription=subscription_message(subscription))

    def ListSubscriptions(
        self, request: pb.ListSubscriptionsRequest, _: grpc.ServicerContext
    ) -> pb.ListSubscriptionsResponse:
        """List subscriptions, page by page."""
        state = SUBSCRIPTION_STATES.read(request.state, "state")
        page, more = self._calls.page(request, Subscription, state, subscription_message, request.parent)
        return pb.ListSubscriptionsResponse(subscriptions=page, next_page_token=more)

    def UpdateSubscription(
        self, request: pb.UpdateSubscriptionRequest, _: grpc.ServicerContext
    ) -> pb.UpdateSubscriptionResponse:
        """Change a subscription."""
        subscription, draft = request.subscription, subscription_draft(request.subscription)
        paths = update_masks.paths(subscription, request.update_mask, subscriptions.CHANGEABLE)
        return self._calls.write(
            request,
            pb.UpdateSubscriptionResponse,
            lambda writing, principal, now: subscriptions.update(
                writing, principal, subscription.name, draft, paths, subscription.etag, now
            ),
            subscription_message,
        )

    def ActivateSubscription(
        self, request: pb.ActivateSubscriptionRequest, _: grpc.ServicerContext
    ) -> pb.ActivateSubscriptionResponse:
        """Let a subscription begin."""
        return self._calls.step(
            request, pb.ActivateSubscriptionResponse, subscriptions.go, ACTIVATE_SUBSCRIPTION, subscription_message
        )

    def SuspendSubscription(
        self, request: pb.SuspendSubscriptionRequest, _: grpc.ServicerContext
    ) -> pb.SuspendSubscriptionResponse:
        """Stop serving a subscription for now."""
        return self._calls.step(
            request, pb.SuspendSubscriptionResponse, subscriptions.go, SUSPEND_SUBSCRIPTION, subscription_message
        )

    def ReinstateSubscription(
        self, request: pb.ReinstateSubscriptionRequest, _: grpc.ServicerContext
    ) -> pb.ReinstateSubscriptionResponse:
        """Serve a subscription again."""
        return self._calls.step(
            request, pb.ReinstateSubscriptionResponse, subscriptions.go, REINSTATE_SUBSCRIPTION, subscription_message
        )

    def EndSubscription(
        self, request: pb.EndSubscriptionRequest, _: grpc.ServicerContext
    ) -> pb.EndSubscriptionResponse:
        """End a subscription for good."""
        return self._calls.step(
            request, pb.EndSubscriptionResponse, subscriptions.go, END_SUBSCRIPTION, subscription_message
        )
