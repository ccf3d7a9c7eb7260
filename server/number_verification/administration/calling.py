"""Commands that are one method of a service each, made from the method's descriptor."""

import csv
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from number_verification.administration import contract, files, options, output
from number_verification.administration.connection import Connection
from number_verification.administration.resources import ANY, Kind
from number_verification.gen.contract.v1 import options_pb2

REQUEST_ID = options.option(
    "request_id",
    str | None,
    typer.Option(
        "--request-id", metavar="UUID", help="Whoever sends it twice gets the first answer twice. By default a new one."
    ),
)
ETAG = options.option(
    "etag", str | None, typer.Option("--etag", help="The one that was read: refused if there was a change since.")
)
AS_JSON = options.option(
    "as_json", bool, typer.Option("--json", help="For scripts: one JSON object a line."), default=False
)
_AS_CSV = options.option(
    "as_csv", bool, typer.Option("--csv", help="For billing: comma-separated, with a heading."), default=False
)
_LIMIT = options.option(
    "limit", int | None, typer.Option("--limit", min=1, help="How many at most. By default all."), default=None
)
_ORGANIZATION = options.option(
    "parent",
    str,
    typer.Option("--organization", help="Only of this one, such as first-bank. By default of all within reach."),
    default=ANY,
)
_PHONE_NUMBER = options.option(
    "phone_number",
    Path | None,
    typer.Option(
        "--phone-number-file",
        metavar="FILE",
        help="Holds the phone number; - for stdin. By default it is asked for. Never an argument: others could see it.",
    ),
)

_PRESET = {
    "etag": ETAG,
    "page_size": _LIMIT,
    "parent": _ORGANIZATION,
    "phone_number": _PHONE_NUMBER,
    "request_id": REQUEST_ID,
}
_NOT_SAID = frozenset({"page_token", "name", *_PRESET})


class Command(NamedTuple):
    """A command that is one method."""

    name: str
    method: MethodDescriptor
    kind: Kind | None = None
    """Of the resource that it is about."""
    columns: Sequence[str] = ()
    """What a list shows; everything where empty."""
    left_out: frozenset[str] = frozenset()
    """The fields that cannot be said."""
    as_csv: bool = False
    """Whether it can answer in CSV."""
    for_scripts: bool = False
    """Whether it always prints one JSON object a line."""
    text: str = ""
    """What it does, where the contract's words do not say it."""
    check: Callable[[Any], None] = lambda _: None
    """Looks at an answer that was printed, and fails where there is something wrong."""

    def added_to(self, group: typer.Typer) -> None:
        """Make it a command of a group."""
        text = self.text or contract.about_method(self.method)
        summary = self.text or contract.summary(self.method)
        group.command(self.name, help=text, short_help=summary)(
            options.command(self.name, self._run, self._parameters(), text)
        )

    def _parameters(self) -> Iterator[inspect.Parameter]:
        fields = self.method.input_type.fields
        if self.kind is not None and "name" in self.method.input_type.fields_by_name:
            yield name_of(self.kind)
        for field in fields:
            if field.name not in _NOT_SAID | self.left_out:
                yield options.parameter(field, method=self.method, required=_is_required(field))
        yield from (_PRESET[each.name] for each in fields if each.name in _PRESET and each.name not in self.left_out)
        if self.as_csv:
            yield _AS_CSV
        if not self.for_scripts:
            yield AS_JSON

    def _run(self, context: typer.Context, **said: Any) -> None:
        request = contract.new(self.method.input_type)
        fields = self.method.input_type.fields_by_name
        options.put(request, (each for each in fields.values() if each.name not in _NOT_SAID), said)
        for name in ("etag", "request_id"):
            if said.get(name):
                options.put_json(request, fields[name], said[name], f"--{name.replace('_', '-')}")
        if "parent" in said:
            options.put_json(request, fields["parent"], said["parent"], "--organization")
        if self.kind is not None and "name" in said:
            request.name = self.kind.full_name(said["name"])  # type: ignore[attr-defined]
        if "phone_number" in said:
            request.phone_number = files.phone_number(said["phone_number"])  # type: ignore[attr-defined]
        api = connection(context).api
        as_json = self.for_scripts or said["as_json"]
        if "page_token" not in fields:
            answer = api.call(self.method, request)
            show(unwrapped(answer), as_json=as_json)
            self.check(answer)
            return
        listed: Any = next(field for field in self.method.output_type.fields if field.is_repeated).message_type
        columns = [listed.fields_by_name[name] for name in self.columns] or list(listed.fields)
        items = api.pages(self.method, request, said["limit"])
        _show_list(items, columns, as_json=as_json, as_csv=said.get("as_csv", False))


def connection(context: typer.Context) -> Connection:
    """What the command line says of the service."""
    said: Connection = context.obj
    return said


def name_of(kind: Kind) -> inspect.Parameter:
    """The argument that names a resource."""
    short = "ID" if kind.collection is None else "ORGANIZATION/ID"
    info = typer.Argument(metavar="NAME", help=f"{short}, or the full name {kind.pattern}.", show_default=False)
    return options.option("name", str, info, required=True)


def unwrapped(response: Message) -> Message:
    """What an answer is about: the message in it, where there is nothing else in it."""
    fields = response.DESCRIPTOR.fields
    if len(fields) == 1 and fields[0].message_type is not None and not fields[0].is_repeated:
        inner: Message = getattr(response, fields[0].name)
        return inner
    return response


def show(message: Message, *, as_json: bool) -> None:
    """Print one message."""
    if as_json:
        output.json_line(message)
        return
    output.details(message)


def _show_list(items: Iterable[Message], columns: Sequence[FieldDescriptor], *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        for item in items:
            output.json_line(item)
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([column.name for column in columns])
        writer.writerows([output.cell(item, column) for column in columns] for item in items)
    else:
        output.messages(items, columns)


def _is_required(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().Extensions[options_pb2.field].required)
