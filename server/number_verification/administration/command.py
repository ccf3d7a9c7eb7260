"""The group `admin` itself: what all its commands share. Light, since every start of the console script reads it."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from number_verification.administration.failure import Failure

RUN_SANDBOX = Path(".sandbox/sandbox.json")
"""Where `make run` keeps its sandbox."""

_VARIABLE = "NUMBER_VERIFICATION_"
_PANEL = "Which service, and as whom"

_HELP = (
    "Administers a service through its internal gRPC API.\n\n"
    "For people commands print tables, for scripts (--json) one JSON object a line.\n\n"
    "Options of the connection stand before the command. Without any, the sandbox that `make run` started is meant. "
    "A token is asked for with a private key (client credentials); a client certificate needs none. "
    "Plain text is only spoken to this machine.\n\n"
    "Exit codes: 0 done, 1 refused by the service (or `audit verify` found something), 2 wrong use, 3 not reached, "
    "4 a dry run found something to do."
)


class AdminGroup(TyperGroup):
    """Commands that are put together when one of them is wanted, and whose failures are told in a line."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the commands."""
        self._load()
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name."""
        self._load()
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is wanted."""
        try:
            return super().invoke(ctx)
        except Failure as failed:
            from number_verification.administration import output

            output.failure(failed)
            ctx.exit(failed.exit_code)

    def _load(self) -> None:
        if not self.commands:
            from number_verification.administration.tree import tree

            loaded: Any = typer.main.get_group(tree())
            self.commands = loaded.commands


admin = typer.Typer(cls=AdminGroup, help=_HELP, no_args_is_help=True)


def _variable(name: str) -> Any:
    return f"{_VARIABLE}{name}"


@admin.callback()
def _connection(
    context: typer.Context,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", envvar=_variable("SERVER"), rich_help_panel=_PANEL, help="The internal gRPC listener."
        ),
    ] = None,
    issuer: Annotated[
        str | None,
        typer.Option(
            metavar="URL", envvar=_variable("ISSUER"), rich_help_panel=_PANEL, help="Where tokens are asked for."
        ),
    ] = None,
    client_id: Annotated[
        str | None, typer.Option(envvar=_variable("CLIENT_ID"), rich_help_panel=_PANEL, help="Who calls.")
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar=_variable("KEY"),
            rich_help_panel=_PANEL,
            help="The caller's private key, a JWK; only its owner may read the file.",
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar=_variable("CA"),
            rich_help_panel=_PANEL,
            help="The authorities to trust, PEM. By default the public ones.",
        ),
    ] = None,
    cert: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar=_variable("CERT"),
            rich_help_panel=_PANEL,
            help="The caller's certificate, PEM; instead of issuer, client ID and key.",
        ),
    ] = None,
    cert_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar=_variable("CERT_KEY"),
            rich_help_panel=_PANEL,
            help="Its private key, PEM; only its owner may read the file.",
        ),
    ] = None,
    sandbox: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar=_variable("SANDBOX"),
            rich_help_panel=_PANEL,
            help="The sandbox.json of a running sandbox, instead of all the others.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, rich_help_panel=_PANEL, help="Seconds that one try may take.")
    ] = 10.0,
) -> None:
    from number_verification.administration.connection import Connection

    context.obj = Connection(
        server, issuer, client_id, key, ca, cert, cert_key, sandbox, default_sandbox=RUN_SANDBOX, timeout=timeout
    )
