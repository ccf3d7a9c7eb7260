"""Discovery (OpenID Connect Discovery 1.0, RFC 8414) and the published keys."""

from number_verification.authorization.oauth import json_response
from number_verification.authorization.scopes import SUPPORTED
from number_verification.rest.http import HttpResponse

AUTHORIZE_PATH = "/oauth2/authorize"
TOKEN_PATH = "/oauth2/token"
JWKS_PATH = "/oauth2/jwks"
DISCOVERY_PATH = "/.well-known/openid-configuration"
CLIENT_SIGNING_ALGORITHMS = ("ES256", "RS256", "PS256")


def document(issuer: str) -> HttpResponse:
    """What a client needs to know of this authorization server."""
    return json_response(
        {
            "issuer": issuer,
            "authorization_endpoint": issuer + AUTHORIZE_PATH,
            "token_endpoint": issuer + TOKEN_PATH,
            "jwks_uri": issuer + JWKS_PATH,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": list(CLIENT_SIGNING_ALGORITHMS),
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": list(SUPPORTED),
            "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "at_hash"],
            "prompt_values_supported": ["none"],
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
            "claims_parameter_supported": False,
            "authorization_response_iss_parameter_supported": True,
        },
        headers=[("Cache-Control", "public, max-age=300")],
    )
