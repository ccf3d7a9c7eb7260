"""The document that is served describes what is served."""

import json
from typing import Any

import pytest
import yaml
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import OpenAPIV30SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from functional.service import Service, request
from functional.transports import BASE, Rest, bearer, rest_outcome


@pytest.fixture
def document(rest: Rest) -> dict[str, Any]:
    answer = rest.request("GET", "/openapi.json")
    assert answer.status == 200
    loaded: dict[str, Any] = answer.json
    return loaded


def test_it_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.0.3"
    OpenAPIV30SpecValidator(document).validate()


def test_yaml_says_the_same(rest: Rest, document: dict[str, Any]) -> None:
    answer = rest.request("GET", "/openapi.yaml")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/yaml")
    assert yaml.safe_load(answer.body) == document


def test_every_operation_is_served_and_every_other_is_not(rest: Rest, document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method in ("get", "post", "put", "delete", "patch"):
            answer = rest.request(method.upper(), path)
            assert (answer.status == 401) == (method in operations or (method, path) in SERVED_BESIDE)
            assert answer.status in (401, 405)
    assert set(document["paths"]) == {"/verify", "/device-phone-number"}


SERVED_BESIDE = {("post", "/device-phone-number")}
"""The user story speaks of a POST; CAMARA's document does not."""


def test_the_operations_are_camara_s(document: dict[str, Any]) -> None:
    verify, share = document["paths"]["/verify"]["post"], document["paths"]["/device-phone-number"]["get"]
    assert (verify["operationId"], share["operationId"]) == ("phoneNumberVerify", "phoneNumberShare")
    for operation, scope in ((verify, "verify"), (share, "device-phone-number:read")):
        assert operation["security"] == [{"openId": [f"number-verification:{scope}"]}]
        assert {"200", "400", "401", "403"} <= set(operation["responses"])
    scheme = document["components"]["securitySchemes"]["openId"]
    assert scheme["type"] == "openIdConnect"


def test_answers_keep_to_their_schemas(sandbox: Service, rest: Rest, document: dict[str, Any]) -> None:
    operation = document["paths"]["/verify"]["post"]
    good = json.dumps({"phoneNumber": "+990555000001"}).encode()
    read_only = sandbox.external_token(scope="dpv:FraudPreventionAndDetection")
    for token, body, status in (
        (sandbox.external_token(), good, "200"),
        (sandbox.external_token(), b"{}", "400"),
        (None, good, "401"),
        (read_only, good, "403"),
        (sandbox.external_token(amr=["pwd"]), good, "403"),
    ):
        answer = rest.post("/verify", token, body)
        assert str(answer.status) == status
        described = _resolved(document, operation["responses"][status])
        assert {name.lower() for name in described.get("headers", {})} <= set(answer.headers)
        schema = _resolved(document, described["content"]["application/json"]["schema"])
        _holds(document, schema, answer.json)


def _resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def _holds(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    registry = Registry().with_resource("urn:document", DRAFT4.create_resource(document))
    OAS30Validator(_absolute(schema), registry=registry).validate(value)


def _absolute(node: Any) -> Any:
    """References into the document, not into the schema that stands alone."""
    if isinstance(node, dict):
        return {name: f"urn:document{item}" if name == "$ref" else _absolute(item) for name, item in node.items()}
    return [_absolute(item) for item in node] if isinstance(node, list) else node


def test_the_document_needs_no_token_and_costs_none(sandbox: Service, rest: Rest) -> None:
    token = sandbox.external_token()
    assert rest.request("GET", "/openapi.json", bearer(token)).status == 200
    assert rest.share(token).code == "OK"


def test_discovery_and_keys(sandbox: Service) -> None:
    issuer = sandbox.description["issuer"]
    found = request(issuer, "GET", "/.well-known/openid-configuration").json
    assert found["issuer"] == issuer
    assert found["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert found["grant_types_supported"] == ["authorization_code", "client_credentials"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["authorization_response_iss_parameter_supported"] is True
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        path = found[name].removeprefix(issuer)
        answer = request(issuer, "OPTIONS", path)
        assert answer.status == 204
    keys = request(issuer, "GET", "/oauth2/jwks").json["keys"]
    assert keys
    for key in keys:
        assert not {"d", "k", "p", "q", "dp", "dq", "qi"} & set(key)
        assert key["kid"]
        assert key["use"] == "sig"


@pytest.mark.parametrize("path", ["/openapi", "/openapi.json/", "/openapi.xml"])
def test_nothing_else(rest: Rest, path: str) -> None:
    assert rest_outcome(request(rest.root, "GET", BASE + path)).code == "NOT_FOUND"
