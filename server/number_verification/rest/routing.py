"""Which route answers to an HTTP method and a path."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from number_verification.rest.tables import Route

T = TypeVar("T")


class Found(NamedTuple, Generic[T]):
    """A route that answers."""

    target: T
    values: tuple[str, ...]
    """The text of the path variables, in their order."""


class Router(Generic[T]):
    """Finds what belongs to a route.

    Args:
        routes: of two that match the same path the more specific one first, as generated.
        targets: what belongs to each route.
    """

    def __init__(self, routes: Sequence[Route], targets: Sequence[T]) -> None:
        self._static: dict[str, dict[str, Found[T]]] = {}
        self._ending: list[tuple[Route, T]] = []
        """Those that end in a verb or a literal."""
        self._open: list[tuple[Route, T]] = []
        """Those whose end can be any text."""
        for route, target in zip(routes, targets, strict=True):
            if any(segment in ("*", "**") for segment in route.segments):
                is_open = route.segments[-1] in ("*", "**") and not route.verb
                (self._open if is_open else self._ending).append((route, target))
            else:
                path = "/" + "/".join(route.segments)
                self._static.setdefault(path, {})[route.http_method] = Found(target, ())

    def find(self, method: str, path: str) -> Found[T] | Sequence[str]:
        """What answers; else the methods that the path knows, none where it knows none.

        A path that ends in a verb of its routes is the verb's, whatever the method: a variable never takes a verb for a
        part of its value, or `GET /shelves/1:sell` would look for a shelf named `1:sell`.

        Args:
            method: the HTTP method.
            path: the path as WSGI gives it (PEP 3333): percent-decoded, its bytes as Latin-1. An encoded slash is
                therefore a slash, and fits no variable of one segment; an encoded colon is a colon.
        """
        if not path.isascii():
            try:
                path = path.encode("latin-1").decode()
            except UnicodeError:
                return ()
        static = self._static.get(path, {})
        found = static.get(method)
        if found is not None:
            return found
        allowed = dict.fromkeys(static)
        for routes in (self._ending, self._open):
            has_verb = False
            for route, target in routes:
                values = _values(route, path)
                if values is None:
                    continue
                if route.http_method == method:
                    return Found(target, values)
                allowed[route.http_method] = None
                has_verb = has_verb or bool(route.verb)
            if has_verb:
                break
        return tuple(allowed)


def _values(route: Route, path: str) -> tuple[str, ...] | None:
    """The text of a route's variables; None if it does not match."""
    if route.verb:
        path, colon, verb = path.rpartition(":")
        if not colon or verb != route.verb:
            return None
    parts = path.split("/")
    if parts.pop(0) or not all(parts):
        return None  # no leading slash, or an empty segment
    segments = route.segments
    if segments[-1] == "**":
        segments = segments[:-1]
        if len(parts) < len(segments):
            return None
    elif len(parts) != len(segments):
        return None
    for segment, part in zip(segments, parts, strict=False):
        if segment not in ("*", part):
            return None
    return tuple("/".join(parts[variable.first : variable.end]) for variable in route.variables)
