"""JSON into messages, strictly: the JSON names only, and of each type only the form that the mapping prints.

The proto3 JSON mapping (protobuf.dev/programming-guides/json) lets readers take more than writers print: proto names,
numbers in strings, enums by number, null. A value that can be written in two ways can be checked in one and used in the
other; CAMARA Commonalities asks for requests to be refused where a property is not declared. So one form is taken.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from number_verification.rest.well_known import WRAPPER_TYPES

MAX_DEPTH = 100
"""Messages inside messages; what protobuf's own decoders allow by default."""

Scalar: TypeAlias = Callable[[Any], Any]
"""Takes a JSON value; returns the value for the field, or raises Malformed."""

_Setter: TypeAlias = Callable[[Any, Any, int], None]
"""Takes a message, a JSON value and the depth of the message; puts the value into its field of the message."""


class Malformed(Exception):
    """The input is not what the contract wants. Holds nothing of the input."""

    def __init__(self, description: str, field: str = "") -> None:
        super().__init__(description)
        self.description = description
        self.field = field

    def within(self, name: str) -> "Malformed":
        """The same, seen from the message around."""
        separator = "." if self.field and not self.field.startswith("[") else ""
        self.field = name + separator + self.field
        return self


def parse(content: bytes) -> Any:
    """The JSON value of a body.

    Raises:
        Malformed: not UTF-8, not JSON (RFC 8259), or an object names a property twice.
    """
    try:
        return _DECODE(content.decode())
    except (ValueError, RecursionError):
        # ValueError: also UnicodeDecodeError, and an integer of more digits than Python converts.
        raise Malformed("is not valid JSON in UTF-8") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    properties = dict(pairs)
    if len(properties) != len(pairs):
        raise Malformed("an object names a property twice")
    return properties


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError


_DECODE = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant).decode


class MessageReader:
    """Reads JSON objects into messages of one type.

    Args:
        descriptor: the type.
        known: the readers made so far, by full name, for types that hold each other.
    """

    def __init__(self, descriptor: Descriptor, known: "dict[str, MessageReader] | None" = None) -> None:
        known = {} if known is None else known
        known[descriptor.full_name] = self
        self.setters = {field.json_name: _setter(field, known) for field in descriptor.fields}

    def read(self, message: Any, value: Any, depth: int = 0) -> None:
        """Put the properties of a JSON object into a message.

        Raises:
            Malformed: the value is not an object of this type.
        """
        if type(value) is not dict:
            raise Malformed("must be an object")
        if depth > MAX_DEPTH:
            raise Malformed("is nested too deeply")
        for name, item in value.items():
            setter = self.setters.get(name)
            if setter is None:
                # The name comes from outside: it is not repeated.
                raise Malformed("has an unknown property")
            try:
                setter(message, item, depth)
            except Malformed as fault:
                raise fault.within(name) from None


def _setter(field: FieldDescriptor, known: dict[str, MessageReader]) -> _Setter:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return _map_setter(field.name, message, known)
    if field.is_repeated:
        return _list_setter(field, known)
    one = _single_setter(field, known)
    oneof = field.containing_oneof
    if oneof is None or len(oneof.fields) == 1:
        return one
    oneof_name, members = oneof.name, ", ".join(member.json_name for member in oneof.fields)

    def of_oneof(message: Any, value: Any, depth: int) -> None:
        if message.WhichOneof(oneof_name) is not None:
            raise Malformed(f"only one of {members} may be given")
        one(message, value, depth)

    return of_oneof


def _single_setter(field: FieldDescriptor, known: dict[str, MessageReader]) -> _Setter:
    name = field.name
    if field.message_type is None:
        convert = scalar(field)

        def of_scalar(message: Any, value: Any, _: int) -> None:
            setattr(message, name, convert(value))

        return of_scalar
    fill = _filler(field.message_type, known)

    def of_message(message: Any, value: Any, depth: int) -> None:
        inner = getattr(message, name)
        inner.SetInParent()
        fill(inner, value, depth + 1)

    return of_message


def _list_setter(field: FieldDescriptor, known: dict[str, MessageReader]) -> _Setter:
    name = field.name
    convert = scalar(field) if field.message_type is None else None
    fill = _filler(field.message_type, known) if field.message_type is not None else None

    def setter(message: Any, value: Any, depth: int) -> None:
        if type(value) is not list:
            raise Malformed("must be an array")
        elements = getattr(message, name)
        for index, item in enumerate(value):
            try:
                if convert is not None:
                    elements.append(convert(item))
                elif fill is not None:
                    fill(elements.add(), item, depth + 1)
            except Malformed as fault:
                raise fault.within(f"[{index}]") from None

    return setter


def _map_setter(name: str, entry: Descriptor, known: dict[str, MessageReader]) -> _Setter:
    key_field, value_field = entry.fields
    key_text = from_text(key_field)
    convert_key = scalar(key_field)
    convert = scalar(value_field) if value_field.message_type is None else None
    fill = _filler(value_field.message_type, known) if value_field.message_type is not None else None

    def setter(message: Any, value: Any, depth: int) -> None:
        if type(value) is not dict:
            raise Malformed("must be an object")
        entries = getattr(message, name)
        for text, item in value.items():
            key = convert_key(key_text(text))
            if convert is not None:
                entries[key] = convert(item)
            elif fill is not None:
                fill(entries[key], item, depth + 1)

    return setter


def _filler(descriptor: Descriptor, known: dict[str, MessageReader]) -> _Setter:
    """What fills a message that stands alone, as an element, or as a value of a map."""
    name = descriptor.full_name
    pattern = _TEXT_FORMS.get(name)
    if pattern is not None:
        return partial(_fill_from_text, pattern)
    if name in WRAPPER_TYPES:
        convert = scalar(descriptor.fields_by_name["value"])

        def fill_wrapper(message: Any, value: Any, _: int) -> None:
            message.value = convert(value)

        return fill_wrapper
    return (known.get(name) or MessageReader(descriptor, known)).read


# protobuf's own readers of these are lax (one-digit months, blanks, underscores in numbers).
_TEXT_FORMS = {
    "google.protobuf.Timestamp": re.compile(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
    ),
    "google.protobuf.Duration": re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?s"),
    "google.protobuf.FieldMask": re.compile(r"\*|([a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)*(,(?!$)|$))*"),
}


def _fill_from_text(pattern: re.Pattern[str], message: Any, value: Any, _: int) -> None:
    if type(value) is not str or pattern.fullmatch(value) is None:
        raise Malformed(f"must be a {message.DESCRIPTOR.name} as a string")
    try:
        message.FromJsonString(value)
    except (ValueError, OverflowError):
        raise Malformed(f"must be a {message.DESCRIPTOR.name} as a string") from None


_F = FieldDescriptor
_INT32 = (_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32)
_UINT32 = (_F.TYPE_UINT32, _F.TYPE_FIXED32)
_INT64 = (_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64)
_UINT64 = (_F.TYPE_UINT64, _F.TYPE_FIXED64)
_FLOAT_MAX = math.nextafter((2 - 2**-24) * 2.0**127, 0)
"""The greatest number that rounds to a finite one of 32 bits: its shortest decimal form may lie beyond it."""
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,19})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
"""RFC 8259 §6."""


def scalar(field: FieldDescriptor) -> Scalar:
    """What turns a JSON value into a value of a scalar field, or raises Malformed."""
    kind = field.type
    if kind == _F.TYPE_STRING:
        return _string
    if kind == _F.TYPE_BOOL:
        return _bool
    if kind == _F.TYPE_BYTES:
        return _bytes
    if field.enum_type is not None:
        return partial(_enum, {value.name: value.number for value in field.enum_type.values})
    if kind in _INT32:
        return partial(_integer, -(2**31), 2**31 - 1)
    if kind in _UINT32:
        return partial(_integer, 0, 2**32 - 1)
    if kind in _INT64:
        return partial(_long, -(2**63), 2**63 - 1)
    if kind in _UINT64:
        return partial(_long, 0, 2**64 - 1)
    return partial(_float, _FLOAT_MAX if kind == _F.TYPE_FLOAT else math.inf)


def _string(value: Any) -> str:
    if type(value) is not str:
        raise Malformed("must be a string")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Malformed("must be a string of Unicode characters") from None  # half of a surrogate pair
    return value


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise Malformed("must be true or false")
    return value


def _bytes(value: Any) -> bytes:
    if type(value) is not str:
        raise Malformed("must be base64 in a string")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("must be base64 in a string") from None


def _enum(numbers: dict[str, int], value: Any) -> int:
    number = numbers.get(value) if type(value) is str else None
    if number is None:
        raise Malformed(f"must be one of {', '.join(numbers)}")
    return number


def _integer(least: int, greatest: int, value: Any) -> int:
    if type(value) is not int or not least <= value <= greatest:
        raise Malformed(f"must be an integer from {least} to {greatest}")
    return value


def _long(least: int, greatest: int, value: Any) -> int:
    # 64 bits do not fit into the numbers of every JSON reader: the mapping prints them as strings.
    if type(value) is not str or not _DECIMAL.fullmatch(value) or not least <= int(value) <= greatest:
        raise Malformed(f"must be an integer from {least} to {greatest} in a string")
    return int(value)


def _float(greatest: float, value: Any) -> float:
    try:
        number = float(value) if type(value) in (int, float) else math.nan
    except OverflowError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > greatest:
        raise Malformed("must be a number in the range of the field")
    return number


def from_text(field: FieldDescriptor) -> Callable[[str], Any]:
    """What turns the text of a path variable, query parameter or map key into the JSON value that it stands for.

    Text that stands for no value of the field's type is returned as it is, or raises Malformed.
    """
    message = field.message_type
    wrapped = message is not None and message.full_name in WRAPPER_TYPES
    kind = message.fields_by_name["value"].type if message is not None and wrapped else field.type
    if kind == _F.TYPE_BOOL:
        return lambda text: {"true": True, "false": False}.get(text, text)
    if kind in _INT32 or kind in _UINT32:
        return lambda text: int(text) if _DECIMAL.fullmatch(text) else text
    if kind in (_F.TYPE_FLOAT, _F.TYPE_DOUBLE):
        return lambda text: float(text) if _NUMBER.fullmatch(text) else text
    return str
