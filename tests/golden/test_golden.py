"""The plugin on whole protos, good and wrong, against committed outputs.

`UPDATE_GOLDEN=1 pytest tests/golden` writes the outputs anew; what changed must then be read.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from golden.compiled import GOLDEN, compiled
from protoc_gen_rest.plugin import respond

APIS = ("library", "registry")
"""A public one, and an internal one."""


def assert_golden(name: str, content: str) -> None:
    path: Path = GOLDEN / "expected" / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert content == path.read_text()


@pytest.mark.parametrize("api", APIS)
def test_good_contract(api: str) -> None:
    response = respond(compiled(f"{api}/v1/{api}.proto"))
    assert response.error == ""
    names = {file.name for file in response.file}
    assert names == {"routes.py", "rules.py", f"openapi/{api}-v1.json", f"openapi/{api}-v1.yaml"}
    for file in response.file:
        # Not `.py`: what is expected is data here, not code to lint.
        assert_golden(f"{api}/{file.name.replace('.py', '.py.txt')}", file.content)


@pytest.mark.parametrize("api", APIS)
def test_document_is_valid_openapi(api: str) -> None:
    response = respond(compiled(f"{api}/v1/{api}.proto"))
    (text,) = (file.content for file in response.file if file.name.endswith(".json"))
    document = json.loads(text)
    validate(document)
    # Paths that differ in the names of their parameters only are the same (OpenAPI 3.0.3, Paths Object).
    shapes = [re.sub(r"{[^}]*}", "{}", path) for path in document["paths"]]
    assert len(set(shapes)) == len(shapes)


def test_apis_of_both_kinds_in_one_table() -> None:
    response = respond(compiled("library/v1/library.proto", "registry/v1/registry.proto"))
    (routes,) = (file.content for file in response.file if file.name == "routes.py")
    scope: dict[str, Any] = {}
    exec(compile(routes, "routes.py", "exec"), scope)  # noqa: S102 - our own output
    assert {api.base_path: api.internal for api in scope["APIS"]} == {"/library/v1": False, "/registry/v1": True}
    assert {(route.segments[0], route.internal) for route in scope["ROUTES"]} == {
        ("library", False),
        ("registry", True),
    }


@pytest.mark.parametrize("api", APIS)
def test_generated_modules_hold_the_data(api: str, tmp_path: Path) -> None:
    response = respond(compiled(f"{api}/v1/{api}.proto"))
    for file in response.file:
        if file.name.endswith(".py"):
            scope: dict[str, object] = {}
            exec(compile(file.content, file.name, "exec"), scope)  # noqa: S102 - our own output
            assert scope.keys() & {"ROUTES", "ACCESS_RULES"}
            (tmp_path / file.name).write_text(file.content)
    types = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "routes.py", "rules.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(GOLDEN.parents[1] / "server")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert types.returncode == 0, types.stdout


def test_output_does_not_depend_on_the_process() -> None:
    """Sets have another order in every process."""
    request = compiled("library/v1/library.proto").SerializeToString()
    outputs = {
        subprocess.run(
            [sys.executable, "-m", "protoc_gen_rest"],
            input=request,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {respond(compiled("library/v1/library.proto")).SerializeToString()}
