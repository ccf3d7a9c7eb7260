"""The registry cannot be read any more: who is known is served while that is fresh, then nobody, then all again."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from functional.authorization import OAuthClient
from functional.gateway import Attachment, Gateway
from functional.serving import Setup, running_service
from functional.transports import Grpc, Rest

DEVICE = Attachment("127.2.0.1", "+990555000777", "999990555000777")
STALE_AFTER = 3


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def rename_counter(database: Path, *, back: bool) -> None:
    """Take away what is read of the registry, or give it back."""
    with closing(sqlite3.connect(database, timeout=10)) as connection:
        names = ("lost", "change_counter") if back else ("change_counter", "lost")
        connection.execute(f"ALTER TABLE {names[0]} RENAME TO {names[1]}")
        connection.commit()


def test_fresh_then_refused_then_back(tmp_path: Path) -> None:
    setup = Setup(tmp_path / "data")
    setup.content["registry"] = {"stale_after_seconds": STALE_AFTER}
    database = tmp_path / "data" / "registry.db"
    with running_service(tmp_path, setup) as service, Grpc(service) as by_grpc, Rest(service) as by_rest:
        Gateway(service).start(DEVICE)
        oauth = OAuthClient(service)
        tokens = [oauth.token(DEVICE.address) for _ in range(4)]
        rename_counter(database, back=False)
        lost = time.monotonic()
        until(lambda: any(line["event"] == "registry_unavailable" for line in service.log))
        for api in (by_grpc, by_rest):
            assert api.share(tokens.pop()).code == "OK"
        assert "code" in oauth.callback(DEVICE.address)
        until(lambda: service.admin("/readyz").status == 503)
        until(lambda: oauth.authorize(DEVICE.address).status == 503)
        assert STALE_AFTER - 1 < time.monotonic() - lost < STALE_AFTER + 10
        refused = oauth.authorize(DEVICE.address)
        assert refused.json["error"] == "temporarily_unavailable"
        assert int(refused.headers["retry-after"]) >= 1
        assert service.logged(refused.headers["x-correlator"])["reason"] == "stale_registry"
        for api in (by_grpc, by_rest):
            answer = api.share(tokens.pop())
            assert (answer.code, int(answer.retry_after) >= 1) == ("UNAVAILABLE", True)
        assert oauth.redeem("x").json["error"] == "temporarily_unavailable"
        rename_counter(database, back=True)
        until(lambda: oauth.authorize(DEVICE.address).status == 302)
        for api in (by_grpc, by_rest):
            assert api.share(oauth.token(DEVICE.address)).code == "OK"
        until(lambda: service.admin("/readyz").status == 200)
