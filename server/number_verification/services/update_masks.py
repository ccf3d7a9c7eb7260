"""Update masks (AIP-134, AIP-161): which fields of a resource a request means to change."""

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from number_verification.domain.onboarding.refusals import invalid, refuse_violations
from number_verification.domain.refusal import Violation

WILDCARD = "*"


def paths(resource: Any, mask: FieldMask, changeable: frozenset[str]) -> frozenset[str]:
    """The fields, by their names in the proto file, that a request means.

    Args:
        resource: the resource as it was sent.
        mask: the mask as it was sent. `*` means all that can be changed; no path, those that the resource holds.
        changeable: the fields that can be changed.

    Raises:
        Refusal: INVALID_ARGUMENT: the resource has no name, or the mask names something else, or `*` beside something.
            It is said where, not what.
    """
    if not resource.name:
        raise invalid(f"{resource.DESCRIPTOR.name.lower()}.name", "is required")
    named = list(mask.paths)
    if named == [WILDCARD]:
        return changeable
    if not named:
        return frozenset(field.name for field, _ in resource.ListFields()) & changeable
    refuse_violations(
        Violation(f"updateMask.paths[{index}]", "must stand alone" if path == WILDCARD else "cannot be changed")
        for index, path in enumerate(named)
        if path not in changeable
    )
    return frozenset(named)
