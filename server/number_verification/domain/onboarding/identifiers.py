"""The identifiers that we choose ourselves."""

import secrets


def new_id() -> str:
    """The last part of a resource name (AIP-122): begins with a letter, cannot be guessed."""
    return f"x{secrets.token_hex(8)}"


def new_client_id() -> str:
    """A client identifier. It is no secret, but whoever has one cannot tell another one."""
    return secrets.token_hex(16)
