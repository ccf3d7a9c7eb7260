"""The methods of the onboarding service for applications."""

import grpc

from number_verification.domain.onboarding import applications
from number_verification.domain.onboarding.application import RegisteredApplication
from number_verification.domain.onboarding.rules import Rules
from number_verification.domain.onboarding.steps import (
    ACTIVATE_APPLICATION,
    REINSTATE_APPLICATION,
    RETIRE_APPLICATION,
    SUSPEND_APPLICATION,
)
from number_verification.gen.onboarding.v1 import applications_pb2 as pb
from number_verification.services import update_masks
from number_verification.services.entities import application_draft, application_message
from number_verification.services.enumerations import APPLICATION_STATES
from number_verification.services.onboarding.calls import OnboardingCalls


class ApplicationsMethods:
    """Serves each method by its use case."""

    _calls: OnboardingCalls
    _rules: Rules

    def CreateApplication(
        self, request: pb.CreateApplicationRequest, _: grpc.ServicerContext
    ) -> pb.CreateApplicationResponse:
        """Register an application."""
        draft = application_draft(request.application)
        return self._calls.write(
            request,
            pb.CreateApplicationResponse,
            lambda writing, principal, now: applications.create(
                writing, principal, self._rules, request.parent, draft, request.application_id, now
            ),
            application_message,
        )

    def GetApplication(self, request: pb.GetApplicationRequest, _: grpc.ServicerContext) -> pb.GetApplicationResponse:
        """Return an application."""
        application = self._calls.owned(RegisteredApplication, request.name)
        return pb.GetApplicationResponse(application=application_message(application))

    def ListApplications(
        self, request: pb.ListApplicationsRequest, _: grpc.ServicerContext
    ) -> pb.ListApplicationsResponse:
        """List applications, page by page."""
        state = APPLICATION_STATES.read(request.state, "state")
        page, more = self._calls.page(request, RegisteredApplication, state, application_message, request.parent)
        return pb.ListApplicationsResponse(applications=page, next_page_token=more)

    def UpdateApplication(
        self, request: pb.UpdateApplicationRequest, _: grpc.ServicerContext
    ) -> pb.UpdateApplicationResponse:
        """Change an application."""
        application, draft = request.application, application_draft(request.application)
        paths = update_masks.paths(application, request.update_mask, applications.CHANGEABLE)
        return self._calls.write(
            request,
            pb.UpdateApplicationResponse,
            lambda writing, principal, now: applications.update(
                writing, principal, self._rules, application.name, draft, paths, application.etag, now
            ),
            application_message,
        )

    def ActivateApplication(
        self, request: pb.ActivateApplicationRequest, _: grpc.ServicerContext
    ) -> pb.ActivateApplicationResponse:
        """Let an application begin."""
        return self._calls.step(
            request, pb.ActivateApplicationResponse, applications.go, ACTIVATE_APPLICATION, application_message
        )

    def SuspendApplication(
        self, request: pb.SuspendApplicationRequest, _: grpc.ServicerContext
    ) -> pb.SuspendApplicationResponse:
        """Stop serving an application for now."""
        return self._calls.step(
            request, pb.SuspendApplicationResponse, applications.go, SUSPEND_APPLICATION, application_message
        )

    def ReinstateApplication(
        self, request: pb.ReinstateApplicationRequest, _: grpc.ServicerContext
    ) -> pb.ReinstateApplicationResponse:
        """Serve an application again."""
        return self._calls.step(
            request, pb.ReinstateApplicationResponse, applications.go, REINSTATE_APPLICATION, application_message
        )

    def RetireApplication(
        self, request: pb.RetireApplicationRequest, _: grpc.ServicerContext
    ) -> pb.RetireApplicationResponse:
        """Retire an application for good."""
        return self._calls.step(
            request, pb.RetireApplicationResponse, applications.go, RETIRE_APPLICATION, application_message
        )
