import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_verification.rest.routing import Found, Router
from number_verification.rest.tables import Route
from protoc_gen_rest.collisions import rival, sort_key


def route(path: str, method: str = "GET") -> Route:
    """A route as the bindings make it: the verb after a literal is the literal's end."""
    segments, verb = tuple(path.strip("/").split("/")), ""
    if segments[-1].startswith("*"):
        last, _, verb = segments[-1].partition(":")
        segments = (*segments[:-1], last)
    return Route(method, path, segments, verb, (), (), "", False, "", path, "", "", "")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("/a", "/a"),
        ("/a/*", "/a/*"),
        ("/a/*", "/*/b"),
        ("/a/**", "/*/b"),
        ("/a/*/c", "/*/b/**"),
        ("/a/*:v", "/*/b:v"),
        ("/a/*", "/*/*:v"),
        ("/a/**", "/**:v"),
        ("/**", "/**"),
    ],
)
def test_rivals(one: str, two: str) -> None:
    assert rival(route(one), [route("/unlike"), route(two)]) == route(two)
    assert rival(route(two), [route(one)]) == route(one)


@pytest.mark.parametrize(
    ("special", "general"),
    [
        ("/a", "/*"),
        ("/a/b", "/a/*"),
        ("/a/b", "/a/**"),
        ("/a", "/a/**"),
        ("/a/*", "/a/**"),
        ("/a/*/c", "/a/**"),
        ("/a/*:v", "/a/*"),
        ("/a/*:v", "/*/*"),
        ("/a", "/b"),
        ("/a/b", "/a"),
        ("/a/*:v", "/a/*:w"),
        ("/a/*:v", "/a/b"),
    ],
)
def test_no_rivals(special: str, general: str) -> None:
    assert rival(route(special), [route(general)]) is None
    assert rival(route(general), [route(special)]) is None


def test_literal_that_ends_like_a_verb() -> None:
    assert rival(route("/*/*:v"), [route("/a/x:v")]) is None
    assert rival(route("/b/*:v"), [route("/*/x:v")]) == route("/*/x:v")
    assert rival(route("/b/*:w"), [route("/*/x:v")]) is None


def test_other_methods_are_no_rivals() -> None:
    assert rival(route("/a"), [route("/a", "POST")]) is None


_segments = st.sampled_from(["a", "b", "*"])
_paths = st.builds(
    lambda parts, rest, verb: "/" + "/".join([*parts, *rest]) + verb,
    st.lists(_segments, min_size=1, max_size=3),
    st.sampled_from([[], ["**"]]),
    st.sampled_from(["", ":v"]),
)


@given(st.lists(_paths, max_size=5), st.integers(0, 3))
def test_without_rivals_the_order_of_the_table_does_not_matter(paths: list[str], length: int) -> None:
    """Whatever matches, the first in the sorted table is a most specific one: moved to the front it matches as well."""
    table: list[Route] = []
    for candidate in map(route, paths):
        if rival(candidate, table) is None:
            table.append(candidate)
    table.sort(key=sort_key)
    router = Router(table, table)
    for parts in itertools.product(("a", "b", "c", "a:v"), repeat=length):
        path = "/" + "/".join(parts)
        found = router.find("GET", path)
        matching = [r for r in table if isinstance(Router([r], [r]).find("GET", path), Found)]
        assert isinstance(found, Found) == bool(matching)
        if isinstance(found, Found):
            literals = sum(segment not in ("*", "**") for segment in found.target.segments)
            exact = [r for r in matching if "*" not in r.segments and "**" not in r.segments]
            assert found.target in (exact or matching)
            assert literals == max(sum(s not in ("*", "**") for s in r.segments) for r in matching)
