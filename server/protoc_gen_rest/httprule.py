"""Path templates of google.api.http: from text to a tree and back.

The grammar is the one in the comments of google/api/http.proto:

    Template = "/" Segments [ Verb ] ;
    Segments = Segment { "/" Segment } ;
    Segment  = "*" | "**" | LITERAL | Variable ;
    Variable = "{" FieldPath [ "=" Segments ] "}" ;
    FieldPath = IDENT { "." IDENT } ;
    Verb     = ":" LITERAL ;

A LITERAL is made of the characters of a path segment (RFC 3986 §3.3) without `*`, a wildcard here, and without `:`,
which begins the verb. Within a longer literal both can be written percent-encoded.
"""

import enum
import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias
from urllib.parse import quote, unquote_to_bytes

_LITERAL = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()+,;=@]|%[0-9A-Fa-f]{2})+")
_UNQUOTED = "!$&'()+,;=@"
_FIELD_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")


class TemplateError(ValueError):
    """The text is no path template. The message says where and why."""


class Wildcard(enum.Enum):
    """Segments that match more than one text."""

    ONE = "*"
    """Exactly one segment."""
    REST = "**"
    """All remaining segments, none included."""


class Literal(NamedTuple):
    """A segment that matches one text, which is held percent-decoded."""

    text: str

    def __str__(self) -> str:
        return quote(self.text, safe=_UNQUOTED)


Plain: TypeAlias = Literal | Wildcard


class Variable(NamedTuple):
    """Segments whose text goes to a field of the request."""

    field_path: tuple[str, ...]
    segments: tuple[Plain, ...]


class Template(NamedTuple):
    """A path template."""

    segments: tuple[Plain | Variable, ...]
    verb: str
    """Percent-decoded; empty for none."""

    def __str__(self) -> str:
        verb = f":{Literal(self.verb)}" if self.verb else ""
        return f"/{'/'.join(_text(segment) for segment in self.segments)}{verb}"

    @property
    def variables(self) -> Iterator[Variable]:
        """The variables in their order."""
        return (segment for segment in self.segments if isinstance(segment, Variable))

    @property
    def plain(self) -> tuple[Plain, ...]:
        """The segments with every variable replaced by what it matches."""
        flat: list[Plain] = []
        for segment in self.segments:
            flat.extend(segment.segments if isinstance(segment, Variable) else (segment,))
        return tuple(flat)


def _text(segment: Plain | Variable) -> str:
    match segment:
        case Wildcard():
            return segment.value
        case Literal():
            return str(segment)
        case Variable(field_path, (Wildcard.ONE,)):
            return f"{{{'.'.join(field_path)}}}"
        case Variable(field_path, segments):
            return f"{{{'.'.join(field_path)}={'/'.join(map(_text, segments))}}}"


def parse(text: str) -> Template:
    """The tree of a path template.

    Raises:
        TemplateError: the text is not a path template.
    """
    parser = _Parser(text)
    template = parser.template()
    plain = template.plain
    if Wildcard.REST in plain[:-1]:
        raise TemplateError(f"{text!r}: `**` is not the last segment")
    paths = [variable.field_path for variable in template.variables]
    for path in paths:
        if paths.count(path) > 1:
            raise TemplateError(f"{text!r}: the variable {'.'.join(path)!r} stands twice")
    return template


class _Parser:
    """Recursive descent, one method per rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def _fault(self, expected: str) -> TemplateError:
        return TemplateError(f"{self._text!r}: {expected} expected at character {self._position + 1}")

    def _skip(self, token: str) -> bool:
        found = self._text.startswith(token, self._position)
        if found:
            self._position += len(token)
        return found

    def template(self) -> Template:
        if not self._skip("/"):
            raise self._fault("`/`")
        segments: list[Plain | Variable] = [self._segment()]
        while self._skip("/"):
            segments.append(self._segment())
        verb = self._literal().text if self._skip(":") else ""
        if self._position != len(self._text):
            raise self._fault("`/`, `:` or the end")
        return Template(tuple(segments), verb)

    def _segment(self) -> Plain | Variable:
        return self._variable() if self._skip("{") else self._plain()

    def _plain(self) -> Plain:
        for wildcard in (Wildcard.REST, Wildcard.ONE):
            if self._skip(wildcard.value):
                return wildcard
        return self._literal()

    def _variable(self) -> Variable:
        match = _FIELD_PATH.match(self._text, self._position)
        if match is None:
            raise self._fault("the path of a field")
        self._position = match.end()
        segments: list[Plain] = [Wildcard.ONE]
        if self._skip("="):
            segments = [self._plain()]
            while self._skip("/"):
                segments.append(self._plain())
        if not self._skip("}"):
            raise self._fault("`}`")
        return Variable(tuple(match[0].split(".")), tuple(segments))

    def _literal(self) -> Literal:
        match = _LITERAL.match(self._text, self._position)
        if match is None:
            raise self._fault("a segment")
        try:
            text = unquote_to_bytes(match[0]).decode()
        except UnicodeDecodeError:
            raise self._fault("percent-encoded UTF-8") from None
        # Clients remove dot segments before they send a path (RFC 3986 §5.2.4); a slash would end the segment, and a
        # star would be a wildcard.
        if text in (".", "..", "*", "**") or "/" in text:
            raise self._fault("a segment that stands for itself")
        self._position = match.end()
        return Literal(text)
