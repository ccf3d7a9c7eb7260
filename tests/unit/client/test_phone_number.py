import hashlib

import pytest

from number_verification_client import InvalidArgument, hash_phone_number


def test_the_hash_of_the_contracts_example() -> None:
    assert hash_phone_number("+990123456789") == "a5c951a7015364c0c9801219e0a595edafb4da146512a19fd7ed543ff99fac40"


@pytest.mark.parametrize("number", ["+99012", "+990123456789012"])
def test_the_shortest_and_the_longest(number: str) -> None:
    assert hash_phone_number(number) == hashlib.sha256(number.encode()).hexdigest()


@pytest.mark.parametrize(
    "number",
    ["", "+", "990123456789", "+9901", "+9901234567890123", "+0123456", "+990 123456", "+990123456\n", "+99012345٦"],
)
def test_what_is_no_phone_number(number: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        hash_phone_number(number)
    assert not caught.value.token_may_be_used
    assert len(number) < 2 or number not in str(caught.value)
