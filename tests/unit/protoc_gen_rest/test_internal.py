"""The document of an internal API: whom it is for, and its resources by one path each."""

import json
from typing import Any

import pytest

from golden.compiled import compiled
from number_verification.rest.tables import Api
from protoc_gen_rest.plugin import respond


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return {file.name: file.content for file in respond(compiled("registry/v1/registry.proto")).file}


@pytest.fixture(scope="module")
def document(files: dict[str, str]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(files["openapi/registry-v1.json"])
    return content


def test_the_table_says_so(files: dict[str, str]) -> None:
    scope: dict[str, Any] = {}
    exec(compile(files["routes.py"], "routes.py", "exec"), scope)  # noqa: S102 - our own output
    assert scope["APIS"] == (Api("/registry/v1", "openapi/registry-v1", internal=True),)
    assert all(route.internal for route in scope["ROUTES"])


def test_callers_come_with_client_credentials(document: dict[str, Any]) -> None:
    (name,) = document["components"]["securitySchemes"]
    scheme = document["components"]["securitySchemes"][name]
    assert (scheme["type"], scheme["flows"].keys()) == ("oauth2", {"clientCredentials"})
    assert scheme["flows"]["clientCredentials"] == {"tokenUrl": "/oauth2/token", "scopes": {}}
    assert "issuer" in scheme["description"]
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert all(operation["security"] == [{name: []}] for operation in operations)
    assert document["paths"]["/organizations/{organizationsId}"]["get"]["x-roles"] == ["reader", "staff"]


def test_a_role_can_be_missing_but_no_quota_be_used_up(document: dict[str, Any]) -> None:
    codes = {
        code
        for response in document["components"]["responses"].values()
        for code in response["content"]["application/json"]["examples"]
    }
    assert "QUOTA_EXCEEDED" not in codes
    assert {"PERMISSION_DENIED", "NOT_FOUND", "ALREADY_EXISTS", "ABORTED", "FAILED_PRECONDITION"} <= codes
    assert all("403" in o["responses"] for methods in document["paths"].values() for o in methods.values())


def test_one_path_for_one_resource(document: dict[str, Any]) -> None:
    assert {path: set(methods) for path, methods in document["paths"].items()} == {
        "/organizations": {"get", "post"},
        "/organizations/{organizationsId}": {"get", "patch"},
        "/organizations/{organizationsId}:suspend": {"post"},
        "/organizations/{organizationsId}/people": {"get"},
        "/organizations/{organizationsId}/people/{peopleId}": {"get", "delete"},
    }


def parameters(operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in operation["parameters"] if "name" in each}


def test_update(document: dict[str, Any]) -> None:
    update = document["paths"]["/organizations/{organizationsId}"]["patch"]
    found = parameters(update)
    assert found.keys() == {"organizationsId", "updateMask"}
    assert found["organizationsId"]["in"] == "path"
    assert found["updateMask"]["schema"] == {"type": "string"}
    resource = {"$ref": "#/components/schemas/Organization"}
    assert update["requestBody"] == {"content": {"application/json": {"schema": resource}}, "required": True}
    assert update["responses"]["200"]["content"]["application/json"]["schema"] == resource


def test_a_verb_needs_no_body(document: dict[str, Any]) -> None:
    suspend = document["paths"]["/organizations/{organizationsId}:suspend"]["post"]
    assert suspend["requestBody"]["required"] is False
    schema = suspend["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"].keys() == {"etag"}


def test_queries(document: dict[str, Any]) -> None:
    found = parameters(document["paths"]["/organizations"]["get"])
    kind = {"$ref": "#/components/schemas/Kind"}
    assert {name: each["schema"] for name, each in found.items()} == {
        "pageSize": {"type": "integer", "format": "int32"},
        "pageToken": {"type": "string"},
        "kind": {"allOf": [kind]},
        "redirectUris": {"type": "array", "items": {"type": "string"}},
        "kinds": {"type": "array", "items": kind},
        "suspended": {"type": "boolean"},
    }
    assert {each["in"] for each in found.values()} == {"query"}
    assert not any(each["required"] for each in found.values())
