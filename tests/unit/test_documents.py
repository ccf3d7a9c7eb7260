"""What the operator's documents say of settings and reasons is what there is."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import UnionType

import pytest
from pydantic import BaseModel

from functional.certificates import Authority
from number_verification.config import ConfigurationRefused, ProxyProtocolSettings, Settings, load
from number_verification.domain.refusal import Reason
from number_verification.listener_settings import ListenAddress, TlsSettings

DOCUMENTS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCUMENTS / "operator-guide.md").read_text()
EXAMPLE = DOCUMENTS / "examples" / "number-verification.toml"
SECRETS = ("core-north.secret", "registry.password")


def example_in(directory: Path) -> Path:
    """The example, with the files that it names in a directory."""
    authority = Authority(directory)
    authority.certificate.rename(directory / "internal-ca.crt")
    authority.issue("auth.operator.example", "tls")
    for name in SECRETS:
        (directory / name).write_text("x" * 32)
        (directory / name).chmod(0o600)
    config = directory / "number-verification.toml"
    config.write_text(EXAMPLE.read_text().replace('"/etc/number-verification/', f'"{directory}/'))
    return config


def test_the_example_is_accepted(tmp_path: Path) -> None:
    settings = load(example_in(tmp_path))
    assert settings.registry.password == "x" * 32
    assert settings.internal is not None
    assert settings.internal.http_listen is not None


def test_the_example_is_held_to_the_rules(tmp_path: Path) -> None:
    config = example_in(tmp_path)
    config.write_text(config.read_text().replace("sslmode=verify-full&", ""))
    with pytest.raises(ConfigurationRefused, match="verify-full"):
        load(config)


def test_the_registry_of_the_guide_is_accepted(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    assert tomllib.loads(block)["registry"] == {
        key: value
        for key, value in tomllib.loads(EXAMPLE.read_text())["registry"].items()
        if key != "stale_after_seconds"
    }


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The settings of a model by their path; what lists hold is not gone into."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        kinds = kind.__args__ if isinstance(kind, UnionType) else (kind,)
        section = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if section is None or section in (ListenAddress, TlsSettings, ProxyProtocolSettings):
            yield f"{prefix}{name}"
        else:
            yield from settings_of(section, f"{prefix}{name}.")


def test_the_guide_names_the_settings_that_there_are() -> None:
    table = GUIDE.partition("## Settings")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(.*?)`", row)}
    of_listeners = {name for name in named if name.startswith("….")}
    there = set(settings_of(Settings))
    assert not named - of_listeners - there
    # What is the same for all listeners is named once, and the standard services with the public one.
    told = {name for name in there if name.replace(name.partition(".")[0], "…", 1) in of_listeners}
    assert there - named - told == {"internal.health", "internal.reflection"}


@pytest.mark.parametrize("reason", Reason)
def test_the_guide_says_what_to_look_at(reason: Reason) -> None:
    table = GUIDE.partition("## Why was it refused?")[2].partition("\n## ")[0]
    assert f"`{reason.value}`" in table


def test_the_alerts_of_the_guide_are_events() -> None:
    source = "".join(path.read_text() for path in (DOCUMENTS.parent / "server").rglob("*.py"))
    alerts = re.findall(r"^  \| (`.*?) \|", GUIDE, re.MULTILINE)
    assert len(alerts) > 5
    for name in re.findall(r"`(.*?)`", " ".join(alerts)):
        assert re.search(rf"log\.(event|fault)\(\s*{json.dumps(name)}", source), name
