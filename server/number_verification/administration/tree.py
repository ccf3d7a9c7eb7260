"""All commands of `admin`, put together from the tables."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from joserfc.jwk import ECKey

from number_verification.administration import changing, contract, output
from number_verification.administration.applying import add_apply
from number_verification.administration.calling import Command
from number_verification.administration.failure import Exit, Failure
from number_verification.administration.resources import KINDS, SERVICE, Kind
from number_verification.gen.audit.v1 import audit_pb2
from number_verification.gen.consent.v1 import consent_pb2

AUDIT = audit_pb2.DESCRIPTOR.services_by_name["AuditService"]
CONSENT = consent_pb2.DESCRIPTOR.services_by_name["ConsentService"]

_USAGE = ("day", "application", "customer", "channel_partner", "operation", "outcome", "count")


def tree() -> typer.Typer:
    """The commands."""
    top = typer.Typer()
    for kind in KINDS.values():
        top.add_typer(_resource(kind), name=kind.plural)
    Command("usage", SERVICE.methods_by_name["QueryUsage"], columns=_USAGE, as_csv=True).added_to(top)
    top.add_typer(_consent(), name="consent")
    top.add_typer(_audit(), name="audit")
    keys = typer.Typer(help="Keys of one's own, to call with.", no_args_is_help=True)
    keys.command("generate")(generate)
    top.add_typer(keys, name="keys")
    add_apply(top)
    return top


_RECORD = (
    "time",
    "kind",
    "operation",
    "outcome",
    "reason",
    "principal",
    "resource",
    "application",
    "masked_phone_number",
    "correlator",
)
_CONSENT = {
    "give": "GiveConsent",
    "withdraw": "WithdrawConsent",
    "look-up": "LookUpConsent",
    "list": "ListApprovals",
    "opt-out": "OptOut",
    "opt-in": "OptIn",
}


def _resource(kind: Kind) -> typer.Typer:
    group = typer.Typer(help=contract.about_message(kind.message), no_args_is_help=True)
    Command("list", kind.list_method, columns=kind.columns).added_to(group)
    Command("get", kind.method("get"), kind).added_to(group)
    changing.add_create(group, kind)
    changing.add_update(group, kind)
    for verb in kind.verbs:
        Command(verb, kind.method(verb), kind).added_to(group)
    if "jwks" in kind.message.fields_by_name:
        group.add_typer(changing.keys_group(kind), name="keys")
    return group


def _audit() -> typer.Typer:
    group = typer.Typer(help="Who did what, when, and what became of it.", no_args_is_help=True)
    listing, verifying = AUDIT.methods_by_name["ListAuditRecords"], AUDIT.methods_by_name["VerifyAudit"]
    nobody = frozenset({"phone_number"})
    for command in (
        Command("list", listing, columns=_RECORD, left_out=nobody),
        Command("export", listing, left_out=nobody, for_scripts=True, text="Exports records, one JSON object a line."),
        Command("subscriber", listing, columns=_RECORD, text="Lists the records of one subscriber (GDPR art. 15)."),
        Command("verify", verifying, check=_untouched),
    ):
        command.added_to(group)
    return group


def _untouched(answer: Any) -> None:
    if answer.tampering_count:
        raise Failure(f"the audit trail was tampered with: {answer.tampering_count} findings", Exit.REFUSED)


def _consent() -> typer.Typer:
    group = typer.Typer(help="What subscribers agreed and objected to.", no_args_is_help=True)
    for name, method in _CONSENT.items():
        Command(name, CONSENT.methods_by_name[method]).added_to(group)
    return group


def generate(
    out: Annotated[Path, typer.Option(help="Where to write the private key, for you alone. Must not be there yet.")],
    public: Annotated[
        Path | None, typer.Option(help="Where to write the public JWK set, to be registered. By default to stdout.")
    ] = None,
) -> None:
    """Makes a key (EC, P-256): a private JWK to call with, and the JWK set to register."""
    key = ECKey.generate_key("P-256", auto_kid=True)
    common = {"alg": "ES256", "use": "sig"}
    _write_new(out, json.dumps({**key.as_dict(private=True), **common}), 0o600)
    key_set = json.dumps({"keys": [{**key.as_dict(private=False), **common}]})
    if public is None:
        output.lines([key_set])
    else:
        _write_new(public, key_set, 0o644)


def _write_new(path: Path, content: str, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content + "\n")
    except FileExistsError:
        raise Failure(f"{path} is there already: a key is never overwritten") from None
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from None
