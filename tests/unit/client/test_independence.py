"""The client is a distribution of its own: it works where the server is not installed."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import number_verification_client

PACKAGE = Path(number_verification_client.__file__).parent

WITHOUT_SERVER = """
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("number_verification", "protoc_gen_rest", "grpc_tools", "grpc_interceptor"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocker())
try:
    import number_verification
except ModuleNotFoundError:
    pass
else:
    sys.exit("the server is not blocked")

import number_verification_client
for module in pkgutil.walk_packages(number_verification_client.__path__, "number_verification_client."):
    importlib.import_module(module.name)
missing = [name for name in number_verification_client.__all__ if not hasattr(number_verification_client, name)]
sys.exit(f"not there: {missing}" if missing else 0)
"""


def test_it_works_without_the_server() -> None:
    ran = subprocess.run(
        [sys.executable, "-I", "-c", WITHOUT_SERVER], capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_it_declares_what_it_imports() -> None:
    declared = {
        re.split(r"[<>=!~]", requirement)[0]
        for requirement in tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]["dependencies"]
    }
    imported: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    imported -= {*sys.stdlib_module_names, "number_verification_client"}
    assert {"grpc", "httpx", "joserfc"} <= imported
    for name in imported:
        assert declared & set(packages_distributions()[name]), name


def test_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
