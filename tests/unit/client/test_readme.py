"""The examples of the client's README, run as they stand, but for the two addresses."""

import ast
import asyncio
import inspect
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import number_verification_client
from number_verification_client import errors
from unit.client.provider import ACCESS_TOKEN, CLIENT_ID, KEY, REDIRECT_URI, AuthorizationServer
from unit.client.service import FACES, Service

README = (Path(number_verification_client.__file__).parent.parent / "README.md").read_text()
EXAMPLES = dict(zip(FACES, re.findall(r"```python\n(.*?)```", README, re.DOTALL), strict=True))


async def run(text: str, names: dict[str, Any]) -> None:
    done = eval(compile(text, "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)  # noqa: S307 - our own
    if inspect.isawaitable(done):
        await done


def test_the_examples_tell_the_whole_story(face: str, service: Service, server: AuthorizationServer) -> None:
    example = EXAMPLES[face]
    example = example.replace('"https://operator.example"', repr(server.issuer))
    example = example.replace('"api.operator.example:443"', f"{service.target!r}, insecure=True")
    before, after = re.split(r"\n(?=.*\n?code = )", example, maxsplit=1)
    names: dict[str, Any] = {"client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI}
    names["private_jwk"] = KEY.as_dict(private=True)

    async def story() -> None:
        await run(before, names)
        request = names["request"]
        callback = {"code": "the-code", "state": request.state, "iss": request.issuer}
        names["url"] = f"{REDIRECT_URI}?{urlencode(callback)}"
        await run(after, names)
        closed = names["client"].close()
        if inspect.isawaitable(closed):
            await closed

    asyncio.run(story())
    assert [asked.form.get("code") for asked in server.asked] == [None, "the-code"]
    assert [received.values("authorization") for received in service.calls] == [[f"Bearer {ACCESS_TOKEN}"]]


def test_the_table_names_every_exception() -> None:
    rows = set(re.findall(r"^\| `(\w+)`", README, re.MULTILINE))
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert rows == kinds
