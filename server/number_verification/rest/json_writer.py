"""Messages into JSON, as the proto3 JSON mapping prints them, fields without presence always included."""

import base64
import json
import math
import struct
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from number_verification.rest.well_known import TEXT_TYPES, WRAPPER_TYPES

Writer: TypeAlias = Callable[[Any], Any]
"""Takes the value of a field; returns the JSON value."""

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode

_F = FieldDescriptor
_TYPES_OF_64_BITS = (_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64, _F.TYPE_UINT64, _F.TYPE_FIXED64)


def encode(value: Any) -> bytes:
    """A JSON value as compact UTF-8."""
    return _ENCODE(value).encode()


class MessageWriter:
    """Writes messages of one type.

    Args:
        descriptor: the type.
        known: the writers made so far, by full name, for types that hold each other.
    """

    def __init__(self, descriptor: Descriptor, known: "dict[str, MessageWriter] | None" = None) -> None:
        known = {} if known is None else known
        known[descriptor.full_name] = self
        self._fields = [
            (field.name, field.json_name, field.has_presence, field_writer(field, known)) for field in descriptor.fields
        ]

    def write(self, message: Message) -> dict[str, Any]:
        """The message as a JSON object."""
        return {
            json_name: writer(getattr(message, name))
            for name, json_name, has_presence, writer in self._fields
            if not has_presence or message.HasField(name)
        }


def field_writer(field: FieldDescriptor, known: dict[str, MessageWriter] | None = None) -> Writer:
    """What writes the value of a field."""
    known = {} if known is None else known
    descriptor = field.message_type
    if descriptor is not None and descriptor.GetOptions().map_entry:
        key, value = descriptor.fields
        return partial(_map, _single_writer(key, known), _single_writer(value, known))
    single = _single_writer(field, known)
    if field.is_repeated:
        return lambda values: [single(value) for value in values]
    return single


def _single_writer(field: FieldDescriptor, known: dict[str, MessageWriter]) -> Writer:
    descriptor = field.message_type
    if descriptor is not None:
        if descriptor.full_name in TEXT_TYPES:
            return lambda message: message.ToJsonString()
        if descriptor.full_name in WRAPPER_TYPES:
            inner = _single_writer(descriptor.fields_by_name["value"], known)
            return lambda message: inner(message.value)
        return (known.get(descriptor.full_name) or MessageWriter(descriptor, known)).write
    if field.type in _TYPES_OF_64_BITS:
        return str
    if field.type == _F.TYPE_BYTES:
        return lambda value: base64.b64encode(value).decode()
    if field.enum_type is not None:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        return lambda number: names.get(number, number)
    if field.type == _F.TYPE_DOUBLE:
        return _float
    if field.type == _F.TYPE_FLOAT:
        return _float32
    return lambda value: value


def _map(write_key: Writer, write_value: Writer, entries: Mapping[Any, Any]) -> dict[str, Any]:
    # Sorted, because protobuf keeps no order.
    return {_key(write_key(key)): write_value(entries[key]) for key in sorted(entries)}


def _key(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _float32(value: float) -> float | str:
    """A number of few digits that reads back as the same 32 bits; nine always do (IEEE 754 §5.12.2)."""
    if not math.isfinite(value):
        return _float(value)
    bits = struct.pack("f", value)
    shorter = (float(f"{value:.{digits}g}") for digits in range(6, 10))
    return next(candidate for candidate in shorter if struct.pack("f", candidate) == bits)
