import contextlib

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st

from number_verification.domain.onboarding.applications import CHANGEABLE
from number_verification.domain.refusal import Kind, Refusal
from number_verification.gen.onboarding.v1 import applications_pb2 as pb
from number_verification.services.update_masks import paths

NAME = "organizations/bank/applications/app"
FULL = pb.Application(
    name=NAME,
    display_name="App",
    client_id="c",
    jwks_uri="https://bank.example/jwks",
    requires_dpop=True,
    state=pb.APPLICATION_STATE_ACTIVE,
    etag="1",
)


def test_without_a_mask_all_that_is_given_is_meant() -> None:
    assert paths(FULL, FieldMask(), CHANGEABLE) == {"display_name", "jwks_uri", "requires_dpop"}
    assert paths(pb.Application(name=NAME), FieldMask(), CHANGEABLE) == set()


def test_a_star_means_all_that_can_be_changed() -> None:
    assert paths(pb.Application(name=NAME), FieldMask(paths=["*"]), CHANGEABLE) == CHANGEABLE


def test_a_mask_means_what_it_names_given_or_not() -> None:
    assert paths(FULL, FieldMask(paths=["jwks", "display_name", "jwks"]), CHANGEABLE) == {"jwks", "display_name"}


def test_every_changeable_field_is_one_of_the_message() -> None:
    assert set(pb.Application.DESCRIPTOR.fields_by_name) >= CHANGEABLE


@pytest.mark.parametrize(
    "path",
    ["name", "state", "etag", "client_id", "create_time", "other", "displayName", "jwks.keys", "", "*", "a\x00b"],
)
def test_what_cannot_be_changed_is_refused_by_its_position(path: str) -> None:
    with pytest.raises(Refusal) as caught:
        paths(FULL, FieldMask(paths=["display_name", path, "jwks"]), CHANGEABLE)
    assert caught.value.kind is Kind.INVALID_ARGUMENT
    assert [violation.field for violation in caught.value.violations] == ["updateMask.paths[1]"]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Refusal) as caught:
        paths(FULL, FieldMask(paths=["*", "jwks", "state"]), CHANGEABLE)
    assert [violation.field for violation in caught.value.violations] == ["updateMask.paths[0]", "updateMask.paths[2]"]


def test_a_resource_has_a_name() -> None:
    with pytest.raises(Refusal) as caught:
        paths(pb.Application(display_name="App"), FieldMask(), CHANGEABLE)
    assert caught.value.violations[0].field == "application.name"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=5))
def test_whatever_is_named_it_is_judged(named: list[str]) -> None:
    with contextlib.suppress(Refusal):
        assert paths(FULL, FieldMask(paths=named), CHANGEABLE) <= CHANGEABLE
