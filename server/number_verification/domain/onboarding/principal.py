"""Principals: who calls the internal services, and for whom."""

from typing import NamedTuple

OPERATOR_STAFF = "operator-staff"
CHANNEL_PARTNER = "channel-partner"


class Principal(NamedTuple):
    """A caller of the internal services."""

    name: str
    """The resource name of a person, or the configured name of a service of the operator."""
    roles: frozenset[str]
    """As the contract's access rules name them."""
    organization: str = ""
    """The name of the organization that it acts for; empty for services and staff of the operator."""

    @property
    def is_staff(self) -> bool:
        """Whether it acts for the operator itself."""
        return OPERATOR_STAFF in self.roles
