"""What kinds of values JSON, paths and queries can carry."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from number_verification.rest.well_known import TEXT_TYPES, WRAPPER_TYPES

UNSUPPORTED_TYPES = frozenset(f"google.protobuf.{name}" for name in ("Any", "Struct", "Value", "ListValue"))
"""Messages of free form: the REST layer refuses every property that the contract does not name."""


def is_plain(field: FieldDescriptor) -> bool:
    """Whether one value of the field can stand in a path or a query."""
    message: Descriptor | None = field.message_type
    return message is None or message.full_name in TEXT_TYPES or message.full_name in WRAPPER_TYPES
