"""The document of our own contract against what CAMARA number-verification 2.1.0 says, written down as a table."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import validate

from golden.compiled import compiled, compiled_text
from number_verification.gen.routes import APIS
from protoc_gen_rest.plugin import respond

PHONE_NUMBER = r"^\+[1-9][0-9]{4,14}$"
OPERATIONS = {
    ("/verify", "post"): ("phoneNumberVerify", "number-verification:verify"),
    ("/device-phone-number", "get"): ("phoneNumberShare", "number-verification:device-phone-number:read"),
    ("/device-phone-number", "post"): ("phoneNumberShareByPost", "number-verification:device-phone-number:read"),
}
ERROR_CODES = {
    "400": ["INVALID_ARGUMENT"],
    "401": ["UNAUTHENTICATED"],
    "403": ["PERMISSION_DENIED", "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK"],
    "406": ["NOT_ACCEPTABLE"],
    "429": ["TOO_MANY_REQUESTS", "QUOTA_EXCEEDED"],
    "500": ["INTERNAL"],
    "503": ["UNAVAILABLE"],
    "504": ["TIMEOUT"],
}


def generated(suffix: str) -> str:
    (api,) = (api for api in APIS if not api.internal)
    return files("number_verification.gen").joinpath(f"{api.document}.{suffix}").read_text()


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(generated("json"))
    return content


def resolved(document: dict[str, Any], value: Any) -> Any:
    """A value with the references in it replaced by what they refer to."""
    if isinstance(value, dict) and "$ref" in value:
        target: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return resolved(document, target)
    if isinstance(value, dict):
        return {key: resolved(document, item) for key, item in value.items()}
    return [resolved(document, item) for item in value] if isinstance(value, list) else value


def test_valid(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.0.3"
    validate(document)


def test_yaml_says_the_same(document: dict[str, Any]) -> None:
    assert yaml.safe_load(generated("yaml")) == document
    assert "DO NOT EDIT" in generated("yaml").splitlines()[0]


def test_server_and_version(document: dict[str, Any]) -> None:
    assert [server["url"] for server in document["servers"]] == ["{apiRoot}/number-verification/v2"]
    assert document["servers"][0]["variables"].keys() == {"apiRoot"}
    assert document["info"]["title"] == "Number Verification"
    assert document["info"]["version"] == "2.1.0"


def test_operations(document: dict[str, Any]) -> None:
    found = {
        (path, method): (operation["operationId"], operation["security"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert found == {key: (name, [{"openId": [scope]}]) for key, (name, scope) in OPERATIONS.items()}
    assert document["components"]["securitySchemes"]["openId"]["type"] == "openIdConnect"


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_parameters(document: dict[str, Any], path: str, method: str) -> None:
    (parameter,) = resolved(document, document["paths"][path][method]["parameters"])
    assert (parameter["name"], parameter["in"]) == ("x-correlator", "header")
    assert parameter["schema"]["pattern"] == r"^[a-zA-Z0-9-_:;.\/<>{}]{0,256}$"
    assert not parameter.get("required")


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_errors(document: dict[str, Any], path: str, method: str) -> None:
    responses = resolved(document, document["paths"][path][method]["responses"])
    expected = dict(ERROR_CODES) if method == "get" else {**ERROR_CODES, "415": ["UNSUPPORTED_MEDIA_TYPE"]}
    assert responses.keys() == {"200", *expected}
    for status, codes in expected.items():
        base, limited = responses[status]["content"]["application/json"]["schema"]["allOf"]
        assert base["required"] == ["status", "code", "message"]
        assert base["properties"]["code"]["maxLength"] == 96
        assert base["properties"]["message"]["maxLength"] == 512
        assert limited["properties"] == {"status": {"enum": [int(status)]}, "code": {"enum": codes}}


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_headers(document: dict[str, Any], path: str, method: str) -> None:
    responses = resolved(document, document["paths"][path][method]["responses"])
    assert all("x-correlator" in response["headers"] for response in responses.values())
    assert {status for status, response in responses.items() if "Retry-After" in response["headers"]} == {"429", "503"}
    assert "WWW-Authenticate" in responses["401"]["headers"]


def test_verify_request(document: dict[str, Any]) -> None:
    body = document["paths"]["/verify"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    assert body["required"] is True
    assert schema == {"$ref": "#/components/schemas/NumberVerificationRequestBody"}
    request = resolved(document, schema)
    assert (request["minProperties"], request["maxProperties"]) == (1, 1)
    assert request["additionalProperties"] is False
    assert {name: (each["type"], each["pattern"]) for name, each in request["properties"].items()} == {
        "phoneNumber": ("string", PHONE_NUMBER),
        "hashedPhoneNumber": ("string", "^[a-fA-F0-9]{64}$"),
    }


def test_share_request_is_optional(document: dict[str, Any]) -> None:
    body = document["paths"]["/device-phone-number"]["post"]["requestBody"]
    assert body["required"] is False
    assert resolved(document, body["content"]["application/json"]["schema"]).get("properties", {}) == {}


def test_answers(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    match, share = schemas["NumberVerificationMatchResponse"], schemas["NumberVerificationShareResponse"]
    assert match["required"] == ["devicePhoneNumberVerified"]
    assert match["properties"].keys() == {"devicePhoneNumberVerified"}
    assert share["required"] == ["devicePhoneNumber"]
    assert share["properties"].keys() == {"devicePhoneNumber"}
    assert schemas["DevicePhoneNumberVerified"]["type"] == "boolean"
    assert schemas["DevicePhoneNumber"]["pattern"] == PHONE_NUMBER


def test_descriptions_are_the_comments(document: dict[str, Any]) -> None:
    assert document["info"]["description"].startswith("Tells an application, silently and once,")
    assert all(o["description"] and o["summary"] for methods in document["paths"].values() for o in methods.values())


def test_committed_files_are_what_the_contract_gives() -> None:
    protos = Path(__file__).parents[3] / "protos"
    names = sorted(path.relative_to(protos).as_posix() for path in protos.rglob("*.proto"))
    for file in respond(compiled(*names, root=protos)).file:
        committed = files("number_verification.gen").joinpath(file.name).read_text()
        assert committed == file.content, file.name


def test_messages_that_only_requests_hold_are_closed(tmp_path: Path) -> None:
    text = """syntax = "proto3"; package test.v1;
        import "contract/v1/options.proto"; import "google/api/annotations.proto";
        service S { option (contract.v1.api) = {base_path: "/t" title: "T" version: "1"};
          rpc Do(Ask) returns (Answer) { option (google.api.http) = {post: "/t/do" body: "*"};
            option (contract.v1.access) = {caller: CALLER_API_CONSUMER scopes: "s"}; } }
        message Ask { Shared shared = 1; oneof o { string a = 2; } }
        message Shared { string text = 1; }
        message Answer { Shared shared = 1; }"""
    response = respond(compiled_text(tmp_path, text))
    (content,) = (file.content for file in response.file if file.name.endswith(".json"))
    schemas = json.loads(content)["components"]["schemas"]
    assert {name for name, schema in schemas.items() if schema.get("additionalProperties") is False} == {"Ask"}
