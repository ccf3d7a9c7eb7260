"""The plugin as protoc and buf call it: a CodeGeneratorRequest on stdin, a CodeGeneratorResponse on stdout."""

import sys

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest

from protoc_gen_rest.plugin import respond

if __name__ == "__main__":
    request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    sys.stdout.buffer.write(respond(request).SerializeToString())
