"""The console script against an internal listener and an authorization server."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from functional.administration.internal import Internal, running_internal
from functional.service import SCRIPT
from functional.serving import key_pair, public
from unit.client.provider import AuthorizationServer, running_provider

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
    """`number-verification admin`, as a process of its own."""

    def __init__(self, directory: Path, internal: Any, provider: AuthorizationServer) -> None:
        self.directory = directory
        self.internal = internal
        self.provider = provider
        self.key = key_pair()
        self.key_file = directory / "key.json"
        self.write_key(self.key)
        self.connection = ["--server", internal.address, "--issuer", provider.issuer, "--client-id", CLIENT_ID]
        self.connection += ["--key", str(self.key_file)]

    def write_key(self, content: object, mode: int = 0o600) -> None:
        self.key_file.write_text(json.dumps(content))
        self.key_file.chmod(mode)

    def write(self, name: str, content: object) -> Path:
        path = self.directory / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def key_set(self, *kids: str) -> Path:
        """A file with public keys of these identifiers."""
        keys = public(*({**key_pair(), "kid": kid} for kid in kids))
        return self.write(f"{'-'.join(kids) or 'none'}.json", keys)

    def __call__(self, *arguments: str | Path, stdin: str = "", **variables: str) -> Done:
        """Run a command with this connection."""
        return self.bare(*self.connection, *arguments, stdin=stdin, **variables)

    def bare(self, *arguments: str | Path, stdin: str = "", **variables: str) -> Done:
        """Run a command."""
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
        for output in (ran.stdout, ran.stderr):
            assert "Traceback" not in output
            assert '"event":' not in output
            assert self.key["d"] not in output
        return Done(ran.returncode, ran.stdout, ran.stderr)

    def done(self, *arguments: str | Path, stdin: str = "") -> Done:
        """Run a command that must succeed."""
        done = self(*arguments, stdin=stdin)
        assert (done.code, done.err) == (0, ""), done
        return done


@pytest.fixture
def internal() -> Iterator[Internal]:
    with running_internal() as running:
        yield running


@pytest.fixture
def admin(tmp_path: Path, internal: Internal) -> Iterator[Admin]:
    with running_provider() as provider:
        yield Admin(tmp_path, internal, provider)
