import re

from number_verification.domain.onboarding.identifiers import new_client_id, new_id
from number_verification.gen.rules import MESSAGE_RULES


def test_chosen_ids_keep_to_the_contract_and_differ() -> None:
    (rule,) = (r for r in MESSAGE_RULES["onboarding.v1.CreatePersonRequest"].fields if r.name == "person_id")
    chosen = {new_id() for _ in range(1000)}
    assert len(chosen) == 1000
    assert all(re.fullmatch(rule.pattern, each) for each in chosen)


def test_client_ids_differ() -> None:
    chosen = {new_client_id() for _ in range(1000)}
    assert len(chosen) == 1000
    assert all(len(each) == 32 and each.isalnum() for each in chosen)
