"""An internal API of resources: standard methods, masks, pages and verbs, as the Google AIPs have them."""

import json
from typing import Any

import pytest

from golden.contracts import REGISTRY
from number_verification.domain.refusal import Kind, Refusal
from number_verification.interceptors.field_rules import FieldRules
from number_verification.rest.transcoding import Match, Transcoder

TRANSCODER = Transcoder(REGISTRY.routes, REGISTRY.pool)
RULES = FieldRules(REGISTRY.rules)
ROOT = "/registry/v1/organizations"
MASKED_UPDATE = b'{"displayName": "Acme", "redirectUris": ["https://a.example/cb"], "etag": "e1"}'


def decoded(method: str, path: str, query: str = "", body: bytes = b"") -> tuple[str, Any]:
    """The name of the method that answers, and its request."""
    match = TRANSCODER.match(method, path)
    assert isinstance(match, Match)
    return match.route.rpc.rpartition("/")[2], TRANSCODER.decode(match, query, body)


def test_create() -> None:
    name, request = decoded("POST", ROOT, "organizationId=acme&requestId=r-1", b'{"displayName": "Acme"}')
    assert name == "CreateOrganization"
    assert request == REGISTRY.message(
        "CreateOrganizationRequest",
        organization={"display_name": "Acme"},
        organization_id="acme",
        request_id="r-1",
    )


def test_get() -> None:
    name, request = decoded("GET", f"{ROOT}/acme")
    assert (name, request.name) == ("GetOrganization", "organizations/acme")


def test_names_of_two_parts() -> None:
    name, request = decoded("GET", f"{ROOT}/acme/people/p1")
    assert (name, request.name) == ("GetPerson", "organizations/acme/people/p1")
    name, request = decoded("GET", f"{ROOT}/acme/people", "pageSize=2&pageToken=t%3D")
    assert (name, request.parent, request.page_size, request.page_token) == (
        "ListPeople",
        "organizations/acme",
        2,
        "t=",
    )


def test_update_with_a_mask() -> None:
    name, request = decoded("PATCH", f"{ROOT}/acme", "updateMask=displayName,redirectUris", MASKED_UPDATE)
    assert name == "UpdateOrganization"
    assert list(request.update_mask.paths) == ["display_name", "redirect_uris"]
    assert request.organization == REGISTRY.message(
        "Organization",
        name="organizations/acme",
        display_name="Acme",
        redirect_uris=["https://a.example/cb"],
        etag="e1",
    )


def test_update_without_a_mask() -> None:
    _, request = decoded("PATCH", f"{ROOT}/acme", "", MASKED_UPDATE)
    assert not request.HasField("update_mask")
    _, request = decoded("PATCH", f"{ROOT}/acme", "updateMask=", MASKED_UPDATE)
    assert request.HasField("update_mask")
    assert not request.update_mask.paths


def test_the_path_names_the_resource_whatever_the_body_says() -> None:
    _, request = decoded("PATCH", f"{ROOT}/acme", "", b'{"name": "organizations/other"}')
    assert request.organization.name == "organizations/acme"


def test_a_verb() -> None:
    name, request = decoded("POST", f"{ROOT}/acme:suspend", "", b'{"etag": "e1"}')
    assert (name, request.name, request.etag) == ("SuspendOrganization", "organizations/acme", "e1")
    name, request = decoded("POST", f"{ROOT}/acme:suspend")
    assert (name, request.name, request.etag) == ("SuspendOrganization", "organizations/acme", "")


def test_delete_takes_an_etag_by_query() -> None:
    name, request = decoded("DELETE", f"{ROOT}/acme/people/p1", "etag=e1")
    assert (name, request.name, request.etag) == ("DeletePerson", "organizations/acme/people/p1", "e1")


def test_list_with_filters() -> None:
    query = (
        "pageSize=10&pageToken=abc&kind=KIND_CUSTOMER&redirectUris=https%3A%2F%2Fa.example&redirectUris=b"
        "&kinds=KIND_CUSTOMER&kinds=KIND_CHANNEL_PARTNER&suspended=false"
    )
    name, request = decoded("GET", ROOT, query)
    assert name == "ListOrganizations"
    assert request == REGISTRY.message(
        "ListOrganizationsRequest",
        page_size=10,
        page_token="abc",
        kind=1,
        redirect_uris=["https://a.example", "b"],
        kinds=[1, 2],
        suspended=False,
    )
    assert request.HasField("suspended")


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("PATCH", f"{ROOT}/acme", "updateMask=display_name", b"{}"),
        ("PATCH", f"{ROOT}/acme", "updateMask=displayName,", b"{}"),
        ("PATCH", f"{ROOT}/acme", "updateMask=displayName&updateMask=etag", b"{}"),
        ("PATCH", f"{ROOT}/acme", "update_mask=displayName", b"{}"),
        ("PATCH", f"{ROOT}/acme", "organization.displayName=x", b"{}"),
        ("PATCH", f"{ROOT}/acme", "updateMask=displayName", b""),
        ("GET", ROOT, "kind=1", b""),
        ("GET", ROOT, "kind=KIND_OTHER", b""),
        ("GET", ROOT, "kind=KIND_CUSTOMER&kind=KIND_CUSTOMER", b""),
        ("GET", ROOT, "pageSize=ten", b""),
        ("POST", f"{ROOT}/acme:suspend", "etag=e1", b""),
    ],
)
def test_refused(method: str, path: str, query: str, body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        decoded(method, path, query, body)
    assert caught.value.kind is Kind.INVALID_ARGUMENT


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE", "PUT"])
def test_a_verb_is_never_a_resource(method: str) -> None:
    assert TRANSCODER.match(method, f"{ROOT}/acme:suspend") == ("POST",)


def test_a_colon_in_a_name_is_refused_by_the_contract_not_taken_for_a_verb() -> None:
    name, request = decoded("GET", f"{ROOT}/acme:resume")
    assert (name, request.name) == ("GetOrganization", "organizations/acme:resume")
    assert RULES.violations(request)
    name, request = decoded("POST", f"{ROOT}/a:suspend:suspend")
    assert (name, request.name) == ("SuspendOrganization", "organizations/a:suspend")
    assert RULES.violations(request)
    assert TRANSCODER.match("POST", f"{ROOT}/acme:resume") == ("GET", "PATCH")


def test_rules_hold_within_a_body_that_is_a_field() -> None:
    _, request = decoded("PATCH", f"{ROOT}/ACME", "", b"{}")
    assert [violation.field for violation in RULES.violations(request)] == ["organization.name"]


def test_the_resource_is_answered() -> None:
    response = REGISTRY.message("UpdateOrganizationResponse", organization={"name": "organizations/a", "etag": "e2"})
    assert json.loads(TRANSCODER.encode(response, "organization")) == {
        "name": "organizations/a",
        "displayName": "",
        "kind": "KIND_UNSPECIFIED",
        "redirectUris": [],
        "etag": "e2",
        "suspended": False,
    }


def test_a_page_is_answered() -> None:
    response = REGISTRY.message("ListPeopleResponse", people=[{"name": "organizations/a/people/p"}])
    assert json.loads(TRANSCODER.encode(response)) == {
        "people": [{"name": "organizations/a/people/p"}],
        "nextPageToken": "",
    }
