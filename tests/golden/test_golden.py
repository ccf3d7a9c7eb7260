"""The plugin on whole protos, good and wrong, against committed outputs.

`UPDATE_GOLDEN=1 pytest tests/golden` writes the outputs anew; what changed must then be read.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from openapi_spec_validator import validate

from golden.compiled import GOLDEN, compiled
from protoc_gen_rest.plugin import respond


def assert_golden(name: str, content: str) -> None:
    path: Path = GOLDEN / "expected" / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert content == path.read_text()


def test_good_contract() -> None:
    response = respond(compiled("library/v1/library.proto"))
    assert response.error == ""
    names = {file.name for file in response.file}
    assert names == {"routes.py", "rules.py", "openapi/library-v1.json", "openapi/library-v1.yaml"}
    for file in response.file:
        # Not `.py`: what is expected is data here, not code to lint.
        assert_golden(f"library/{file.name.replace('.py', '.py.txt')}", file.content)


def test_document_is_valid_openapi() -> None:
    response = respond(compiled("library/v1/library.proto"))
    (document,) = (file.content for file in response.file if file.name.endswith(".json"))
    validate(json.loads(document))


def test_generated_modules_hold_the_data(tmp_path: Path) -> None:
    response = respond(compiled("library/v1/library.proto"))
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
