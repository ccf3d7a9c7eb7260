"""One run of the plugin: from protoc's request to its response."""

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse

from number_verification.rest.tables import Api
from protoc_gen_rest import emit
from protoc_gen_rest.bindings import Exposed, exposed_services
from protoc_gen_rest.collisions import sort_key
from protoc_gen_rest.contract import Contract
from protoc_gen_rest.openapi import document, to_json, to_yaml
from protoc_gen_rest.rules import access_rules, message_rules
from protoc_gen_rest.source import ContractError


def respond(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """The generated files, or the first mistake of the contract as the response's error."""
    response = CodeGeneratorResponse(
        supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL,
    )
    try:
        files = generate(Contract(request))
    except ContractError as error:
        response.error = str(error)
        return response
    for name, content in files.items():
        response.file.add(name=name, content=content)
    return response


def generate(contract: Contract) -> dict[str, str]:
    """The generated files by name.

    Raises:
        ContractError: a mistake in the contract.
    """
    access, messages = access_rules(contract), message_rules(contract)
    exposed = exposed_services(contract, access)
    routes = sorted((binding.route for service in exposed for binding in service.bindings), key=sort_key)
    apis = [Api(service.api.base_path, _document_name(service), service.internal) for service in exposed]
    files = {"rules.py": emit.rules_module(access, messages), "routes.py": emit.routes_module(apis, routes)}
    for service, api in zip(exposed, apis, strict=True):
        content = document(contract, service, access)
        files[f"{api.document}.json"] = to_json(content)
        files[f"{api.document}.yaml"] = to_yaml(content)
    return files


def _document_name(service: Exposed) -> str:
    return f"openapi/{service.api.base_path.strip('/').replace('/', '-')}"
