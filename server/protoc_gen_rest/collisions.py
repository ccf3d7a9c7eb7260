"""Whether two routes answer to the same path, and which of two comes first."""

from collections.abc import Iterable

from number_verification.rest.tables import Route


def sort_key(route: Route) -> tuple[object, ...]:
    """Orders routes so that of two that match the same path the more specific one comes first."""
    return [_rank(segment) for segment in route.segments], not route.verb, route.template, route.http_method


def _rank(segment: str) -> int:
    return {"*": 1, "**": 2}.get(segment, 0)


def rival(route: Route, earlier: Iterable[Route]) -> Route | None:
    """A route among `earlier` that may answer to the same request, where neither of the two is more specific."""
    for other in earlier:
        if other.http_method == route.http_method and _overlap(route, other):
            one, two = _shape(route), _shape(other)
            if one == two or not (_covers(one[0], two[0]) or _covers(two[0], one[0])):
                return other
    return None


def _shape(route: Route) -> tuple[tuple[str, ...], str]:
    return route.segments, route.verb


def _overlap(route: Route, other: Route) -> bool:
    if route.verb == other.verb:
        return _some_path(route.segments, other.segments)
    if route.verb and other.verb:
        return False
    with_verb, without = (route, other) if route.verb else (other, route)
    last, ending = without.segments[-1], ":" + with_verb.verb
    if _rank(last):
        return _some_path(with_verb.segments, without.segments)
    # A literal that ends like a verb: its colon was percent-encoded in the template.
    stripped = (*without.segments[:-1], last.removesuffix(ending))
    return last.endswith(ending) and _some_path(with_verb.segments, stripped)


def _some_path(one: tuple[str, ...], two: tuple[str, ...]) -> bool:
    """Whether some path matches both."""
    for a, b in zip(one, two, strict=False):
        if "**" in (a, b):
            return True
        if not (_rank(a) or _rank(b)) and a != b:
            return False
    longer = max(one, two, key=len)
    return len(one) == len(two) or longer[min(len(one), len(two)) :] == ("**",)


def _covers(general: tuple[str, ...], special: tuple[str, ...]) -> bool:
    """Whether every path that matches `special` matches `general`."""
    for a, b in zip(general, special, strict=False):
        if a == "**":
            return True
        if b == "**" or (a != "*" and a != b):
            return False
    return len(general) == len(special) or general[len(special) :] == ("**",)
