"""The group `admin` itself: what all its commands share. Light, since every start of the console script reads it."""

import os
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
            # What gRPC's core has to say goes to standard error, where scripts look for one line of ours.
            os.environ.setdefault("GRPC_VERBOSITY", "NONE")
            from number_verification.administration.tree import tree

            loaded: Any = typer.main.get_group(tree())
            self.commands = loaded.commands


admin = typer.Typer(cls=AdminGroup, help=_HELP, no_args_is_help=True)


def _said(name: str, text: str, metavar: str | None = None) -> Any:
    """An option of the connection, with the environment variable that says the same."""
    variable = _VARIABLE + name.removeprefix("--").upper().replace("-", "_")
    return typer.Option(name, metavar=metavar, envvar=variable, rich_help_panel=_PANEL, help=text)


_Server = Annotated[str | None, _said("--server", "The internal gRPC listener.", "HOST:PORT")]
_Issuer = Annotated[str | None, _said("--issuer", "Where tokens are asked for.", "URL")]
_ClientId = Annotated[str | None, _said("--client-id", "Who calls.")]
_Key = Annotated[
    Path | None, _said("--key", "The caller's private key, a JWK; only its owner may read the file.", "FILE")
]
_Ca = Annotated[Path | None, _said("--ca", "The authorities to trust, PEM. By default the public ones.", "FILE")]
_Cert = Annotated[
    Path | None, _said("--cert", "The caller's certificate, PEM; instead of issuer, client ID and key.", "FILE")
]
_CertKey = Annotated[
    Path | None, _said("--cert-key", "Its private key, PEM; only its owner may read the file.", "FILE")
]
_Sandbox = Annotated[
    Path | None, _said("--sandbox", "The sandbox.json of a running sandbox, instead of all the others.", "FILE")
]
_Timeout = Annotated[float, typer.Option(min=0.1, rich_help_panel=_PANEL, help="Seconds that one try may take.")]


@admin.callback()
def _connection(
    context: typer.Context,
    server: _Server = None,
    issuer: _Issuer = None,
    client_id: _ClientId = None,
    key: _Key = None,
    ca: _Ca = None,
    cert: _Cert = None,
    cert_key: _CertKey = None,
    sandbox: _Sandbox = None,
    timeout: _Timeout = 10.0,
) -> None:
    from number_verification.administration.connection import Connection

    connection = Connection(
        server, issuer, client_id, key, ca, cert, cert_key, sandbox, default_sandbox=RUN_SANDBOX, timeout=timeout
    )
    context.obj = connection
    context.call_on_close(connection.close)
