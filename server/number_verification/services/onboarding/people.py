"""The methods of the onboarding service for people."""

import grpc

from number_verification.domain.onboarding import people
from number_verification.domain.onboarding.person import Person
from number_verification.domain.onboarding.rules import Rules
from number_verification.domain.onboarding.steps import REINSTATE_PERSON, REMOVE_PERSON, SUSPEND_PERSON
from number_verification.gen.onboarding.v1 import people_pb2 as pb
from number_verification.services import update_masks
from number_verification.services.entities import person_draft, person_message
from number_verification.services.enumerations import PERSON_STATES
from number_verification.services.onboarding.calls import OnboardingCalls


class PeopleMethods:
    """Serves each method by its use case."""

    _calls: OnboardingCalls
    _rules: Rules

    def CreatePerson(self, request: pb.CreatePersonRequest, _: grpc.ServicerContext) -> pb.CreatePersonResponse:
        """Onboard a person."""
        draft = person_draft(request.person)
        return self._calls.write(
            request,
            pb.CreatePersonResponse,
            lambda writing, principal, now: people.create(
                writing, principal, self._rules, request.parent, draft, request.person_id, now
            ),
            person_message,
        )

    def GetPerson(self, request: pb.GetPersonRequest, _: grpc.ServicerContext) -> pb.GetPersonResponse:
        """Return a person."""
        person = self._calls.owned(Person, request.name)
        return pb.GetPersonResponse(person=person_message(person))

    def ListPeople(self, request: pb.ListPeopleRequest, _: grpc.ServicerContext) -> pb.ListPeopleResponse:
        """List people, page by page."""
        state = PERSON_STATES.read(request.state, "state")
        page, more = self._calls.page(request, Person, state, person_message, request.parent)
        return pb.ListPeopleResponse(people=page, next_page_token=more)

    def UpdatePerson(self, request: pb.UpdatePersonRequest, _: grpc.ServicerContext) -> pb.UpdatePersonResponse:
        """Change a person."""
        person, draft = request.person, person_draft(request.person)
        paths = update_masks.paths(person, request.update_mask, people.CHANGEABLE)
        return self._calls.write(
            request,
            pb.UpdatePersonResponse,
            lambda writing, principal, now: people.update(
                writing, principal, self._rules, person.name, draft, paths, person.etag, now
            ),
            person_message,
        )

    def SuspendPerson(self, request: pb.SuspendPersonRequest, _: grpc.ServicerContext) -> pb.SuspendPersonResponse:
        """Keep a person from acting for now."""
        return self._calls.step(request, pb.SuspendPersonResponse, people.go, SUSPEND_PERSON, person_message)

    def ReinstatePerson(
        self, request: pb.ReinstatePersonRequest, _: grpc.ServicerContext
    ) -> pb.ReinstatePersonResponse:
        """Let a person act again."""
        return self._calls.step(request, pb.ReinstatePersonResponse, people.go, REINSTATE_PERSON, person_message)

    def RemovePerson(self, request: pb.RemovePersonRequest, _: grpc.ServicerContext) -> pb.RemovePersonResponse:
        """Remove a person for good."""
        return self._calls.step(request, pb.RemovePersonResponse, people.go, REMOVE_PERSON, person_message)
