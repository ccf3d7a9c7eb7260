"""What HTTP itself demands: methods, media types, bodies, and how they are refused."""

import pytest

from functional.service import Service, request
from functional.transports import Rest, bearer, rest_outcome

NUMBER = "+990555000001"
BODY = b'{"phoneNumber":"+990555000001"}'


@pytest.mark.parametrize(
    "path",
    ["/", "/verify/", "//verify", "/Verify", "/verify/x", "/device-phone-number/", "/verify%2f", "/..", "/openapi"],
)
def test_an_unknown_path(rest: Rest, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert rest_outcome(rest.request(method, path)).code == "NOT_FOUND"


@pytest.mark.parametrize("path", ["/", "/v2/verify", "/number-verification/v1/verify", "/number-verification/v2"])
def test_an_unknown_base(rest: Rest, path: str) -> None:
    assert rest_outcome(request(rest.root, "POST", path)).code == "NOT_FOUND"


@pytest.mark.parametrize(
    ("path", "methods", "allow"),
    [
        ("/verify", ["GET", "PUT", "DELETE", "PATCH", "TRACE", "FOO"], {"POST", "OPTIONS"}),
        ("/device-phone-number", ["PUT", "DELETE", "PATCH", "TRACE"], {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/openapi.json", ["POST", "DELETE"], {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_known_path_with_another_method(rest: Rest, path: str, methods: list[str], allow: set[str]) -> None:
    for method in methods:
        answer = rest.request(method, path)
        assert rest_outcome(answer).code == "METHOD_NOT_ALLOWED"
        assert set(answer.headers["allow"].split(", ")) == allow
    answer = rest.request("OPTIONS", path)
    assert (answer.status, answer.body) == (204, b"")
    assert set(answer.headers["allow"].split(", ")) == allow


def test_methods_of_the_authorization_server(rest: Rest) -> None:
    for path, method, allow in (
        ("/oauth2/token", "GET", {"POST", "OPTIONS"}),
        ("/oauth2/authorize", "PUT", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/oauth2/jwks", "POST", {"GET", "HEAD", "OPTIONS"}),
        ("/.well-known/openid-configuration", "POST", {"GET", "HEAD", "OPTIONS"}),
    ):
        answer = request(rest.root, method, path)
        assert answer.status == 405
        assert set(answer.headers["allow"].split(", ")) == allow


def test_a_method_that_is_not_allowed_costs_no_token(sandbox: Service, rest: Rest) -> None:
    token = sandbox.external_token()
    assert rest_outcome(rest.request("GET", "/verify", bearer(token))).code == "METHOD_NOT_ALLOWED"
    assert rest.share(token).code == "OK"


def test_head_says_what_get_would_without_its_body(sandbox: Service, rest: Rest) -> None:
    token = sandbox.external_token()
    answer = rest.request("HEAD", "/device-phone-number", bearer(token))
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"", "application/json")
    assert rest.share(token).code == "UNAUTHENTICATED"
    assert rest.request("HEAD", "/device-phone-number").status == 401
    assert rest.request("HEAD", "/openapi.json").status == 200


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/json;charset=utf-8",
        "application/json; charset=UTF-8",
        'application/json; charset="utf-8"',
        "Application/JSON",
        "application/json ; charset=utf-8",
    ],
)
def test_json_in_every_spelling(sandbox: Service, rest: Rest, media_type: str) -> None:
    assert rest.post_verify(sandbox.external_token(), BODY, content_type=media_type).code == "OK"


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/json-patch+json",
        "application/problem+json",
        "application/jsonx",
        "application/json; charset=latin-1",
        "application/json, text/plain",
        "multipart/form-data; boundary=x",
    ],
)
def test_another_media_type(sandbox: Service, rest: Rest, media_type: str | None) -> None:
    outcome = rest.post_verify(sandbox.external_token(), BODY, content_type=media_type)
    assert outcome.code == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "application/*", "application/json", "text/html, */*;q=0.1", "application/json;q=0.5, text/html"],
)
def test_an_accept_that_allows_json(sandbox: Service, rest: Rest, accept: str) -> None:
    assert rest.share(sandbox.external_token(), [("accept", accept)]).code == "OK"


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "application/json;q=0", "*/*;q=0", "application/json;q=0, */*"]
)
def test_an_accept_that_excludes_json(sandbox: Service, rest: Rest, accept: str) -> None:
    assert rest.share(sandbox.external_token(), [("accept", accept)]).code == "NOT_ACCEPTABLE"


@pytest.mark.parametrize(("body", "media_type"), [(None, None), (b"", None), (b"{}", "application/json")])
def test_sharing_by_post(sandbox: Service, rest: Rest, body: bytes | None, media_type: str | None) -> None:
    """The user story speaks of a POST."""
    answer = rest.post("/device-phone-number", sandbox.external_token(), body, content_type=media_type)
    assert rest_outcome(answer).body == {"devicePhoneNumber": NUMBER}


@pytest.mark.parametrize("body", [b'{"phoneNumber":"+990555000001"}', b"null", b"[]", b'""', b"{", b"{}{}"])
def test_sharing_by_post_takes_nothing_else(sandbox: Service, rest: Rest, body: bytes) -> None:
    answer = rest.post("/device-phone-number", sandbox.external_token(), body)
    assert rest_outcome(answer).code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("query", ["?x=1", "?phoneNumber=%2B990555000001", "?access_token=x", "?%"])
def test_there_are_no_query_parameters(sandbox: Service, rest: Rest, query: str) -> None:
    answer = rest.request("GET", f"/device-phone-number{query}", bearer(sandbox.external_token()))
    assert rest_outcome(answer).code == "INVALID_ARGUMENT"


def test_a_token_in_the_query_is_none(sandbox: Service, rest: Rest) -> None:
    """RFC 9700 §4.3.2."""
    answer = rest.request("GET", f"/device-phone-number?access_token={sandbox.external_token()}")
    assert rest_outcome(answer).code == "UNAUTHENTICATED"


@pytest.mark.parametrize("name", ["grpc-metadata-authorization", "x-forwarded-authorization", "authorization-x"])
def test_no_other_header_becomes_metadata(sandbox: Service, rest: Rest, name: str) -> None:
    """A gateway that turns any header into metadata is a way around every check on it."""
    headers = [(name, f"Bearer {sandbox.external_token()}")]
    assert rest.share(None, headers).code == "UNAUTHENTICATED"
