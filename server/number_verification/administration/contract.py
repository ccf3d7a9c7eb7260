"""What the contract says of itself: descriptors, the JSON names of values, and texts for people.

The texts are those of the contract's comments, which the descriptors of this process lack; the generated OpenAPI
documents have them.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from number_verification import gen


def new(message: Descriptor) -> Message:
    """An empty message."""
    created: Message = GetMessageClass(message)()
    return created


def only_reads(method: MethodDescriptor) -> bool:
    """Whether the method changes nothing: its binding is a GET (AIP-131, AIP-132), or it lists page by page (AIP-158).

    What has to name a phone number is a POST, lists among it.
    """
    return bool(method.GetOptions().Extensions[annotations_pb2.http].get) or "page_token" in (
        method.input_type.fields_by_name
    )


def short_names(enum: EnumDescriptor) -> Mapping[str, str]:
    """The values of an enum as people write them, each with its name in the contract: `business-manager` and so on."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {
        value.name.removeprefix(prefix).lower().replace("_", "-"): value.name for value in enum.values if value.number
    }


def short_name(field: FieldDescriptor, number: int) -> str:
    """An enum's value as people write it."""
    if field.enum_type is None or number not in field.enum_type.values_by_number:
        return str(number)
    wanted = field.enum_type.values_by_number[number].name
    return next((short for short, name in short_names(field.enum_type).items() if name == wanted), "")


def expanded(field: FieldDescriptor, value: object) -> object:
    """A JSON value in which enums may be written short, as the contract's JSON has it. What is not right stays."""
    if field.is_repeated and isinstance(value, list):
        return [_expanded_one(field, item) for item in value]
    return _expanded_one(field, value)


def _expanded_one(field: FieldDescriptor, value: object) -> object:
    if field.enum_type is not None and isinstance(value, str):
        return short_names(field.enum_type).get(value.lower().replace("_", "-"), value)
    if field.message_type is not None and isinstance(value, dict):
        members = {member.json_name: member for member in field.message_type.fields}
        return {name: expanded(members[name], item) if name in members else item for name, item in value.items()}
    return value


def about_field(field: Any, method: MethodDescriptor | None = None) -> str:
    """What the contract says of a field; of a request's field where a method is given."""
    document = _document(field.containing_type.file.package)
    schema = document["components"]["schemas"].get(field.containing_type.name, {})
    texts = [schema.get("properties", {}).get(field.json_name, {})]
    if method is not None:
        operation = _operation(method)
        texts += [each for each in operation.get("parameters", ()) if each.get("name") == field.json_name]
    return _in_one_line(next((text["description"] for text in texts if "description" in text), ""))


def about_message(message: Descriptor) -> str:
    """What the contract says of a message."""
    return _in_one_line(_document(message.file.package)["components"]["schemas"][message.name].get("description", ""))


def about_method(method: MethodDescriptor) -> str:
    """What the contract says of a method."""
    return _in_one_line(_operation(method).get("description", ""))


def summary(method: MethodDescriptor) -> str:
    """What a method does, in a few words."""
    return _in_one_line(_operation(method).get("summary", ""))


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _operation(method: MethodDescriptor) -> Mapping[str, Any]:
    wanted = method.name[0].lower() + method.name[1:]
    found = (each for each in _operations(method.containing_service.file.package) if each.get("operationId") == wanted)
    return next(found, {})


def _operations(package: str) -> Iterator[Mapping[str, Any]]:
    for path in _document(package)["paths"].values():
        yield from (operation for operation in path.values() if isinstance(operation, dict))


@functools.cache
def _document(package: str) -> Mapping[str, Any]:
    file = resources.files(gen) / "openapi" / f"{package.replace('.', '-')}.json"
    content: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content
