"""Use cases: the product catalogue. It is everybody's to read, and the operator's staff's to write."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from number_verification.domain.clock import Milliseconds
from number_verification.domain.contract import AccessRule, Caller
from number_verification.domain.onboarding import display_name
from number_verification.domain.onboarding.checks import each, name_violations, one_of, purpose_fault
from number_verification.domain.onboarding.principal import Principal
from number_verification.domain.onboarding.product import Plan, Product, ProductState
from number_verification.domain.onboarding.reach import every
from number_verification.domain.onboarding.refusals import blocked, denied, not_found, refuse_violations
from number_verification.domain.onboarding.rules import Rules
from number_verification.domain.onboarding.steps import Step, require_changeable, require_etag, require_step
from number_verification.domain.onboarding.storing import added, replaced
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.domain.refusal import Reason, Violation
from number_verification.registry.store import Reading, Writing


class PlanDraft(NamedTuple):
    """What a caller says of a plan."""

    plan: Plan
    purposes: tuple[str, ...] = ()
    """Those of the plan as they were given, twice the same perhaps."""
    scopes: tuple[str, ...] = ()
    """The same of its scopes."""


class ProductDraft(NamedTuple):
    """What a caller says of a product."""

    display_name: str = ""
    operations: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    plans: tuple[PlanDraft, ...] = ()


MIN_RATE, MAX_RATE = 0.000_001, 1_000_000
"""Tokens a second. `domain.allowance` counts in millionths, and nobody is given more than a million."""

CHANGEABLE = frozenset(ProductDraft._fields)


def get(reading: Reading, name: str) -> Product:
    """The product with this name.

    Raises:
        Refusal: NOT_FOUND.
    """
    product = reading.find(Product, name)
    if product is None:
        raise not_found(Reason.NO_SUCH_ENTITY)
    return product


def create(
    writing: Writing, principal: Principal, rules: Rules, draft: ProductDraft, product_id: str, now: Milliseconds
) -> Product:
    """Put a product into the catalogue.

    Raises:
        Refusal: PERMISSION_DENIED, INVALID_ARGUMENT, ALREADY_EXISTS.
    """
    _require_staff(principal)
    name = f"products/{product_id or rules.new_id()}"
    empty = Product(name=name, display_name="", operations=(), scopes=frozenset(), purposes=frozenset(), plans=())
    return added(writing, _changed(empty, draft, CHANGEABLE, rules), now)


def update(
    writing: Writing,
    principal: Principal,
    rules: Rules,
    name: str,
    draft: ProductDraft,
    paths: frozenset[str],
    etag: str,
    now: Milliseconds,
) -> Product:
    """Change the fields of a product that `paths` names, some of `CHANGEABLE`. Its subscribers see it at once.

    Raises:
        Refusal: PERMISSION_DENIED, NOT_FOUND, INVALID_ARGUMENT, ABORTED; FAILED_PRECONDITION where a plan that is
            subscribed to would be gone.
    """
    _require_staff(principal)
    product = get(writing, name)
    require_etag(product, etag)
    require_changeable(product.state)
    changed = _changed(product, draft, paths, rules)
    gone = frozenset(plan.id for plan in product.plans) - frozenset(plan.id for plan in changed.plans)
    if gone:
        _require_unused(writing, name, gone)
    return replaced(writing, changed, now)


def go(writing: Writing, principal: Principal, name: str, step: Step, etag: str, now: Milliseconds) -> Product:
    """Take a product to another state.

    Raises:
        Refusal: PERMISSION_DENIED, NOT_FOUND, ABORTED, FAILED_PRECONDITION.
    """
    _require_staff(principal)
    product = get(writing, name)
    require_etag(product, etag)
    require_step(product.state, step)
    return replaced(writing, replace(product, state=ProductState(step.target)), now)


def _require_staff(principal: Principal) -> None:
    if not principal.is_staff:
        raise denied(Reason.ROLE_MISSING, "the catalogue is the operator's")


def _require_unused(reading: Reading, name: str, plans: frozenset[str]) -> None:
    for subscription in every(reading, Subscription):
        ended = subscription.state is SubscriptionState.ENDED
        if subscription.product == name and subscription.plan in plans and not ended:
            raise blocked(Reason.PLAN_IN_USE, Violation("product.plans", "a plan that is subscribed to would be gone"))


def _changed(product: Product, draft: ProductDraft, paths: frozenset[str], rules: Rules) -> Product:
    """The product with what `paths` names of the draft, held to all rules: its fields depend on each other."""
    draft = _merged(product, draft, paths)
    scopes = scopes_of(draft.operations, rules.operations)
    refuse_violations(_violations(draft, scopes, rules.operations))
    return replace(
        product,
        display_name=draft.display_name,
        operations=draft.operations,
        scopes=scopes,
        purposes=frozenset(draft.purposes),
        plans=tuple(
            d.plan._replace(
                display_name=display_name.normalized(d.plan.display_name),
                purposes=frozenset(d.purposes),
                scopes=frozenset(d.scopes),
            )
            for d in draft.plans
        ),
    )


def _merged(product: Product, draft: ProductDraft, paths: frozenset[str]) -> ProductDraft:
    stored = ProductDraft(
        product.display_name,
        product.operations,
        tuple(sorted(product.purposes)),
        tuple(PlanDraft(plan, tuple(sorted(plan.purposes)), tuple(sorted(plan.scopes))) for plan in product.plans),
    )
    merged = stored._replace(**{path: getattr(draft, path) for path in paths})
    return merged._replace(display_name=display_name.normalized(merged.display_name))


def scopes_of(operations: tuple[str, ...], rules: Mapping[str, AccessRule]) -> frozenset[str]:
    """The OAuth scopes of methods, as the contract has them."""
    return frozenset[str]().union(*(rules[operation].scopes for operation in operations if operation in rules))


def _violations(draft: ProductDraft, scopes: frozenset[str], rules: Mapping[str, AccessRule]) -> Iterator[Violation]:
    yield from name_violations("product.displayName", draft.display_name)
    for field, values in (
        ("operations", draft.operations),
        ("purposes", draft.purposes),
        ("plans", draft.plans),
    ):
        if not values:
            yield Violation(f"product.{field}", "is required")
    for_consumers = frozenset(name for name, rule in rules.items() if rule.caller is Caller.API_CONSUMER)
    yield from each("product.operations", draft.operations, one_of(for_consumers, "is not a method for API consumers"))
    yield from each("product.purposes", draft.purposes, purpose_fault)
    seen: set[str] = set()
    for index, plan in enumerate(draft.plans):
        field = f"product.plans[{index}]"
        if plan.plan.id in seen:
            yield Violation(f"{field}.id", "is given twice")
        seen.add(plan.plan.id)
        yield from _plan_violations(field, plan, frozenset(draft.purposes), scopes)


def _plan_violations(
    field: str, draft: PlanDraft, purposes: frozenset[str], scopes: frozenset[str]
) -> Iterator[Violation]:
    rate, burst, _, _ = draft.plan.limits
    name = display_name.normalized(draft.plan.display_name)
    yield from name_violations(f"{field}.displayName", name)
    if rate and not MIN_RATE <= rate <= MAX_RATE:  # so is NaN
        yield Violation(f"{field}.rate", f"must be 0, or from {MIN_RATE:f} to {MAX_RATE:f}")
    elif rate and not burst:
        yield Violation(f"{field}.burst", "must be at least 1 where there is a rate")
    elif burst and not rate:
        yield Violation(f"{field}.burst", "must be 0 where there is no rate")
    narrower: tuple[tuple[str, tuple[str, ...], Callable[[Any], str]], ...] = (
        ("purposes", draft.purposes, one_of(purposes, "is not a purpose of the product")),
        ("scopes", draft.scopes, one_of(scopes, "is not a scope of the product")),
    )
    for name, values, fault in narrower:
        yield from each(f"{field}.{name}", values, fault)
