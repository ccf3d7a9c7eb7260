"""What a request of an internal service is about, for the audit record."""

import pytest
from google.protobuf.message import Message

from number_verification.gen.audit.v1 import audit_pb2 as audit
from number_verification.gen.consent.v1 import consent_pb2 as consent
from number_verification.gen.onboarding.v1 import applications_pb2 as applications
from number_verification.gen.onboarding.v1 import organizations_pb2 as organizations
from number_verification.gen.subscribersession.v1 import subscriber_session_pb2 as sessions
from number_verification.interceptors.validation import subject

BANK = "organizations/first-bank"
APP = f"{BANK}/applications/banking-app"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (organizations.SuspendOrganizationRequest(name=BANK), (BANK, "")),
        (organizations.UpdateOrganizationRequest(organization=organizations.Organization(name=BANK)), (BANK, "")),
        (organizations.CreateOrganizationRequest(organization_id="first-bank"), ("", "")),
        (applications.CreateApplicationRequest(parent=BANK, application_id="banking-app"), (BANK, "")),
        (applications.ListApplicationsRequest(parent="organizations/-"), ("organizations/-", "")),
        (consent.GiveConsentRequest(application=APP, phone_number="+990555000001"), (APP, "+990555000001")),
        (audit.ListAuditRecordsRequest(phone_number="+990555000001"), ("", "+990555000001")),
        (sessions.GetSessionRequest(), ("", "")),
    ],
)
def test_subject(request_: Message, expected: tuple[str, str]) -> None:
    assert subject(request_) == expected
