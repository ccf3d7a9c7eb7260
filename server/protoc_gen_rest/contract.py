"""The contract as the stages read it: descriptors, the values of our options, and where each thing stands."""

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest
from google.protobuf.descriptor import (
    Descriptor,
    EnumValueDescriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from protoc_gen_rest.source import ContractError, Sources

OptionName: TypeAlias = Literal["access", "operation", "field", "oneof", "schema", "api", "http"]

_EXTENSIONS: dict[OptionName, str] = {
    "access": "contract.v1.access",
    "operation": "contract.v1.operation",
    "field": "contract.v1.field",
    "oneof": "contract.v1.oneof",
    "schema": "contract.v1.schema",
    "api": "contract.v1.api",
    "http": "google.api.http",
}


class Contract:
    """The files of one run of the plugin.

    Options are read through the descriptors of the run itself, not through generated modules: the plugin must work when
    these are older than the contract, or gone.
    """

    def __init__(self, request: CodeGeneratorRequest) -> None:
        self.pool = DescriptorPool()
        for file in request.proto_file:
            self.pool.AddSerializedFile(file.SerializeToString())
        self._sources = Sources(request.proto_file)
        self._comments = Sources(file for file in request.proto_file if file.name in request.file_to_generate)
        # protoc and buf name the files in different orders; what is generated is the same.
        self._files = [self.pool.FindFileByName(name) for name in sorted(request.file_to_generate)]
        self._extensions: dict[OptionName, Any] = {}
        for name, full_name in _EXTENSIONS.items():
            try:
                self._extensions[name] = self.pool.FindExtensionByName(full_name)
            except KeyError:
                continue  # no file of the run imports it

    @property
    def services(self) -> Iterator[ServiceDescriptor]:
        """The services of the files to generate."""
        for file in self._files:
            yield from file.services_by_name.values()

    @property
    def messages(self) -> Iterator[Descriptor]:
        """The messages of the files to generate, nested ones included, without the entries of maps."""
        for file in self._files:
            for message in file.message_types_by_name.values():
                yield from _with_nested(message)

    def option(self, element: Any, name: OptionName) -> Any:
        """The value of an option (a message), or None where it is not set."""
        extension = self._extensions.get(name)
        if extension is None:
            return None
        options = GetMessageClass(extension.containing_type).FromString(element.GetOptions().SerializeToString())
        return options.Extensions[extension] if options.HasExtension(extension) else None

    def error(self, element: Any, text: str, option: OptionName | None = None) -> ContractError:
        """The error to raise for a mistake in an element, or in one of its options."""
        return self._sources.error(full_name(element), text, self._extensions[option] if option else None)

    def comment(self, element: Any) -> str:
        """The comment that leads an element of the files to generate; empty if there is none.

        What others wrote about their messages, for readers of protos, is no text of ours.
        """
        return self._comments.comment(full_name(element))


def full_name(element: Any) -> str:
    """The full name of an element: `package.Service.Method`, `package.Message.field`, `package.Enum.VALUE`."""
    if isinstance(element, MethodDescriptor):
        return f"{element.containing_service.full_name}.{element.name}"
    if isinstance(element, EnumValueDescriptor):
        return f"{element.type.full_name}.{element.name}"
    return str(element.full_name)


def rpc_name(method: MethodDescriptor) -> str:
    """A method's name on the wire: `/package.Service/Method`."""
    return f"/{method.containing_service.full_name}/{method.name}"


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map."""
    entry = field.message_type
    return bool(field.is_repeated and entry is not None and entry.GetOptions().map_entry)


def _with_nested(message: Descriptor) -> Iterator[Descriptor]:
    if message.GetOptions().map_entry:
        return
    yield message
    for nested in message.nested_types:
        yield from _with_nested(nested)
