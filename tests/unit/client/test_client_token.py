from typing import Any

import pytest

from number_verification_client import OAuthError, Provider, ResponseRejected, TokenResponse
from unit.client.provider import ACCESS_TOKEN, CLIENT_ID, KEY, TOKEN_PATH, AuthorizationServer, Reply


def test_a_token_for_the_client_itself(server: AuthorizationServer) -> None:
    token = Provider(**server.metadata).client_token(CLIENT_ID, KEY)
    assert token == TokenResponse(ACCESS_TOKEN, 300, "")
    [asked] = server.asked
    assert asked.form.pop("client_assertion").count(".") == 2
    assert asked.form == {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }


def test_it_is_refused(server: AuthorizationServer) -> None:
    server.replies[TOKEN_PATH] = Reply.json({"error": "invalid_client"}, 401)
    with pytest.raises(OAuthError, match="invalid_client"):
        Provider(**server.metadata).client_token(CLIENT_ID, KEY)


@pytest.mark.parametrize("change", [{"access_token": ""}, {"token_type": "DPoP"}, {"expires_in": 0}])
def test_a_malformed_answer(server: AuthorizationServer, change: dict[str, Any]) -> None:
    server.tokens |= change
    with pytest.raises(ResponseRejected):
        Provider(**server.metadata).client_token(CLIENT_ID, KEY)
