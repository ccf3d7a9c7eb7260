"""Applications from the configuration file."""

from collections.abc import Iterable

from number_verification.config import ApplicationSettings
from number_verification.domain.application import Application


class ConfiguredApplications:
    """Applications as the configuration lists them; what changes needs a restart."""

    def __init__(self, applications: Iterable[ApplicationSettings]) -> None:
        self._by_client_id = {
            settings.client_id: Application(
                client_id=settings.client_id,
                name=settings.name,
                jwks=settings.jwks,
                redirect_uris=settings.redirect_uris,
                scopes=settings.scopes,
                status=settings.status,
            )
            for settings in applications
        }

    def find(self, client_id: str) -> Application | None:
        """The application with this client id."""
        return self._by_client_id.get(client_id)
