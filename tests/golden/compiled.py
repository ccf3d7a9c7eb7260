"""Compiles protos for tests, as protoc would hand them to the plugin."""

import tempfile
from functools import cache
from pathlib import Path

import google.api
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc  # type: ignore[import-untyped]

GOLDEN = Path(__file__).parent
PROTOS = GOLDEN / "protos"
CONTRACT = GOLDEN.parents[1] / "protos"
_GOOGLE = [Path(next(iter(google.api.__path__))).parents[1], Path(protoc.__file__).parent / "_proto"]


@cache
def compiled(*names: str, root: Path = PROTOS) -> CodeGeneratorRequest:
    """The request for the files named, which lie under `root`."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "set"
        paths = [f"-I{path}" for path in (root, CONTRACT, *_GOOGLE)]
        arguments = ["protoc", *paths, "--include_imports", "--include_source_info", f"--descriptor_set_out={output}"]
        assert protoc.main([*arguments, *names]) == 0
        files = FileDescriptorSet.FromString(output.read_bytes()).file
    return CodeGeneratorRequest(file_to_generate=names, proto_file=files)


def compiled_text(folder: Path, text: str) -> CodeGeneratorRequest:
    """The request for one file with this text, which is written into `folder`."""
    (folder / "test.proto").write_text(text)
    return compiled("test.proto", root=folder)
