"""What commands print: tables for people, one JSON object a line for scripts.

Whatever comes from the service is printed without control characters: what somebody named their organization must not
steer the operator's terminal.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import typer
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from number_verification.administration import contract
from number_verification.administration.failure import Failure

_WIDTH = 10_000
"""Columns: nothing is ever wrapped or cut, since a name that is broken cannot be pasted."""
_BATCH = 500
"""Rows of a table that is printed as a whole."""


def json_line(value: Message | dict[str, object]) -> None:
    """Print a message, or an object, for scripts."""
    content = json_format.MessageToDict(value) if isinstance(value, Message) else value
    typer.echo(json.dumps(content))


def lines(values: Iterable[str]) -> None:
    """Print lines for people."""
    for value in values:
        typer.echo(printable(value))


def printable(text: str) -> str:
    """A text without characters that steer a terminal."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, show_header: bool = True) -> None:
    """Print a table. Long ones are printed in parts, so that nobody waits for the end."""
    terminal = sys.stdout.isatty()
    console = Console(width=_WIDTH, highlight=False, markup=False, emoji=False)
    for number, part in enumerate(_parts(rows)):
        content = Table(
            box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, show_header=show_header and number == 0
        )
        for heading in headings:
            content.add_column(Text(heading), no_wrap=True, overflow="ignore")
        for row in part:
            content.add_row(*(Text(printable(cell)) for cell in row))
        with console.capture() as captured:
            console.print(content)
        for line in captured.get().splitlines():
            typer.echo(line.rstrip())


def _parts(rows: Iterable[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    part: list[Sequence[str]] = []
    first = True
    for row in rows:
        part.append(row)
        if len(part) == _BATCH:
            yield part
            part, first = [], False
    if part or first:
        yield part


def messages(values: Iterable[Message], columns: Sequence[FieldDescriptor]) -> None:
    """Print messages as a table."""
    table(
        [column.name.replace("_", " ") for column in columns], ([cell(value, c) for c in columns] for value in values)
    )


def details(value: Message) -> None:
    """Print one message, a field a line."""
    rows: list[tuple[str, str]] = []
    field: Any
    for field in value.DESCRIPTOR.fields:
        heading = field.name.replace("_", " ")
        if field.is_repeated:
            texts = [
                _labelled(each) if isinstance(each, Message) else _one(field, each)
                for each in getattr(value, field.name)
            ]
            rows += [(heading if index == 0 else "", text) for index, text in enumerate(texts)]
        else:
            rows.append((heading, cell(value, field)))
    table(("", ""), [row for row in rows if row[1]], show_header=False)


def _labelled(value: Message) -> str:
    return ", ".join(f"{field.name.replace('_', ' ')} {cell(value, field)}" for field, _ in value.ListFields())


def cell(message: Message, field: Any) -> str:
    """A field's value for people."""
    value = getattr(message, field.name)
    if field.is_repeated:
        return ", ".join(_one(field, each) for each in value)
    if field.has_presence and not message.HasField(field.name):
        return ""
    return _one(field, value)


def _one(field: FieldDescriptor, value: object) -> str:
    if field.enum_type is not None and isinstance(value, int):
        return contract.short_name(field, value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, Message):
        return str(value)
    match value.DESCRIPTOR.full_name:
        case "google.protobuf.Timestamp":
            return str(json_format.MessageToDict(value))
        case "onboarding.v1.JsonWebKeySet":
            keys = value.DESCRIPTOR.fields_by_name["keys"]
            return cell(value, keys)
        case "onboarding.v1.JsonWebKey":
            return f"{value.kty} {value.kid or '(no kid)'}"  # type: ignore[attr-defined]
        case "onboarding.v1.Plan":
            return str(value.id)  # type: ignore[attr-defined]
        case _:
            texts = [cell(value, member) for member in value.DESCRIPTOR.fields]
            return " ".join(filter(None, texts))


def failure(failed: Failure) -> None:
    """Say on standard error why a command cannot go on."""
    typer.echo(printable(failed.message), err=True)
    for detail in failed.details:
        typer.echo(f"  {printable(detail)}", err=True)
