"""Applications from the configuration file."""

from collections.abc import Iterable

from number_verification.config import ApplicationSettings
from number_verification.domain.application import Application, Flow, LegalBasis
from number_verification.domain.refusal import Reason


class ConfiguredApplications:
    """Applications as the configuration lists them; what changes needs a restart."""

    def __init__(self, applications: Iterable[ApplicationSettings]) -> None:
        self._by_client_id = {
            settings.client_id: Application(
                client_id=settings.client_id,
                name=settings.client_id,
                customer="",
                channel_partner="",
                jwks=settings.jwks,
                jwks_uri="",
                redirect_uris=settings.redirect_uris,
                flows=frozenset({Flow.AUTHORIZATION_CODE}),
                scopes=settings.scopes,
                legal_bases={scope: LegalBasis.CONTRACT for scope in settings.scopes if scope.startswith("dpv:")},
                objection=Reason.APPLICATION_SUSPENDED if settings.status == "suspended" else None,
            )
            for settings in applications
        }

    def find(self, client_id: str) -> Application | None:
        """The application with this client id."""
        return self._by_client_id.get(client_id)
