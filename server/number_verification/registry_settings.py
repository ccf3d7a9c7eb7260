"""Settings of the registry's database."""

import ipaddress
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from number_verification.listener_settings import Network, Section

_HIDDEN = frozenset({"password", "passfile", "service", "servicefile"})
"""Parameters of libpq that are not to stand in a URL: secrets, and files in which other hosts may stand."""


class RegistrySettings(Section):
    """Who is served: organizations, people, products, subscriptions and applications."""

    url: str = Field(default="", repr=False)
    """Of its database: `postgresql+psycopg://…`; absent for SQLite in the data directory."""
    password_file: Path | None = None
    """Holds the password for PostgreSQL. It is never written anywhere else."""
    stale_after_seconds: float = Field(default=30, ge=1, le=3600)
    """How long calls are answered by what was read last when the registry does not answer any more."""
    poll_seconds: float = Field(default=0.2, ge=0.05, le=0.5)
    """How often each process asks whether anything changed. A suspension is to work within a second."""
    allow_private_jwks_uris: tuple[Network, ...] = ()
    """Networks other than the Internet from which the keys of applications may be fetched."""

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.url:
            _check_url(self.url)
        if self.password_file is not None:
            if not self.url.startswith("postgresql"):
                raise ValueError("password_file is of no use without the url of a PostgreSQL")
            _check_password_file(self.password_file)
        return self

    @property
    def password(self) -> str:
        """The password; empty where there is none."""
        return _password_in(self.password_file) if self.password_file is not None else ""


def _check_url(text: str) -> None:
    """Raise a ValueError that does not quote it, for it may hold a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("url cannot be read") from None
    if url.drivername == "sqlite":
        return
    if url.drivername != "postgresql+psycopg":
        raise ValueError("url must begin with sqlite:/// or postgresql+psycopg://")
    if url.password is not None or _HIDDEN & url.query.keys():
        raise ValueError("url must hold no password and name no file that does: there is password_file")
    if url.query.get("sslmode") != "verify-full" and not all(map(_is_on_this_machine, _hosts(url))):
        raise ValueError("url needs ?sslmode=verify-full, for its PostgreSQL is reached over a network")


def _hosts(url: URL) -> Iterator[str]:
    """All that libpq may connect to; lists of them are separated by commas."""
    for value in (url.host, url.query.get("host"), url.query.get("hostaddr")):
        for listed in (value,) if isinstance(value, str) else value or ():
            for host in listed.split(","):
                # SQLAlchemy takes HOST:PORT as well.
                name, _, port = host.rpartition(":")
                yield name if name and port.isdecimal() and ":" not in name else host


def _is_on_this_machine(host: str) -> bool:
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_password_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
        password = _password_in(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ValueError(f"password_file: {path}: {reason}") from None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ValueError(f"password_file: {path} can be read or written by others")
    if not password:
        raise ValueError(f"password_file: {path} is empty")


def _password_in(path: Path) -> str:
    return path.read_text(encoding="utf-8").rstrip("\r\n")
