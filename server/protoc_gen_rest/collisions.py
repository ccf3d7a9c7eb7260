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
        same = (route.segments, route.verb) == (other.segments, other.verb)
        if other.http_method == route.http_method and _overlap(route, other) and (same or not _ranked(route, other)):
            return other
    return None


def _ranked(route: Route, other: Route) -> bool:
    """Whether one of two that match the same path is the more specific one, and the one that the router would take."""
    special, general = (route, other) if route.verb else (other, route)
    if special.verb and not general.verb and _rank(general.segments[-1]):
        # A verb wins over whatever a variable could take it for.
        return _covers(general.segments, special.segments)
    return _covers(route.segments, other.segments) or _covers(other.segments, route.segments)


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
