"""HTTP rules against descriptors: every binding of the contract, checked."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor

from number_verification.domain.contract import AccessRule, Caller
from number_verification.rest.tables import FieldPath, PathVariable, QueryParameter, Route
from protoc_gen_rest import httprule
from protoc_gen_rest.collisions import rival
from protoc_gen_rest.contract import Contract, is_map, rpc_name
from protoc_gen_rest.kinds import UNSUPPORTED_TYPES, is_plain
from protoc_gen_rest.rules import reachable


class Binding(NamedTuple):
    """A route with what the OpenAPI document needs beside it."""

    route: Route
    template: httprule.Template
    method: MethodDescriptor


class Exposed(NamedTuple):
    """A service that is exposed through REST."""

    service: ServiceDescriptor
    api: Any
    """The value of its `api` option."""
    bindings: tuple[Binding, ...]
    internal: bool
    """Whether its methods are for internal callers."""


def exposed_services(contract: Contract, access: Mapping[str, AccessRule]) -> list[Exposed]:
    """The services with an `api` option and their bindings, in the order of the contract.

    Raises:
        ContractError: a rule that cannot be served.
    """
    found: list[Exposed] = []
    for service in contract.services:
        api = contract.option(service, "api")
        if api is not None:
            _check_base_path(contract, service, api.base_path, [other.api.base_path for other in found])
        rules = [(m, rule) for m in service.methods if (rule := contract.option(m, "http")) is not None]
        if api is None and rules:
            raise contract.error(rules[0][0], "an HTTP rule in a service without an api option", "http")
        if api is not None:
            internal = _is_internal(contract, service, access)
            bindings = [b for method, rule in rules for b in _bindings(contract, method, rule, api)]
            marked = tuple(binding._replace(route=binding.route._replace(internal=internal)) for binding in bindings)
            found.append(Exposed(service, api, marked, internal))
    _refuse_collisions(contract, [binding for exposed in found for binding in exposed.bindings])
    return found


def _is_internal(contract: Contract, service: ServiceDescriptor, access: Mapping[str, AccessRule]) -> bool:
    """Whether a service is for internal callers. A listener serves services as a whole, so one kind calls them all."""
    callers = [access[rpc_name(method)].caller for method in service.methods]
    for method, caller in zip(service.methods, callers, strict=True):
        if caller is not callers[0]:
            raise contract.error(method, "all methods of an exposed service must be for one kind of caller", "access")
    return Caller.INTERNAL_SERVICE in callers


def _check_base_path(contract: Contract, service: ServiceDescriptor, base_path: str, others: Iterable[str]) -> None:
    try:
        segments = httprule.parse(base_path).segments
    except httprule.TemplateError as error:
        raise contract.error(service, f"base_path {error}", "api") from None
    if base_path != "/" + "/".join(str(segment) for segment in segments if isinstance(segment, httprule.Literal)):
        raise contract.error(service, "base_path may hold literal segments only, encoded only where needed", "api")
    if base_path in others:
        raise contract.error(service, f"another service has the base_path {base_path}", "api")


def _refuse_collisions(contract: Contract, bindings: list[Binding]) -> None:
    for index, binding in enumerate(bindings):
        other = rival(binding.route, (earlier.route for earlier in bindings[:index]))
        if other is not None:
            route = binding.route
            text = f"{route.http_method} {route.template} collides with {other.template} of {other.rpc}"
            raise contract.error(binding.method, text, "http")


def _bindings(contract: Contract, method: MethodDescriptor, rule: Any, api: Any) -> Iterator[Binding]:
    if method.client_streaming or method.server_streaming:
        raise contract.error(method, "a streaming method cannot have an HTTP rule", "http")
    for message in (*reachable(method.input_type).values(), *reachable(method.output_type).values()):
        if message.full_name in UNSUPPORTED_TYPES:
            raise contract.error(method, f"{message.full_name} has no fixed JSON form and cannot be exposed", "http")
    operation_ids: set[str] = set()
    for index, part in enumerate((rule, *rule.additional_bindings)):
        if index and part.additional_bindings:
            raise contract.error(method, "additional bindings cannot be nested", "http")
        http_method, text = _pattern(contract, method, part)
        operation_id = _operation_id(contract, method, http_method if index else "", operation_ids)
        yield _Binder(contract, method, part).binding(http_method, text, api.base_path, operation_id)


def _pattern(contract: Contract, method: MethodDescriptor, rule: Any) -> tuple[str, str]:
    kind = rule.WhichOneof("pattern")
    if kind is None:
        raise contract.error(method, "the HTTP rule has no pattern", "http")
    if kind == "custom":
        # HEAD and OPTIONS follow from the other methods (RFC 9110 §9.3), and OpenAPI 3.0 has no place for more.
        raise contract.error(method, "custom HTTP methods are not served", "http")
    return kind.upper(), getattr(rule, kind)


def _operation_id(contract: Contract, method: MethodDescriptor, http_method: str, taken: set[str]) -> str:
    option = contract.option(method, "operation")
    name = option.operation_id if option is not None else ""
    name = name or method.name[0].lower() + method.name[1:]
    if http_method:
        name += f"By{http_method.capitalize()}"
    number = 1
    while (candidate := name if number == 1 else f"{name}{number}") in taken:
        number += 1
    taken.add(candidate)
    return candidate


class _Binder:
    """Checks one HTTP rule against the request and response of its method."""

    def __init__(self, contract: Contract, method: MethodDescriptor, rule: Any) -> None:
        self._contract = contract
        self._method = method
        self._rule = rule

    def _error(self, text: str) -> Exception:
        return self._contract.error(self._method, text, "http")

    def binding(self, http_method: str, text: str, base_path: str, operation_id: str) -> Binding:
        try:
            template = httprule.parse(text)
        except httprule.TemplateError as error:
            raise self._error(str(error)) from None
        if not str(template).startswith(f"{base_path}/"):
            raise self._error(f"{text!r} is outside the base_path {base_path}")
        request, body = self._method.input_type, self._rule.body
        variables = tuple(self._variables(template))
        if body and http_method in ("GET", "DELETE"):
            raise self._error(f"a {http_method} request has no body")  # RFC 9110 §9.3: its meaning is not defined
        self._check_body(body)
        self._check_response_body()
        taken = {variable.field_path for variable in variables}
        query = () if body == "*" else tuple(self._query(request, (), (), taken | {(body,)}, ()))
        verb = template.verb
        segments = [s.text if isinstance(s, httprule.Literal) else s.value for s in template.plain]
        if verb and not isinstance(template.plain[-1], httprule.Wildcard):
            # Nothing can vary: the verb is the end of the last literal.
            segments[-1], verb = f"{segments[-1]}:{verb}", ""
        route = Route(
            http_method=http_method,
            template=str(template),
            segments=tuple(segments),
            verb=verb,
            variables=variables,
            query=query,
            body=body,
            body_required=bool(body) and self._body_required(taken),
            response_body=self._rule.response_body,
            rpc=rpc_name(self._method),
            request_type=request.full_name,
            response_type=self._method.output_type.full_name,
            operation_id=operation_id,
        )
        return Binding(route, template, self._method)

    def _variables(self, template: httprule.Template) -> Iterator[PathVariable]:
        position = 0
        for segment in template.segments:
            if not isinstance(segment, httprule.Variable):
                position += 1
                continue
            name = ".".join(segment.field_path)
            field = self._field(segment.field_path)
            if field.is_repeated or not is_plain(field):
                raise self._error(f"the path variable {name!r} is not a single value")
            first, position = position, position + len(segment.segments)
            rest = segment.segments[-1] is httprule.Wildcard.REST
            yield PathVariable(segment.field_path, first, None if rest else position)

    def _field(self, path: FieldPath) -> FieldDescriptor:
        message: Descriptor | None = self._method.input_type
        field: FieldDescriptor | None = None
        for name in path:
            field = message.fields_by_name.get(name) if message is not None else None
            if field is None:
                raise self._error(f"the request has no field {'.'.join(path)!r}")
            message = None if field.is_repeated or is_plain(field) else field.message_type
        assert field is not None  # noqa: S101 - the grammar knows no empty path
        return field

    def _check_body(self, body: str) -> None:
        if body in ("", "*"):
            return
        field = self._method.input_type.fields_by_name.get(body)
        if field is None:
            raise self._error(f"the request has no field {body!r} for the body")
        if field.is_repeated or field.message_type is None or is_plain(field):
            raise self._error(f"the field {body!r} for the body is not a single message")

    def _check_response_body(self) -> None:
        name = self._rule.response_body
        if name and name not in self._method.output_type.fields_by_name:
            raise self._error(f"the response has no field {name!r}")

    def _query(
        self,
        message: Descriptor,
        path: FieldPath,
        json_path: tuple[str, ...],
        taken: set[FieldPath],
        above: tuple[str, ...],
    ) -> Iterator[QueryParameter]:
        for field in message.fields:
            here, json_here = (*path, field.name), (*json_path, field.json_name)
            if here in taken:
                continue
            name, inner = ".".join(json_here), field.message_type
            if inner is None or is_plain(field):
                yield QueryParameter(name, here)
            elif field.is_repeated:
                kind = "map" if is_map(field) else "repeated message"
                raise self._error(f"the {kind} {name!r} cannot be a query parameter")
            elif inner.full_name in (*above, message.full_name):
                raise self._error(f"the message {name!r} holds itself and cannot be query parameters")
            else:
                yield from self._query(inner, here, json_here, taken, (*above, message.full_name))

    def _body_required(self, taken: set[FieldPath]) -> bool:
        """Whether a request without a body breaks a rule whatever else it brings."""
        request, option = self._method.input_type, self._contract.option
        if self._rule.body != "*":
            rule = option(request.fields_by_name[self._rule.body], "field")
            return rule is not None and bool(rule.required)
        filled = {path[0] for path in taken}
        required = [f for f in request.fields if (rule := option(f, "field")) is not None and rule.required]
        if any(field.name not in filled for field in required):
            return True
        chosen = [o for o in request.oneofs if (rule := option(o, "oneof")) is not None and rule.required]
        return any(filled.isdisjoint(field.name for field in oneof.fields) for oneof in chosen)
