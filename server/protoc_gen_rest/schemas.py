"""Messages, enums and fields as schemas of OpenAPI 3.0.3, in the form that the REST layer reads and writes."""

from collections.abc import Collection
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from number_verification.rest.well_known import WRAPPER_TYPES
from protoc_gen_rest.contract import Contract

Schema: TypeAlias = dict[str, Any]

_F = FieldDescriptor
_SCALARS: dict[int, Schema] = {
    _F.TYPE_STRING: {"type": "string"},
    _F.TYPE_BOOL: {"type": "boolean"},
    _F.TYPE_BYTES: {"type": "string", "format": "byte"},
    _F.TYPE_DOUBLE: {"type": "number", "format": "double"},
    _F.TYPE_FLOAT: {"type": "number", "format": "float"},
    **{kind: {"type": "integer", "format": "int32"} for kind in (_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32)},
    **{kind: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1} for kind in (_F.TYPE_UINT32, _F.TYPE_FIXED32)},
    **{kind: {"type": "string", "format": "int64"} for kind in (_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64)},
    **{kind: {"type": "string", "format": "uint64"} for kind in (_F.TYPE_UINT64, _F.TYPE_FIXED64)},
}
_TEXT_TYPES: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
}


class Schemas:
    """The schemas of one document.

    Args:
        contract: where comments and options are read.
        closed: the full names of messages whose objects may hold no other properties.
    """

    def __init__(self, contract: Contract, closed: Collection[str]) -> None:
        self._contract = contract
        self._closed = closed
        self.components: dict[str, Schema] = {}
        self._owners: dict[str, str] = {}

    def message(self, message: Descriptor) -> Schema:
        """A reference to the schema of a message."""
        option = self._contract.option(message, "schema")
        name = option.name if option is not None and option.name else _local_name(message)
        if name not in self.components:
            self._owners[name] = message.full_name
            self.components[name] = {}  # stands for messages that hold themselves, until it is known
            self.components[name] = self.object(message)
        elif self._owners.get(name) != message.full_name:
            raise self._contract.error(message, f"another schema has the name {name!r}")
        return _reference(name)

    def object(self, message: Descriptor, without: Collection[str] = ()) -> Schema:
        """The schema of a message in place.

        Args:
            message: the message.
            without: the names of fields to leave out.
        """
        fields = [field for field in message.fields if field.name not in without]
        schema: Schema = {"type": "object"}
        if comment := self._contract.comment(message):
            schema["description"] = comment
        if required := [field.json_name for field in fields if self._is_required(field)]:
            schema["required"] = required
        if fields:
            schema["properties"] = {field.json_name: self.field(field) for field in fields}
        if message.full_name in self._closed:
            schema["additionalProperties"] = False
        return {**schema, **self._choices(message, fields)}

    def field(self, field: FieldDescriptor) -> Schema:
        """The schema of a field."""
        option = self._contract.option(field, "field")
        message = field.message_type
        if message is not None and message.GetOptions().map_entry:
            value = message.fields_by_name["value"]
            return self._described(field, {"type": "object", "additionalProperties": self._single(value, None)})
        if not field.is_repeated:
            schema = self._described(field, self._single(field, option))
            return self._named(field, option, schema)
        schema = {"type": "array", "items": self._single(field, option)}
        if option is not None and option.required:
            schema["minItems"] = 1
        if option is not None and option.max_length:
            schema["maxItems"] = option.max_length
        return self._described(field, schema)

    def _single(self, field: FieldDescriptor, option: Any) -> Schema:
        """The schema of one value of a field."""
        message = field.message_type
        if message is not None and message.full_name in WRAPPER_TYPES:
            return dict(_SCALARS[message.fields_by_name["value"].type])
        if message is not None and message.full_name in _TEXT_TYPES:
            return dict(_TEXT_TYPES[message.full_name])
        if message is not None:
            return self.message(message)
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        return {**_SCALARS[field.type], **_limits(field, option)}

    def _enum(self, enum: EnumDescriptor) -> Schema:
        name = _local_name(enum)
        values = [value.name for value in enum.values]
        lines = [f"- `{value.name}`: {comment}" for value in enum.values if (comment := self._contract.comment(value))]
        description = "\n\n".join(filter(None, (self._contract.comment(enum), "\n".join(lines))))
        schema = {"type": "string", "description": description, "enum": values}
        if self.components.setdefault(name, schema) != schema:
            raise self._contract.error(enum, f"another schema has the name {name!r}")
        return _reference(name)

    def _described(self, field: FieldDescriptor, schema: Schema) -> Schema:
        comment = self._contract.comment(field)
        if not comment:
            return schema
        # Beside a $ref nothing may stand (OpenAPI 3.0.3, Reference Object).
        return {"description": comment, **({"allOf": [schema]} if "$ref" in schema else schema)}

    def _named(self, field: FieldDescriptor, option: Any, schema: Schema) -> Schema:
        name = option.schema_name if option is not None else ""
        if not name:
            return schema
        if self.components.setdefault(name, schema) != schema:
            raise self._contract.error(field, f"another schema has the name {name!r}", "field")
        return _reference(name)

    def _is_required(self, field: FieldDescriptor) -> bool:
        option = self._contract.option(field, "field")
        return option is not None and bool(option.required)

    def _choices(self, message: Descriptor, fields: list[FieldDescriptor]) -> Schema:
        """What the oneofs of a message demand of its properties."""
        conditions: list[Schema] = []
        for oneof in message.oneofs:
            names = [field.json_name for field in fields if field in list(oneof.fields)]
            option = self._contract.option(oneof, "oneof")
            required = option is not None and bool(option.required)
            if len(names) < len(oneof.fields) or not (len(names) > 1 or required):
                continue  # the path fills a member, or there is nothing to choose
            if len(names) == len(fields):
                return {**({"minProperties": 1} if required else {}), "maxProperties": 1}
            conditions.append(_one_of(names, required=required))
        return {"allOf": conditions} if conditions else {}


def _one_of(names: list[str], *, required: bool) -> Schema:
    each: list[Schema] = [{"required": [name]} for name in names]
    return {"oneOf": each if required else [*each, {"not": {"anyOf": each}}]}


def _limits(field: FieldDescriptor, option: Any) -> Schema:
    if option is None:
        return {}
    schema: Schema = {}
    is_single, is_string = not field.is_repeated, field.type == _F.TYPE_STRING
    if option.pattern:
        schema["pattern"] = option.pattern
    elif is_single and is_string and option.required:
        schema["minLength"] = 1
    if is_single and option.max_length:
        # Three bytes become four characters of base64.
        schema["maxLength"] = option.max_length if is_string else (option.max_length + 2) // 3 * 4
    if option.example and is_string:
        schema["example"] = option.example
    return schema


def _local_name(element: Descriptor | EnumDescriptor) -> str:
    names = [element.name]
    while element.containing_type is not None:
        element = element.containing_type
        names.insert(0, element.name)
    return "".join(names)


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
