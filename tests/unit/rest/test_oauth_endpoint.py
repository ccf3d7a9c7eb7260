"""What frames the endpoints of the authorization server: nothing is given out that is not on record."""

import json

import pytest

from number_verification.authorization import note as notes
from number_verification.authorization.oauth import OAuthError, invalid_request, json_response
from number_verification.domain.audit import AuditKind, AuditRecord
from number_verification.domain.faults import StoreUnavailable
from number_verification.rest.application import oauth_endpoint
from number_verification.rest.http import HttpRequest, HttpResponse
from unit.authorization.http import form


class Trail:
    """Takes records, or cannot."""

    def __init__(self) -> None:
        self.fails = False
        self.outcomes: list[str] = []

    def record(self, record: AuditRecord, phone_number: str = "") -> None:
        if self.fails:
            raise StoreUnavailable("the disk is full")
        self.outcomes.append(record.outcome)


@pytest.fixture
def trail() -> Trail:
    return Trail()


def test_what_cannot_be_recorded_is_not_given_out_and_taken_back(trail: Trail) -> None:
    taken_back: list[str] = []

    def handler(_: HttpRequest) -> HttpResponse:
        notes.current().withheld = lambda: taken_back.append("token")
        return json_response({"access_token": "secret"})

    respond = oauth_endpoint("token", AuditKind.TOKEN, handler, trail)
    assert json.loads(respond(form({})).body) == {"access_token": "secret"}
    assert (trail.outcomes, taken_back) == (["OK"], [])
    trail.fails = True
    answer = respond(form({}))
    assert (answer.status, json.loads(answer.body)["error"]) == (503, "temporarily_unavailable")
    assert ("Retry-After", "1") in answer.headers
    assert taken_back == ["token"]


def test_a_refusal_that_cannot_be_recorded_stays_the_refusal(trail: Trail) -> None:
    def handler(_: HttpRequest) -> HttpResponse:
        raise invalid_request("no")

    respond = oauth_endpoint("token", AuditKind.TOKEN, handler, trail)
    for trail.fails in (False, True):
        answer = respond(form({}))
        assert (answer.status, json.loads(answer.body)["error"]) == (400, "invalid_request")
    assert trail.outcomes == ["invalid_request"]


def test_what_is_answered_by_redirect_is_withheld_by_redirect(trail: Trail) -> None:
    def told(error: OAuthError) -> HttpResponse:
        return HttpResponse(302, [("Location", f"https://bank.example/?error={error.error}")], b"")

    def handler(_: HttpRequest) -> HttpResponse:
        notes.current().redirect = told
        return HttpResponse(302, [("Location", "https://bank.example/?code=secret")], b"")

    trail.fails = True
    answer = oauth_endpoint("authorize", AuditKind.AUTHORIZATION, handler, trail)(form({}))
    assert dict(answer.headers)["Location"] == "https://bank.example/?error=temporarily_unavailable"
