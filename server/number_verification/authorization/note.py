"""What a request to the authorization server turned out to be about, noted by its endpoint for the audit record."""

from collections.abc import Callable
from contextvars import ContextVar

from number_verification.authorization.oauth import OAuthError
from number_verification.domain.application import Application
from number_verification.domain.grant import AuthenticationMethod
from number_verification.rest.http import HttpResponse


class Note:
    """One request. Filled in as far as it gets."""

    __slots__ = ("application", "method", "phone_number", "principal", "purpose", "redirect", "withheld")

    def __init__(self) -> None:
        self.application: Application | None = None
        self.principal = ""
        """The name of the principal that asked, where it was no application."""
        self.purpose = ""
        self.method: AuthenticationMethod | None = None
        self.phone_number = ""
        self.redirect: Callable[[OAuthError], HttpResponse] | None = None
        """Makes the answer that tells an error by redirect, where errors are told so."""
        self.withheld: Callable[[], None] | None = None
        """To be called if the answer is not given out after all."""


_current: ContextVar[Note] = ContextVar("note")


def begin() -> Note:
    """A new note, for the request that this thread serves from now on."""
    note = Note()
    _current.set(note)
    return note


def current() -> Note:
    """The note of the request that is being served; one that nobody reads where there is none."""
    return _current.get(None) or Note()
