"""Options of the command line, made from the fields of messages: one way of writing for every kind of field."""

import enum
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from number_verification.administration import contract, files
from number_verification.administration.failure import Failure
from number_verification.administration.resources import reference

_WHOLE = frozenset({FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_INT32})
_REAL = frozenset({FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT})


class Spelling(NamedTuple):
    """How a field is written on the command line."""

    type: Any
    metavar: str | None
    hint: str
    json: Callable[[Any], object]
    """What stands for it in JSON."""


def _same(value: object) -> object:
    return value


def _grounds(text: str) -> object:
    purpose, separator, basis = text.partition("=")
    return {"purpose": purpose, "legalBasis": basis} if separator else {"purpose": purpose}


def _object(text: str) -> object:
    return files.json_object(Path("the option's value"), text)


_MESSAGES: Mapping[str, Spelling] = {
    "onboarding.v1.JsonWebKeySet": Spelling(Path, "FILE", "A file with a JWK set.", files.public_keys),
    "onboarding.v1.PurposeGrounds": Spelling(str, "PURPOSE=BASIS", "Such as dpv:ServiceProvision=contract.", _grounds),
    "google.protobuf.Timestamp": Spelling(str, "TIME", "Such as 2027-01-31T00:00:00Z.", _same),
}


def _spelling(field: FieldDescriptor) -> Spelling:
    if field.message_type is not None:
        return _MESSAGES.get(field.message_type.full_name) or Spelling(
            str, "JSON", f"An object: {', '.join(member.json_name for member in field.message_type.fields)}.", _object
        )
    if field.enum_type is not None:
        names = contract.short_names(field.enum_type)
        choices = enum.StrEnum(field.enum_type.name, [(name.upper(), name) for name in names])  # type: ignore[misc]
        return Spelling(choices, None, "", str)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return Spelling(bool, None, "", _same)
    if field.type in _WHOLE:
        return Spelling(int, None, "", _same)
    if field.type in _REAL:
        return Spelling(float, None, "", _same)
    return Spelling(str, None, "", _same)


def option_name(field: FieldDescriptor) -> str:
    """A field as an option; one of several values is written in the singular."""
    name = field.name.removesuffix("s") if field.is_repeated else field.name
    return "--" + name.replace("_", "-")


def parameter(
    field: FieldDescriptor, *, method: MethodDescriptor | None = None, required: bool = False
) -> inspect.Parameter:
    """The option for a field.

    Args:
        field: of a resource, or of a request.
        method: the one whose request it belongs to.
        required: whether it must be given.
    """
    spelling = _spelling(field)
    flag = option_name(field)
    if spelling.type is bool:
        flag = f"{flag}/--no-{flag[2:]}"
    texts = (contract.about_field(field, method), spelling.hint, "May be repeated." if field.is_repeated else "")
    info = typer.Option(flag, metavar=spelling.metavar, help=" ".join(filter(None, texts)), show_default=False)
    kind: Any = list[spelling.type] if field.is_repeated else spelling.type  # type: ignore[name-defined]
    # Optional, since what is not said has to be told from what is said to be empty.
    return option(field.name, kind if required else kind | None, info, required=required)


def option(name: str, kind: Any, info: Any, default: object = None, *, required: bool = False) -> inspect.Parameter:
    """A parameter of a command."""
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else default,
        annotation=Annotated[kind, info],
    )


def put(message: Message, fields: Iterable[FieldDescriptor], values: Mapping[str, object]) -> list[str]:
    """Write what was said on the command line into a message.

    Returns:
        The names of the fields that were said.

    Raises:
        Failure: a value cannot be that of its field.
    """
    said = []
    for field in fields:
        value = values.get(field.name)
        if value is None or value == []:
            continue
        write = _spelling(field).json
        value = [write(item) for item in value] if isinstance(value, list) else write(value)
        put_json(message, field, value, option_name(field))
        said.append(field.name)
    return said


def put_json(message: Message, field: FieldDescriptor, value: object, place: str) -> None:
    """Write a JSON value into a field. Enums and names of resources may be written short.

    Raises:
        Failure: it cannot be that of the field.
    """
    try:
        complete = reference(field, contract.expanded(field, value))
        json_format.ParseDict({field.json_name: complete}, message)
    except json_format.ParseError as error:
        raise Failure(f"{place}: {_one_line(error)}") from None
    except Failure as failure:
        raise Failure(f"{place}: {failure.message}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def command(
    name: str, run: Callable[..., None], parameters: Iterable[inspect.Parameter], text: str
) -> Callable[..., None]:
    """A function that typer reads as a command with these parameters, and that calls `run` with the context."""

    def called(**values: Any) -> None:
        run(**values)

    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    every = [context, *parameters]
    called.__name__ = name
    called.__doc__ = text
    called.__annotations__ = {each.name: each.annotation for each in every}
    called.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    return called
