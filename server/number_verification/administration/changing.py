"""Commands that write the fields of a resource: create, update, and the rotation of keys."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from google.protobuf.message import Message

from number_verification.administration import calling, contract, files, options, output
from number_verification.administration.api import Api
from number_verification.administration.calling import AS_JSON, ETAG, REQUEST_ID
from number_verification.administration.failure import Failure
from number_verification.administration.resources import ANY, Kind

_KEYS = "jwks"


def add_create(group: typer.Typer, kind: Kind) -> None:
    """Add `create` to the group of a kind."""

    def run(context: typer.Context, name: str, request_id: str | None, as_json: bool, **said: Any) -> None:
        resource = contract.new(kind.message)
        options.put(resource, kind.settable, said)
        api = calling.connection(context).api
        calling.show(create(api, kind, kind.full_name(name), resource, request_id or ""), as_json=as_json)

    fields = [options.parameter(field) for field in kind.settable]
    text = f"{contract.about_method(kind.method('create'))} `{ANY}` for its ID lets the service choose one."
    parameters = [calling.name_of(kind), *fields, REQUEST_ID, AS_JSON]
    group.command("create", help=text, short_help=contract.summary(kind.method("create")))(
        options.command("create", run, parameters, text)
    )


def add_update(group: typer.Typer, kind: Kind) -> None:
    """Add `update` to the group of a kind."""
    flags = {options.option_name(field)[2:]: field.name for field in kind.changeable}

    def run(
        context: typer.Context,
        name: str,
        clear: Sequence[str],
        etag: str | None,
        request_id: str | None,
        as_json: bool,
        **said: Any,
    ) -> None:
        unknown = [field for field in clear if field not in flags]
        if unknown:
            raise Failure(f"--clear {unknown[0]}: must be one of {', '.join(flags)}")
        resource: Any = contract.new(kind.message)
        mask = options.put(resource, kind.changeable, said) + [flags[field] for field in clear]
        if not mask:
            raise Failure("nothing to change: say at least one field")
        if len(set(mask)) < len(mask):
            raise Failure("a field is both set and cleared")
        resource.name, resource.etag = kind.full_name(name), etag or ""
        api = calling.connection(context).api
        calling.show(update(api, kind, resource, mask, request_id or ""), as_json=as_json)

    clear = typer.Option("--clear", metavar="FIELD", help=f"Empty it: one of {', '.join(flags)}. May be repeated.")
    fields = [options.parameter(field) for field in kind.changeable]
    text = "Changes the fields that are said, and no others. Of several values all must be said."
    parameters = [calling.name_of(kind), *fields, options.option("clear", list[str], clear, ()), ETAG, REQUEST_ID]
    group.command("update", help=text, short_help=contract.summary(kind.method("update")))(
        options.command("update", run, [*parameters, AS_JSON], text)
    )


def create(api: Api, kind: Kind, name: str, resource: Message, request_id: str = "") -> Message:
    """Create a resource.

    Raises:
        Failure: refused, or not reached.
    """
    method = kind.method("create")
    request: Any = contract.new(method.input_type)
    getattr(request, kind.singular).CopyFrom(resource)
    parent, _, identifier = name.rpartition(f"/{kind.plural}/") if kind.collection else ("", "", name.split("/")[-1])
    if parent:
        request.parent = parent
    if identifier != ANY:
        setattr(request, f"{kind.singular}_id", identifier)
    request.request_id = request_id
    return calling.unwrapped(api.call(method, request))


def update(api: Api, kind: Kind, resource: Message, mask: Sequence[str], request_id: str = "") -> Message:
    """Change fields of a resource.

    Raises:
        Failure: refused, or not reached.
    """
    method = kind.method("update")
    request: Any = contract.new(method.input_type)
    getattr(request, kind.singular).CopyFrom(resource)
    request.update_mask.paths.extend(mask)
    request.request_id = request_id
    return calling.unwrapped(api.call(method, request))


def get(api: Api, kind: Kind, name: str) -> Message:
    """Read a resource.

    Raises:
        Failure: refused, or not reached.
    """
    method = kind.method("get")
    request: Any = contract.new(method.input_type)
    request.name = name
    return calling.unwrapped(api.call(method, request))


def find(api: Api, kind: Kind, name: str) -> Message | None:
    """Read a resource; None if there is none within reach.

    Raises:
        Failure: refused for another reason, or not reached.
    """
    try:
        return get(api, kind, name)
    except Failure as failure:
        if failure.code == "NOT_FOUND":
            return None
        raise


def keys_group(kind: Kind) -> typer.Typer:
    """The group `keys` of a kind that has keys. What it changes is guarded by the etag that was read."""
    group = typer.Typer(help=f"The public keys of {kind.plural}.", no_args_is_help=True)
    file = typer.Option("--jwks", metavar="FILE", help="A file with a JWK set, or with one public key.")
    from_file = options.option("jwks", Path, file, required=True)
    kid_option = typer.Option("--kid", help="The identifier of the key.")
    kid_parameter = options.option("kid", str, kid_option, required=True)

    def show(context: typer.Context, name: str, as_json: bool) -> None:
        resource: Any = get(calling.connection(context).api, kind, kind.full_name(name))
        _show_keys(resource, as_json=as_json)

    def replace(context: typer.Context, name: str, as_json: bool, jwks: Path) -> None:
        new = _keys_in(kind, jwks)
        _change(context, kind, name, as_json, lambda _: new)

    def add(context: typer.Context, name: str, as_json: bool, jwks: Path) -> None:
        new = _keys_in(kind, jwks)

        def joined(old: list[Any]) -> list[Any]:
            taken = {key.kid for key in old} & {key.kid for key in new}
            if taken:
                raise Failure(f"there is a key of this kid already: {', '.join(sorted(taken)) or '(none)'}")
            return [*old, *new]

        _change(context, kind, name, as_json, joined)

    def remove(context: typer.Context, name: str, as_json: bool, kid: str) -> None:
        def others(old: list[Any]) -> list[Any]:
            kept = [key for key in old if key.kid != kid]
            if len(kept) == len(old):
                raise Failure(f"there is no key of the kid {kid}")
            return kept

        _change(context, kind, name, as_json, others)

    common = [calling.name_of(kind), AS_JSON]
    for name, run, more, text in (
        ("show", show, [], "Shows the keys."),
        ("set", replace, [from_file], "Puts other keys in the place of those that are there."),
        ("add", add, [from_file], "Adds keys: the first step of a rotation."),
        ("remove", remove, [kid_parameter], "Removes a key: the last step of a rotation."),
    ):
        group.command(name, help=text)(options.command(name, run, [*common, *more], text))
    return group


def _keys_in(kind: Kind, path: Path) -> list[Any]:
    resource: Any = contract.new(kind.message)
    options.put_json(resource, kind.message.fields_by_name[_KEYS], files.public_keys(path), str(path))
    return list(resource.jwks.keys)


def _change(context: typer.Context, kind: Kind, name: str, as_json: bool, changed: Any) -> None:
    api = calling.connection(context).api
    found: Any = get(api, kind, kind.full_name(name))
    keys = changed(list(found.jwks.keys))
    resource: Any = contract.new(kind.message)
    resource.name, resource.etag = found.name, found.etag
    resource.jwks.keys.extend(keys)
    _show_keys(update(api, kind, resource, [_KEYS]), as_json=as_json)


def _show_keys(resource: Any, *, as_json: bool) -> None:
    if as_json:
        output.json_line(resource.jwks)
    elif resource.jwks.keys:
        columns = ("kid", "kty", "alg", "use")
        output.messages(resource.jwks.keys, [resource.jwks.keys[0].DESCRIPTOR.fields_by_name[name] for name in columns])
    else:
        output.lines(["no keys"])
