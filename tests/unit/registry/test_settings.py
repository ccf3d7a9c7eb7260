from pathlib import Path

import pytest
from pydantic import ValidationError

from number_verification.registry_settings import RegistrySettings


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("se cret \n", encoding="utf-8")
    path.chmod(0o640)
    return path


def refusal(**settings: object) -> str:
    """Why settings are refused; which must not show a secret."""
    with pytest.raises(ValidationError) as refused:
        RegistrySettings.model_validate(settings)
    [fault] = refused.value.errors(include_input=False, include_url=False)
    assert "secret" not in fault["msg"]
    return str(fault["msg"]).removeprefix("Value error, ")


def test_nothing_needs_to_be_set() -> None:
    settings = RegistrySettings()
    assert (settings.url, settings.password) == ("", "")
    assert (settings.stale_after_seconds, settings.poll_seconds) == (30, 0.2)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/registry.db",
        "postgresql+psycopg:///registry",
        "postgresql+psycopg://user@/registry?host=/run/postgresql",
        "postgresql+psycopg://user@localhost/registry",
        "postgresql+psycopg://user@127.0.0.1:5433/registry",
        "postgresql+psycopg://user@[::1]:5433/registry",
        "postgresql+psycopg://user@/registry?host=127.0.0.1:5433&host=/run/postgresql",
        "postgresql+psycopg://user@db.example/registry?sslmode=verify-full",
        "postgresql+psycopg://user@/r?host=a.example,b.example&sslmode=verify-full&target_session_attrs=read-write",
    ],
)
def test_what_is_safe(url: str) -> None:
    assert RegistrySettings(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://user@db.example/registry",
        "postgresql+psycopg://user@192.0.2.1/registry",
        "postgresql+psycopg://user@[2001:db8::1]/registry",
        "postgresql+psycopg://user@db.example/registry?sslmode=require",
        "postgresql+psycopg://user@db.example/registry?sslmode=verify-ca",
        "postgresql+psycopg://user@db.example/registry?sslmode=verify-full&sslmode=disable",
        "postgresql+psycopg://user@localhost/registry?hostaddr=192.0.2.1",
        "postgresql+psycopg://user@localhost/registry?host=db.example",
        "postgresql+psycopg://user@/registry?host=/run/postgresql,db.example",
        "postgresql+psycopg://user@/registry?host=/run/postgresql&host=db.example:5433",
        "postgresql+psycopg://user@localhost,db.example/registry",
    ],
)
def test_over_a_network_the_server_is_verified(url: str) -> None:
    assert refusal(url=url) == "url needs ?sslmode=verify-full, for its PostgreSQL is reached over a network"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://user:secret@localhost/registry",
        "postgresql+psycopg://user@localhost/registry?password=secret",
        "postgresql+psycopg://user@localhost/registry?passfile=/secret",
        "postgresql+psycopg://localhost/registry?service=secret",
    ],
)
def test_a_password_is_not_in_the_url(url: str) -> None:
    assert "must hold no password" in refusal(url=url)


@pytest.mark.parametrize("url", ["secret", "mysql://user:secret@host/x", "postgresql+psycopg://u:secret@h:port/x"])
def test_what_is_no_url_of_a_database(url: str) -> None:
    assert refusal(url=url).startswith("url ")


def test_the_password_is_read_and_not_shown(password_file: Path) -> None:
    settings = RegistrySettings(url="postgresql+psycopg://user@localhost/registry", password_file=password_file)
    assert settings.password == "se cret "
    assert "cret" not in f"{settings!r} {settings} {settings.model_dump()}"


def test_the_password_file_is_for_us_alone(password_file: Path, tmp_path: Path) -> None:
    postgresql = "postgresql+psycopg://user@localhost/registry"
    assert "No such file" in refusal(url=postgresql, password_file=tmp_path / "nothing")
    assert "directory" in refusal(url=postgresql, password_file=tmp_path)
    assert "of no use" in refusal(password_file=password_file)
    password_file.chmod(0o644)
    assert "by others" in refusal(url=postgresql, password_file=password_file)
    password_file.chmod(0o602)
    assert "by others" in refusal(url=postgresql, password_file=password_file)
    password_file.chmod(0o600)
    password_file.write_bytes(b"\r\n")
    assert "is empty" in refusal(url=postgresql, password_file=password_file)
    password_file.write_bytes(b"\xff")
    assert "is not UTF-8" in refusal(url=postgresql, password_file=password_file)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [("stale_after_seconds", (1, 3600), (0.9, 3601)), ("poll_seconds", (0.05, 0.5), (0.04, 0.51))],
)
def test_bounds(name: str, good: tuple[float, float], bad: tuple[float, float]) -> None:
    for value in good:
        assert getattr(RegistrySettings.model_validate({name: value}), name) == value
    for value in bad:
        assert "equal to" in refusal(**{name: value})
