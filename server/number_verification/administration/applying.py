"""`apply`: brings a registry to the state that a file describes."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf.message import Message

from number_verification.administration import calling, changing, contract, output
from number_verification.administration.api import Api
from number_verification.administration.described import Entry, read
from number_verification.administration.failure import Exit, Failure
from number_verification.administration.plan import CREATE, UPDATE, Step, plan

_HELP = (
    "Brings a registry to the state that a file describes: TOML, or JSON where its name ends in .json.\n\n"
    "What the file does not mention is not touched; of what it mentions, only the fields that it names. The "
    "differences are printed first, and what is impossible is said before anything is changed. Done twice, nothing is "
    "left to do."
)


def add_apply(group: typer.Typer) -> None:
    """Add `apply`."""
    group.command("apply", help=_HELP)(_apply)


def _apply(
    context: typer.Context,
    file: Annotated[Path, typer.Option("-f", "--file", metavar="FILE", help="See docs/examples/registry.toml.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; the exit code is 4 if there is something to do.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON object a step.")] = False,
) -> None:
    entries = read(file)
    api = calling.connection(context).api
    found = _found(api, entries)
    planned = plan(entries, found)
    if planned.faults:
        raise Failure("nothing was changed: not all of it is possible", details=planned.faults)
    if not as_json:
        output.lines(line for step in planned.steps for line in described(step))
    if dry_run:
        if as_json:
            _json(planned.steps, done=False)
        else:
            output.lines([f"{len(planned.steps)} to do" if planned.steps else "nothing to do"])
        raise typer.Exit(Exit.CHANGES if planned.steps else 0)
    done: list[Step] = []
    try:
        for step in planned.steps:
            _take(api, step, found)
            done.append(step)
            if as_json:
                _json([step], done=True)
    except Failure as failure:
        left = planned.steps[len(done) :]
        if as_json:
            _json(left, done=False)
        raise _broken_off(failure, done, left) from None
    if not as_json:
        output.lines([f"{len(done)} done" if done else "nothing to do"])


def _found(api: Api, entries: Iterable[Entry]) -> dict[str, Message]:
    """What is there of what is described."""
    found: dict[str, Message] = {}
    absent: set[str] = set()
    for entry in entries:
        parent = "/".join(entry.name.split("/")[:-2])
        if parent in absent:
            continue
        there = changing.find(api, entry.kind, entry.name)
        if there is None:
            absent.add(entry.name)
        else:
            found[entry.name] = there
    return found


def _take(api: Api, step: Step, current: dict[str, Message]) -> None:
    """Take one step. Keeps what comes back, since the next step about it names its etag."""
    kind, name = step.entry.kind, step.entry.name
    if step.action == CREATE:
        current[name] = changing.create(api, kind, name, step.entry.wished)
        return
    before: Any = current[name]
    if step.action == UPDATE:
        resource: Any = contract.new(kind.message)
        resource.CopyFrom(step.entry.wished)
        resource.name, resource.etag = name, before.etag
        changed = {change.field for change in step.changes}
        mask = [field.name for field in kind.message.fields if field.json_name in changed]
        current[name] = changing.update(api, kind, resource, mask)
        return
    method = kind.method(step.action)
    request: Any = contract.new(method.input_type)
    request.name, request.etag = name, before.etag
    current[name] = calling.unwrapped(api.call(method, request))


def described(step: Step) -> Iterator[str]:
    """A step for people: what begins with `+` is made, with `~` changed, with `>` led on to another state."""
    if step.action == CREATE:
        yield f"+ create {step.entry.name}"
        yield from (f"    {change.field}: {_short(change.after)}" for change in step.changes)
    elif step.action == UPDATE:
        yield f"~ update {step.entry.name}"
        yield from (f"    {change.field}: {_short(change.before)} -> {_short(change.after)}" for change in step.changes)
    else:
        yield f"> {step.action} {step.entry.name}"


def _short(value: object) -> str:
    if isinstance(value, Mapping) and isinstance(value.get("keys"), list):
        return f"keys {', '.join(key.get('kid') or '(no kid)' for key in value['keys']) or '(none)'}"
    return json.dumps(value, ensure_ascii=False)


def _json(steps: Iterable[Step], *, done: bool) -> None:
    for step in steps:
        changes: dict[str, object] = {
            change.field: {"before": change.before, "after": change.after} for change in step.changes
        }
        output.json_line({"action": step.action, "name": step.entry.name, "changes": changes, "done": done})


def _broken_off(failure: Failure, done: Sequence[Step], left: Sequence[Step]) -> Failure:
    told = [*failure.details]
    told += [f"done: {step.action} {step.entry.name}" for step in done]
    told += [f"not done: {step.action} {step.entry.name}" for step in left]
    return Failure(f"broken off at {left[0].action} {left[0].entry.name}: {failure.message}", failure.exit_code, told)
