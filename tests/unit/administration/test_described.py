import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from number_verification.administration.described import entries, read
from number_verification.administration.failure import Failure

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "registry.toml"


def faults(content: Any, path: Path = Path("registry.toml")) -> list[str]:
    with pytest.raises(Failure) as caught:
        entries(content, path)
    return list(caught.value.details)


def organization(**content: Any) -> dict[str, Any]:
    return {"organizations": [{"name": "first-bank", **content}]}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"organisations": []}, "organisations: unknown key"),
        ({"people": []}, "people: unknown key"),
        ({"products": {}}, "products: must be a list"),
        ({"products": [1]}, "products[0]: must be an object"),
        ({"products": [{}]}, "products[0].name: must be given"),
        ({"products": [{"name": 1}]}, "products[0].name: must be given"),
        ({"products": [{"name": "-"}]}, "products[0].name: must be given in full"),
        ({"products": [{"name": "verify"}, {"name": "products/verify"}]}, "products/verify is described twice"),
        (organization(colour="red"), "organizations[0].colour: unknown key"),
        (organization(display_name="x"), "organizations[0].display_name: unknown key"),
        (organization(etag="1"), "organizations[0].etag: can only be read"),
        (organization(kind="BANK"), "organizations[0].kind: "),
        (organization(displayName=5), "organizations[0].displayName: "),
        (organization(channelPartner="A B"), "organizations[0].channelPartner: no name of organizations"),
        (organization(state="ENDED"), "organizations[0].state: must be one of ACTIVE, SUSPENDED, CLOSED"),
        (organization(state=1), "organizations[0].state: must be one of"),
        (organization(state="ORGANIZATION_STATE_UNSPECIFIED"), "organizations[0].state: must be one of"),
        (
            organization(people=[{"name": "organizations/other/people/ada"}]),
            "does not belong to organizations/first-bank",
        ),
        (
            organization(people=[{"name": "ada", "clientId": "x"}]),
            "organizations[0].people[0].clientId: can only be read",
        ),
        (organization(people=[{"name": "ada", "role": []}]), "organizations[0].people[0].role: unknown key"),
        (
            organization(applications=[{"name": "app", "purposes": [{"for": 1}]}]),
            "organizations[0].applications[0].purposes: ",
        ),
        (
            organization(applications=[{"name": "app", "jwks": {}}]),
            "organizations[0].applications[0].jwks is not a JWK set",
        ),
        (organization(applications=[{"name": "app", "jwksFile": 1}]), "applications[0].jwksFile: must be a path"),
        (
            organization(applications=[{"name": "app", "jwksFile": "none"}]),
            "applications[0].jwksFile: none cannot be read",
        ),
        (organization(subscriptions=[{"name": "verify", "jwksFile": "a"}]), "subscriptions[0].jwksFile: unknown key"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(content: dict[str, Any], fault: str) -> None:
    [told] = faults(content)
    assert fault in told


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert len(faults({"a": 1, "products": [{"name": "verify", "b": 1}, {"c": 1}]})) == 3


def test_names_enums_and_references_may_be_short_or_full() -> None:
    short = organization(
        kind="CUSTOMER",
        channelPartner="aggregator",
        people=[{"name": "ada", "roles": ["BUSINESS_MANAGER"], "state": "ACTIVE"}],
        applications=[{"name": "app", "purposes": [{"purpose": "dpv:A", "legalBasis": "CONSENT"}]}],
    )
    full = organization(
        name="organizations/first-bank",
        kind="ORGANIZATION_KIND_CUSTOMER",
        channelPartner="organizations/aggregator",
        people=[
            {
                "name": "organizations/first-bank/people/ada",
                "roles": ["ROLE_BUSINESS_MANAGER"],
                "state": "PERSON_STATE_ACTIVE",
            }
        ],
        applications=[{"name": "app", "purposes": [{"purpose": "dpv:A", "legalBasis": "LEGAL_BASIS_CONSENT"}]}],
    )
    assert entries(short, Path("a")) == entries(full, Path("a"))


def test_keys_stand_in_a_file_beside_it(tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256", {"kid": "k1"})
    (tmp_path / "public.json").write_text(json.dumps({**key.as_dict(private=False), "key_ops": ["verify"]}))
    (tmp_path / "private.json").write_text(json.dumps(key.as_dict(private=True)))
    file = tmp_path / "registry.json"
    file.write_text(json.dumps(organization(applications=[{"name": "app", "jwksFile": "public.json"}])))
    wished: Any = read(file)[1].wished
    assert [each.kid for each in wished.jwks.keys] == ["k1"]
    [told] = faults(organization(people=[{"name": "ada", "jwksFile": "private.json"}]), file)
    assert "holds a private key" in told
    [told] = faults(organization(people=[{"name": "ada", "jwks": key.as_dict(private=True)}]), file)
    assert "holds a private key" in told
    [told] = faults(organization(people=[{"name": "ada", "jwks": {"keys": []}, "jwksFile": "public.json"}]), file)
    assert "described twice" in told


@pytest.mark.parametrize("content", [b"", b"= 1", b"\xff\xfe", b"[[products]]\nname = 1979-05-27\n", b"[" * 100_000])
@pytest.mark.parametrize("name", ["registry.toml", "registry.json"])
def test_no_file_ends_in_a_stack_trace(tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    if (name, content) == ("registry.toml", b""):
        assert read(file) == []
        return
    with pytest.raises(Failure):
        read(file)


KEYS = st.sampled_from(
    [
        "name",
        "kind",
        "state",
        "jwks",
        "keys",
        "kty",
        "plans",
        "purposes",
        "roles",
        "rate",
        "people",
        "applications",
        "jwksFile",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(JSON, JSON)
def test_whatever_stands_in_a_file_is_read_or_refused(products: object, organizations: object) -> None:
    with suppress(Failure):
        entries({"products": products, "organizations": organizations}, Path("nowhere/registry.toml"))


def test_the_example_is_right() -> None:
    assert len(read(EXAMPLE)) >= 8
