"""The console script `number-verification`."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from number_verification import __version__, log
from number_verification.administration.command import RUN_SANDBOX, admin
from number_verification.config import ConfigurationRefused, load
from number_verification.listener_settings import ListenAddress, listen_address

EXIT_REFUSED = 2
"""The exit code for a configuration that was refused."""

app = typer.Typer(
    name="number-verification",
    help="Operator-side Number Verification: whose phone number is behind this connection?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(admin, name="admin")
_errors = Console(stderr=True, highlight=False, soft_wrap=True)


def _listen(text: str) -> ListenAddress:
    try:
        return listen_address(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text}: {error}") from None


Http = Annotated[str, typer.Option(metavar="HOST:PORT", help="REST and OAuth.")]
Grpc = Annotated[str, typer.Option(metavar="HOST:PORT", help="gRPC.")]
Radius = Annotated[str, typer.Option(metavar="HOST:PORT", help="RADIUS accounting, UDP.")]
Admin = Annotated[str, typer.Option(metavar="HOST:PORT", help="Health, readiness and metrics.")]
HTTP, GRPC, RADIUS, ADMIN = "127.0.0.1:9091", "127.0.0.1:50051", "127.0.0.1:18130", "127.0.0.1:9464"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"number-verification {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    log.configure()


@app.command()
def serve(
    config: Annotated[Path, typer.Option(help="The configuration, in TOML (see docs/operator-guide.md).")],
) -> None:
    """Run the service: gRPC, REST with OAuth, RADIUS and the admin listener, as configured."""
    from number_verification.supervisor import Supervisor

    def started(listeners: object) -> None:
        log.event("started", listeners=str(listeners))

    try:
        Supervisor(load(config), started).run()
    except ConfigurationRefused as refused:
        _refuse(refused)


@app.command()
def sandbox(
    data_dir: Annotated[Path, typer.Option(help="Where to keep data and to write sandbox.json when ready.")],
    http: Http = HTTP,
    grpc: Grpc = GRPC,
    radius: Radius = RADIUS,
    admin: Admin = ADMIN,
) -> None:
    """Run the service on this machine alone, with simulated devices and a registered application.

    Port 0 takes any free one; DIR/sandbox.json tells which.
    """
    from number_verification.sandbox.run import Addresses, run

    try:
        run(data_dir, Addresses(*map(_listen, (http, grpc, radius, admin))))
    except ConfigurationRefused as refused:
        _refuse(refused)


@app.command()
def story(
    keep_serving: Annotated[bool, typer.Option(help="Go on serving after the story, until Ctrl-C.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the sandbox keeps data; if absent, for the while.")
    ] = None,
    http: Http = HTTP,
    grpc: Grpc = GRPC,
    radius: Radius = RADIUS,
    admin: Admin = ADMIN,
) -> None:
    """Start a sandbox and walk the user story once, through real sockets. Fails unless every step comes out right."""
    from number_verification.sandbox.run import Addresses
    from number_verification.sandbox.story import tell

    addresses = Addresses(*map(_listen, (http, grpc, radius, admin)))
    try:
        with tempfile.TemporaryDirectory(prefix="number-verification-") as passing:
            told_well = tell(data_dir or Path(passing), addresses, keep_serving=keep_serving)
    except ConfigurationRefused as refused:
        _refuse(refused)
    raise typer.Exit(0 if told_well else 1)


@app.command()
def token(
    sandbox: Annotated[Path, typer.Option(help="The sandbox.json of a running sandbox.", exists=True)] = RUN_SANDBOX,
    device: Annotated[str, typer.Option(help="The device whose user authorizes.")] = "phone-1",
) -> None:
    """Walk the authorization of a sandbox device and print an access token, good for one call."""
    from number_verification.sandbox.partner import Partner
    from number_verification_client import NumberVerificationError

    try:
        typer.echo(Partner(json.loads(sandbox.read_text())).token_for(device))
    except NumberVerificationError as error:
        _errors.print(f"refused: {error}", markup=False)
        raise typer.Exit(1) from None


def _refuse(refused: ConfigurationRefused) -> None:
    _errors.print("[bold red]refused to start[/]")
    for fault in refused.faults:
        _errors.print(f"  {fault}", markup=False)
    sys.exit(EXIT_REFUSED)


def main() -> None:
    """Run the command line."""
    app()
