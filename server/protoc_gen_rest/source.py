"""Where things stand in the proto files: lines for error messages, comments for documents."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, SourceCodeInfo

SourcePath: TypeAlias = tuple[int, ...]
"""Field numbers and indices from a FileDescriptorProto down to an element (SourceCodeInfo.Location.path)."""

_OPTIONS = {"service": 3, "method": 4, "message": 7, "field": 8, "oneof": 2}
"""The number of the field that holds the options of each kind of element."""


class ContractError(Exception):
    """A mistake in the contract. The message begins with the proto file and the line."""


class _Element(NamedTuple):
    file: FileDescriptorProto
    path: SourcePath
    kind: str


class Sources:
    """The elements of the proto files by full name."""

    def __init__(self, files: Iterable[FileDescriptorProto]) -> None:
        self._elements: dict[str, _Element] = {}
        self._locations: dict[tuple[str, SourcePath], SourceCodeInfo.Location] = {}
        for file in files:
            for name, path, kind in _elements(file):
                self._elements[name] = _Element(file, path, kind)
            for location in file.source_code_info.location:
                self._locations.setdefault((file.name, tuple(location.path)), location)

    def error(self, full_name: str, text: str, option: Any = None) -> ContractError:
        """The error to raise for a mistake in an element.

        Args:
            full_name: the element's.
            text: what is wrong.
            option: the extension (a FieldDescriptor) in whose value the mistake is; None for the element itself.
        """
        file, path, kind = self._elements[full_name]
        if option is not None:
            path += (_OPTIONS[kind], option.number)
        return ContractError(f"{file.name}:{self._line(file.name, path)}: {full_name}: {text}")

    def comment(self, full_name: str) -> str:
        """The comment that leads an element, without its comment signs; empty if there is none."""
        element = self._elements.get(full_name)
        location = self._locations.get((element.file.name, element.path)) if element is not None else None
        if location is None:
            return ""
        return "\n".join(line.strip() for line in location.leading_comments.strip().splitlines())

    def _line(self, file: str, path: SourcePath) -> int:
        # Compilers differ in how deep into options they record locations: the nearest element around is near enough.
        while path:
            location = self._locations.get((file, path))
            if location is not None:
                return location.span[0] + 1
            path = path[:-1]
        return 1


def _elements(file: FileDescriptorProto) -> Iterator[tuple[str, SourcePath, str]]:
    scope = f"{file.package}." if file.package else ""
    for index, message in enumerate(file.message_type):
        yield from _message_elements(message, scope, (4, index))
    for index, enum in enumerate(file.enum_type):
        yield scope + enum.name, (5, index), "enum"
        for number, value in enumerate(enum.value):
            yield f"{scope}{enum.name}.{value.name}", (5, index, 2, number), "value"
    for index, service in enumerate(file.service):
        name = scope + service.name
        yield name, (6, index), "service"
        for number, method in enumerate(service.method):
            yield f"{name}.{method.name}", (6, index, 2, number), "method"


def _message_elements(message: DescriptorProto, scope: str, path: SourcePath) -> Iterator[tuple[str, SourcePath, str]]:
    name = scope + message.name
    yield name, path, "message"
    for index, field in enumerate(message.field):
        yield f"{name}.{field.name}", (*path, 2, index), "field"
    for index, nested in enumerate(message.nested_type):
        yield from _message_elements(nested, f"{name}.", (*path, 3, index))
    for index, enum in enumerate(message.enum_type):
        yield f"{name}.{enum.name}", (*path, 4, index), "enum"
        for number, value in enumerate(enum.value):
            yield f"{name}.{enum.name}.{value.name}", (*path, 4, index, 2, number), "value"
    for index, oneof in enumerate(message.oneof_decl):
        yield f"{name}.{oneof.name}", (*path, 8, index), "oneof"
