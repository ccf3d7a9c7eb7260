"""The console script against an internal listener and an authorization server."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from functional.administration.internal import Internal, running_internal
from functional.service import SCRIPT
from functional.serving import key_pair, public
from number_verification.administration.command import admin as admin_group
from unit.client.provider import ACCESS_TOKEN, AuthorizationServer, running_provider

CLIENT_ID = "staff"


class Done(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[Any]:
        """Its JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class Admin:
    """`number-verification admin`, by whoever the authorization server gives a token."""

    def __init__(self, directory: Path, key: dict[str, Any], connection: Sequence[str]) -> None:
        self.directory = directory
        self.key = key
        self.connection = list(connection)

    def write(self, name: str, content: object) -> Path:
        path = self.directory / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def key_set(self, *kids: str) -> Path:
        """A file with public keys of these identifiers."""
        keys = public(*({**key_pair(), "kid": kid} for kid in kids))
        return self.write(f"{'-'.join(kids) or 'none'}.json", keys)

    def __call__(self, *arguments: str | Path, stdin: str = "") -> Done:
        """Run a command with this connection, in this process, which saves most of the time."""
        ran = CliRunner().invoke(admin_group, [*self.connection, *map(str, arguments)], input=stdin)
        if ran.exception is not None and not isinstance(ran.exception, SystemExit):
            raise ran.exception
        return self._looked_at(Done(ran.exit_code, ran.stdout, ran.stderr), stdin)

    def script(self, *arguments: str | Path, stdin: str = "") -> Done:
        """Run a command with this connection, as it is run by people."""
        return self.bare(*self.connection, *arguments, stdin=stdin)

    def bare(self, *arguments: str | Path, stdin: str = "", **variables: str) -> Done:
        """Run a command as it is run by people, without a connection."""
        ran = subprocess.run(
            [SCRIPT, "admin", *arguments],
            capture_output=True,
            text=True,
            input=stdin,
            timeout=60,
            check=False,
            cwd=self.directory,
            env={**os.environ, **variables},
        )
        return self._looked_at(Done(ran.returncode, ran.stdout, ran.stderr), stdin)

    def _looked_at(self, done: Done, stdin: str) -> Done:
        for output in (done.out, done.err):
            assert "Traceback" not in output
            assert '"event":' not in output
            assert self.key["d"] not in output
            assert ACCESS_TOKEN not in output
            assert not stdin.strip() or stdin.strip() not in output
        return done

    def done(self, *arguments: str | Path, stdin: str = "") -> Done:
        """Run a command that must succeed."""
        done = self(*arguments, stdin=stdin)
        assert (done.code, done.err) == (0, ""), done
        return done


class ObservedAdmin(Admin):
    """One whose service is in this process, so that a test can look at what arrives there."""

    def __init__(self, directory: Path, internal: Any, provider: AuthorizationServer) -> None:
        self.internal = internal
        self.provider = provider
        self.key_file = directory / "key.json"
        connection = ["--server", internal.address, "--issuer", provider.issuer, "--client-id", CLIENT_ID]
        super().__init__(directory, key_pair(), [*connection, "--key", str(self.key_file)])
        self.write_key(self.key)

    def write_key(self, content: object, mode: int = 0o600) -> None:
        self.key_file.write_text(json.dumps(content))
        self.key_file.chmod(mode)


@pytest.fixture
def internal() -> Iterator[Internal]:
    with running_internal() as running:
        yield running


@pytest.fixture
def admin(tmp_path: Path, internal: Internal) -> Iterator[ObservedAdmin]:
    with running_provider() as provider:
        yield ObservedAdmin(tmp_path, internal, provider)
