"""The onboarding service without a transport, on a real registry: what several threads and processes do to it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from number_verification.domain.onboarding.principal import Principal
from number_verification.interceptors.call import Call, current
from number_verification.registry.store import Registry
from number_verification.services.onboarding import OnboardingServicer
from number_verification.services.page_tokens import PageTokens
from unit.domain.onboarding.world import NOW, rules


class _NoMetadata:
    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        return ()


def servicer(registry: Registry, usage: Any = None, **changes: Any) -> OnboardingServicer:
    return OnboardingServicer(registry, rules(**changes), usage, PageTokens(b"key"), lambda: NOW)


@contextmanager
def calling(principal: Principal) -> Iterator[None]:
    call = Call("", _NoMetadata())  # type: ignore[arg-type]
    call.principal = principal
    token = current.set(call)
    try:
        yield
    finally:
        current.reset(token)
