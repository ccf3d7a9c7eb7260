"""The plugin on contracts with mistakes: each is named with its file and line."""

from pathlib import Path

import pytest

from golden.compiled import compiled_text
from protoc_gen_rest.plugin import respond

HEADER = """\
syntax = "proto3";
package test.v1;
import "contract/v1/options.proto";
import "google/api/annotations.proto";
import "google/protobuf/any.proto";
message Request {
  string name = 1;
  int32 number = 2;
  Inner inner = 3;
  repeated string names = 4;
}
message Inner { string text = 1; }
message Response { string text = 1; }
"""

CONSUMER = 'option (contract.v1.access) = {caller: CALLER_API_CONSUMER scopes: "s"};'
INTERNAL = 'option (contract.v1.access) = {caller: CALLER_INTERNAL_SERVICE roles: "r"};'


def service(*rpcs: str, api: str = 'base_path: "/t/v1" title: "T" version: "1"', name: str = "Service") -> str:
    """A service that begins on line 14 after the header, with one RPC on each line from 16 on."""
    option = f"option (contract.v1.api) = {{{api}}};" if api else ""
    return "\n".join([f"service {name} {{", f"  {option}", *(f"  {rpc}" for rpc in rpcs), "}\n"])


def rpc(http: str, request: str = "Request", options: str = CONSUMER, name: str = "Do", extra: str = "") -> str:
    rule = f"option (google.api.http) = {{{http}}};" if http else ""
    return f"rpc {name}({request}) returns (Response) {{ {rule} {options} {extra} }}"


def operation(text: str) -> str:
    return f"option (contract.v1.operation) = {{{text}}};"


def access(text: str) -> str:
    return f"option (contract.v1.access) = {{{text}}};"


def field(text: str, declaration: str = "string text = 1") -> str:
    """A request with a ruled field, on line 15."""
    message = f"message Ruled {{\n  {declaration} [(contract.v1.field) = {{{text}}}];\n}}\n"
    return message + service(rpc("", request="Ruled"))


DO = "test.v1.Service.Do"
MORE = "test.v1.Service.More"
TEXT = "test.v1.Ruled.text"
UNSHARED = "look-around, named groups, flags or possessive quantifiers"

CASES = {
    # Path templates.
    "syntax": (service(rpc('get: "/t/v1/{name"')), f"16: {DO}: '/t/v1/{{name': `}}` expected at character 12"),
    "outside": (service(rpc('get: "/t/v2/x"')), f"16: {DO}: '/t/v2/x' is outside the base_path /t/v1"),
    "prefix of a segment": (service(rpc('get: "/t/v10"')), f"16: {DO}: '/t/v10' is outside the base_path /t/v1"),
    "no pattern": (service(rpc('body: "*"')), f"16: {DO}: the HTTP rule has no pattern"),
    "custom": (
        service(rpc('custom: {kind: "PURGE" path: "/t/v1/x"}')),
        f"16: {DO}: custom HTTP methods are not served",
    ),
    # Path variables.
    "unknown variable": (service(rpc('get: "/t/v1/{nme}"')), f"16: {DO}: the request has no field 'nme'"),
    "unknown inner": (service(rpc('get: "/t/v1/{inner.x}"')), f"16: {DO}: the request has no field 'inner.x'"),
    "inside a scalar": (service(rpc('get: "/t/v1/{name.x}"')), f"16: {DO}: the request has no field 'name.x'"),
    "message": (service(rpc('get: "/t/v1/{inner}"')), f"16: {DO}: the path variable 'inner' is not a single value"),
    "repeated": (service(rpc('get: "/t/v1/{names}"')), f"16: {DO}: the path variable 'names' is not a single value"),
    # Bodies.
    "unknown body": (
        service(rpc('post: "/t/v1/x" body: "nme"')),
        f"16: {DO}: the request has no field 'nme' for the body",
    ),
    "scalar body": (
        service(rpc('post: "/t/v1/x" body: "name"')),
        f"16: {DO}: the field 'name' for the body is not a single message",
    ),
    "repeated body": (
        service(rpc('post: "/t/v1/x" body: "names"')),
        f"16: {DO}: the field 'names' for the body is not a single message",
    ),
    "get with body": (service(rpc('get: "/t/v1/x" body: "*"')), f"16: {DO}: a GET request has no body"),
    "unknown response body": (
        service(rpc('get: "/t/v1/x" response_body: "nme"')),
        f"16: {DO}: the response has no field 'nme'",
    ),
    # Query parameters.
    "map in query": (
        service(rpc('get: "/t/v1/x"', request="Maps")) + "message Maps { map<string, string> m = 1; }",
        f"16: {DO}: the map 'm' cannot be a query parameter",
    ),
    "messages in query": (
        service(rpc('get: "/t/v1/x"', request="Many")) + "message Many { repeated Inner inners = 1; }",
        f"16: {DO}: the repeated message 'inners' cannot be a query parameter",
    ),
    "recursion in query": (
        service(rpc('get: "/t/v1/x"', request="Tree")) + "message Tree { Leaf leaf = 1; } message Leaf { Tree t = 1; }",
        f"16: {DO}: the message 'leaf.t' holds itself and cannot be query parameters",
    ),
    "any": (
        service(rpc('post: "/t/v1/x" body: "*"', request="Free")) + "message Free { google.protobuf.Any any = 1; }",
        f"16: {DO}: google.protobuf.Any has no fixed JSON form and cannot be exposed",
    ),
    # Routes together.
    "same route": (
        service(rpc('get: "/t/v1/{name}/x"'), rpc('get: "/t/v1/*/x"', name="More")),
        f"17: {MORE}: GET /t/v1/*/x collides with /t/v1/{{name}}/x of /{DO.rpartition('.')[0]}/Do",
    ),
    "same route again": (
        service(rpc('post: "/t/v1/x" body: "*" additional_bindings: {post: "/t/v1/x"}')),
        f"16: {DO}: POST /t/v1/x collides with /t/v1/x of /test.v1.Service/Do",
    ),
    "neither more specific": (
        service(rpc('get: "/t/v1/a/{name}"'), rpc('get: "/t/v1/*/b"', name="More")),
        f"17: {MORE}: GET /t/v1/*/b collides with /t/v1/a/{{name}} of /test.v1.Service/Do",
    ),
    "nested additional bindings": (
        service(rpc('get: "/t/v1/x" additional_bindings: {get: "/t/v1/y" additional_bindings: {get: "/t/v1/z"}}')),
        f"16: {DO}: additional bindings cannot be nested",
    ),
    # Services and methods.
    "no api": (service(rpc('get: "/t/v1/x"'), api=""), f"16: {DO}: an HTTP rule in a service without an api option"),
    "stream": (
        service(rpc('get: "/t/v1/x"').replace("returns (Response)", "returns (stream Response)")),
        f"16: {DO}: a streaming method cannot have an HTTP rule",
    ),
    "two kinds of caller": (
        service(rpc('get: "/t/v1/x"'), rpc("", options=INTERNAL, name="More")),
        f"17: {MORE}: all methods of an exposed service must be for one kind of caller",
    ),
    "base_path": (
        service(api='base_path: "t/v1"'),
        "15: test.v1.Service: base_path 't/v1': `/` expected at character 1",
    ),
    "base_path with variable": (
        service(api='base_path: "/t/{v}"'),
        "15: test.v1.Service: base_path may hold literal segments only, encoded only where needed",
    ),
    "base_path twice": (
        service() + service(name="Other"),
        "18: test.v1.Other: another service has the base_path /t/v1",
    ),
    # Access rules.
    "no access rule": (service(rpc("", options="")), f"16: {DO}: the method has no access rule"),
    "no caller": (
        service(rpc("", options=access('scopes: "s"'))),
        f"16: {DO}: the access rule does not say who the caller is, or where from",
    ),
    "no scopes": (
        service(rpc("", options=access("caller: CALLER_API_CONSUMER"))),
        f"16: {DO}: an API consumer needs scopes, and has no roles",
    ),
    "consumer with roles": (
        service(rpc("", options=access('caller: CALLER_API_CONSUMER scopes: "s" roles: "r"'))),
        f"16: {DO}: an API consumer needs scopes, and has no roles",
    ),
    "no roles": (
        service(rpc("", options=access("caller: CALLER_INTERNAL_SERVICE"))),
        f"16: {DO}: an internal service needs roles, and has no scopes and no end user",
    ),
    # Field rules.
    "regex": (
        field('pattern: "^("'),
        f"15: {TEXT}: the pattern is not a regular expression: missing ), unterminated subpattern at position 1",
    ),
    "unanchored": (
        field('pattern: "a+"'),
        f"15: {TEXT}: the pattern must begin with ^ and end with $: OpenAPI matches parts of a value",
    ),
    "look-ahead": (
        field('pattern: "^(?=a)$"'),
        f"15: {TEXT}: the pattern uses {UNSHARED}, which not every engine knows",
    ),
    "back-reference": (
        field(r'pattern: "^(a)\\1$"'),
        rf"15: {TEXT}: the pattern uses the escape \1, which not every engine reads alike",
    ),
    "pattern of a number": (
        field('pattern: "^a$"', "int32 text = 1"),
        f"15: {TEXT}: only strings can have a pattern",
    ),
    "length of a number": (
        field("max_length: 3", "int32 text = 1"),
        f"15: {TEXT}: only strings, bytes and repeated fields can have a max_length",
    ),
    "example": (
        field('pattern: "^a$" example: "b"'),
        f"15: {TEXT}: the example does not match the pattern",
    ),
    "long example": (
        field('max_length: 1 example: "bb"'),
        f"15: {TEXT}: the example is longer than max_length",
    ),
    "required bool": (
        field("required: true", "bool text = 1"),
        f"15: {TEXT}: a required number, bool or enum of a request needs presence: make it optional",
    ),
    "required member": (
        field("required: true", "oneof o { string other = 2; string text = 1").replace("}];", "}]; }"),
        f"15: {TEXT}: a member of a oneof cannot be required by itself",
    ),
    # The document.
    "unknown tag": (
        service(rpc('get: "/t/v1/x"', extra=operation('tag: "T"'))),
        f"16: {DO}: the service has no tag 'T'",
    ),
    "unknown error": (
        service(rpc('get: "/t/v1/x"', extra=operation('error_codes: "NOPE"'))),
        f"16: {DO}: there is no error code 'NOPE'",
    ),
    "operation twice": (
        service(
            rpc('get: "/t/v1/x"', extra=operation('operation_id: "a"')),
            rpc('get: "/t/v1/y"', name="More", extra=operation('operation_id: "a"')),
        ),
        f"17: {MORE}: another operation is named 'a'",
    ),
    "schema twice": (
        service(rpc('post: "/t/v1/x" body: "*"', request="Named"))
        + 'message Named { option (contract.v1.schema) = {name: "Response"}; string text = 1; }',
        "13: test.v1.Response: another schema has the name 'Response'",
    ),
    "reserved schema": (
        service(rpc('post: "/t/v1/x" body: "*"', request="ErrorInfo")) + "message ErrorInfo { string text = 1; }",
        "18: test.v1.ErrorInfo: another schema has the name 'ErrorInfo'",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_mistake_is_named_with_its_line(name: str, tmp_path: Path) -> None:
    text, expected = CASES[name]
    response = respond(compiled_text(tmp_path, HEADER + text))
    assert response.error == f"test.proto:{expected}"
    assert not response.file


def test_the_pieces_are_right_where_nothing_is_wrong(tmp_path: Path) -> None:
    text = service(rpc('get: "/t/v1/{name}"'), rpc('post: "/t/v1/x" body: "*"', name="More"))
    assert respond(compiled_text(tmp_path, HEADER + text)).error == ""


def test_a_service_that_is_not_exposed_may_be_for_both_kinds_of_caller(tmp_path: Path) -> None:
    text = service(rpc(""), rpc("", options=INTERNAL, name="More"), api="")
    assert respond(compiled_text(tmp_path, HEADER + text)).error == ""
