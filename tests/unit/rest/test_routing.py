import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.library import ROUTES
from number_verification.gen import routes
from number_verification.rest.routing import Found, Router
from number_verification.rest.tables import PathVariable

LIBRARY = Router(ROUTES, [f"{route.rpc.rpartition('/')[2]} {route.http_method}" for route in ROUTES])
OURS = Router(routes.ROUTES, [route.operation_id for route in routes.ROUTES])


@pytest.mark.parametrize(
    ("method", "path", "target", "values"),
    [
        ("GET", "/library/v1/shelves/s1/books/b1", "GetBook GET", ("shelves/s1/books/b1",)),
        ("GET", "/library/v1/books/b1", "GetBook GET", ("b1",)),
        ("GET", "/library/v1/shelves/s1/books", "ListBooks GET", ("s1",)),
        ("POST", "/library/v1/shelves/s1/books", "CreateBook POST", ("s1",)),
        ("PUT", "/library/v1/shelves/s1/books/b1", "CreateBook PUT", ("s1", "b1")),
        ("PATCH", "/library/v1/shelves/s1/books/b1", "CreateBook PATCH", ("s1", "b1")),
        ("POST", "/library/v1/shelves/s1/books/b1:move", "MoveBook POST", ("s1", "b1")),
        ("POST", "/library/v1/shelves/s1/books/b:1:move", "MoveBook POST", ("s1", "b:1")),
        ("GET", "/library/v1/pages/any/a/b/c", "GetPage GET", ("a/b/c",)),
        ("GET", "/library/v1/pages/any", "GetPage GET", ("",)),
        ("POST", "/library/v1/echo", "Echo POST", ()),
        # As WSGI gives "é": its UTF-8 bytes as Latin-1.
        ("GET", "/library/v1/books/Ã©", "GetBook GET", ("é",)),
    ],
)
def test_found(method: str, path: str, target: str, values: tuple[str, ...]) -> None:
    assert LIBRARY.find(method, path) == Found(target, values)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/library/v1/echo", {"POST"}),
        ("DELETE", "/library/v1/shelves/s1/books", {"GET", "POST"}),
        ("DELETE", "/library/v1/shelves/s1/books/b1", {"GET", "PUT", "PATCH"}),
        ("post", "/library/v1/echo", {"POST"}),
        # A verb is no part of a name.
        ("GET", "/library/v1/shelves/s1/books/b1:move", {"POST"}),
        ("PATCH", "/library/v1/shelves/s1/books/b:1:move", {"POST"}),
    ],
)
def test_other_method(method: str, path: str, allowed: set[str]) -> None:
    found = LIBRARY.find(method, path)
    assert not isinstance(found, Found)
    assert set(found) == allowed
    assert len(found) == len(allowed)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "*",
        "library/v1/echo",
        "/library/v1/echo/",
        "//library/v1/echo",
        "/library/v1//books/b1",
        "/library/v1/books/",
        "/library/v1/books/a/b",
        "/library/v1/pages",
        "/library/v1/pages/any//x",
        "/library/v1/Echo",
        "/library/v1/books/ÿ",
        "/library/v1/books/☃",
    ],
)
def test_unknown_path(path: str) -> None:
    assert list(LIBRARY.find("GET", path)) == []


def test_each_method_is_named_once() -> None:
    general = ROUTES[0]._replace(http_method="GET", segments=("a", "*"))
    special = general._replace(segments=("a", "b"))
    assert Router([special, general], [1, 2]).find("PUT", "/a/b") == ("GET",)


def test_what_is_more_general_answers_to_other_methods() -> None:
    general = ROUTES[0]._replace(http_method="PUT", segments=("a", "*"))
    special = general._replace(http_method="GET", segments=("a", "b"))
    assert Router([special, general], [1, 2]).find("PUT", "/a/b") == Found(2, ())


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/a/x:go", Found("go", ("x",))),
        ("GET", "/a/x:go", ("POST",)),
        ("GET", "/a/x:went", Found("get", ("x:went",))),
        ("GET", "/a/:go", Found("get", (":go",))),
        ("GET", "/a/go", Found("get", ("go",))),
        ("POST", "/a/x:go:go", Found("go", ("x:go",))),
        ("POST", "/a/x", ("GET",)),
        # Even where the route without the verb is the more specific one.
        ("GET", "/b/x:stop", ("POST",)),
        # A literal that ends like a verb is more specific still.
        ("GET", "/c/lit:stop", Found("literal", ())),
    ],
)
def test_a_verb_is_no_part_of_a_name(method: str, path: str, expected: object) -> None:
    variable = (PathVariable(("name",), 1, 2),)
    routes = [
        ROUTES[0]._replace(http_method=http_method, segments=segments, verb=verb, variables=variables)
        for http_method, segments, verb, variables in [
            ("GET", ("c", "lit:stop"), "", ()),
            ("POST", ("a", "*"), "go", variable),
            ("GET", ("a", "*"), "", variable),
            ("GET", ("b", "*"), "", variable),
            ("POST", ("*", "*"), "stop", variable),
        ]
    ]
    router = Router(routes, ["literal", "go", "get", "get b", "stop"])
    assert router.find(method, path) == expected


def test_our_own_routes() -> None:
    base = "/number-verification/v2"
    assert OURS.find("POST", f"{base}/verify") == Found("phoneNumberVerify", ())
    assert OURS.find("GET", f"{base}/device-phone-number") == Found("phoneNumberShare", ())
    assert OURS.find("POST", f"{base}/device-phone-number") == Found("phoneNumberShareByPost", ())
    assert list(OURS.find("GET", f"{base}/verify")) == ["POST"]
    assert list(OURS.find("GET", f"{base}/verify/")) == []


@given(st.text(max_size=5), st.text(st.sampled_from("/aé:*ÿ☃{}"), max_size=30).map(lambda tail: "/library/v1" + tail))
def test_any_path_is_found_or_not(method: str, path: str) -> None:
    found = LIBRARY.find(method, path)
    assert isinstance(found, (Found, tuple, list))
