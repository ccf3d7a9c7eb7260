"""The methods of the onboarding service for organizations."""

import grpc

from number_verification.domain.onboarding import organizations, reach
from number_verification.domain.onboarding.organization import Organization
from number_verification.domain.onboarding.rules import Rules
from number_verification.domain.onboarding.steps import CLOSE_ORGANIZATION, REINSTATE_ORGANIZATION, SUSPEND_ORGANIZATION
from number_verification.gen.onboarding.v1 import organizations_pb2 as pb
from number_verification.services import update_masks
from number_verification.services.entities import organization_draft, organization_message
from number_verification.services.enumerations import ORGANIZATION_STATES
from number_verification.services.onboarding.calls import OnboardingCalls


class OrganizationsMethods:
    """Serves each method by its use case."""

    _calls: OnboardingCalls
    _rules: Rules

    def CreateOrganization(
        self, request: pb.CreateOrganizationRequest, _: grpc.ServicerContext
    ) -> pb.CreateOrganizationResponse:
        """Onboard an organization."""
        draft = organization_draft(request.organization)
        return self._calls.write(
            request,
            pb.CreateOrganizationResponse,
            lambda writing, principal, now: organizations.create(
                writing, principal, self._rules, draft, request.organization_id, now
            ),
            organization_message,
        )

    def GetOrganization(
        self, request: pb.GetOrganizationRequest, _: grpc.ServicerContext
    ) -> pb.GetOrganizationResponse:
        """Return an organization."""
        organization = self._calls.read(lambda reading, principal: reach.organization(reading, principal, request.name))
        return pb.GetOrganizationResponse(organization=organization_message(organization))

    def ListOrganizations(
        self, request: pb.ListOrganizationsRequest, _: grpc.ServicerContext
    ) -> pb.ListOrganizationsResponse:
        """List organizations, page by page."""
        state = ORGANIZATION_STATES.read(request.state, "state")
        page, more = self._calls.page(request, Organization, state, organization_message)
        return pb.ListOrganizationsResponse(organizations=page, next_page_token=more)

    def UpdateOrganization(
        self, request: pb.UpdateOrganizationRequest, _: grpc.ServicerContext
    ) -> pb.UpdateOrganizationResponse:
        """Change an organization."""
        organization, draft = request.organization, organization_draft(request.organization)
        paths = update_masks.paths(organization, request.update_mask, organizations.CHANGEABLE)
        return self._calls.write(
            request,
            pb.UpdateOrganizationResponse,
            lambda writing, principal, now: organizations.update(
                writing, principal, organization.name, draft, paths, organization.etag, now
            ),
            organization_message,
        )

    def SuspendOrganization(
        self, request: pb.SuspendOrganizationRequest, _: grpc.ServicerContext
    ) -> pb.SuspendOrganizationResponse:
        """Stop serving an organization for now."""
        return self._calls.step(
            request, pb.SuspendOrganizationResponse, organizations.go, SUSPEND_ORGANIZATION, organization_message
        )

    def ReinstateOrganization(
        self, request: pb.ReinstateOrganizationRequest, _: grpc.ServicerContext
    ) -> pb.ReinstateOrganizationResponse:
        """Serve an organization again."""
        return self._calls.step(
            request, pb.ReinstateOrganizationResponse, organizations.go, REINSTATE_ORGANIZATION, organization_message
        )

    def CloseOrganization(
        self, request: pb.CloseOrganizationRequest, _: grpc.ServicerContext
    ) -> pb.CloseOrganizationResponse:
        """Close an organization for good."""
        return self._calls.step(
            request, pb.CloseOrganizationResponse, organizations.go, CLOSE_ORGANIZATION, organization_message
        )
