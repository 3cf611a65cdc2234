"""The control plane as tests call it: over ASGI, with the cast's tokens, on the test's database."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
import pytest_asyncio

from mintage.api.app import build_api
from mintage.api.door import Door
from mintage.secrets import Secrets, new_secrets_text, parse_secrets
from mintage.settings import Settings, read_settings
from mintage.storage import open_pack_store
from mintage.tokens import anon_key, now_s, service_key
from tests.support.world import World

JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Api:
    """A client of the control plane. `call` performs RPC `name` over HTTP as a member of the cast."""

    client: httpx2.AsyncClient
    door: Door
    world: World

    def token(self, caller: str) -> str | None:
        """The bearer token of a member of the cast; None for nobody."""
        match caller:
            case "nobody at all":
                return None
            case "anonymous":
                return anon_key(self.door.secrets)
            case "service":
                return service_key(self.door.secrets)
        return self.session_token(self.world.user_ids[caller])

    def session_token(self, user_id: UUID) -> str:
        return self.door.tokens.make_session_token(
            user_id=user_id,
            session_id=uuid4(),
            email="somebody@example.com",
            issued_at=now_s(),
            expires_at=now_s() + 3600,
        )

    def headers(self, caller: str) -> dict[str, str]:
        token = self.token(caller)
        return {} if token is None else {"authorization": f"Bearer {token}"}

    async def call(self, rpc: str, caller: str = "owner", /, **given: object) -> httpx2.Response:
        body = {f"_{key}": value for key, value in given.items()}
        return await self.post(f"/rest/v1/rpc/{rpc}", caller, body)

    async def post(
        self, path: str, caller: str, body: object, *, headers: Mapping[str, str] = {}
    ) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body, default=str).encode()
        return await self.client.post(
            path, content=content, headers=JSON | self.headers(caller) | dict(headers)
        )

    async def get(self, path: str, caller: str = "owner", /, **query: object) -> httpx2.Response:
        pairs = {f"_{key}": str(value) for key, value in query.items()}
        return await self.client.get(path, params=pairs, headers=self.headers(caller))


@pytest.fixture(scope="session")
def secrets() -> Secrets:
    return parse_secrets(new_secrets_text())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({"MINTAGE_DATA": str(tmp_path), "MINTAGE_URL": "https://mint.example.com"})


@pytest.fixture
def door(world: World, secrets: Secrets, settings: Settings) -> Door:
    return Door(world.platform, settings, secrets, open_pack_store(None, settings.data_dir))


@pytest_asyncio.fixture
async def api(door: Door, world: World) -> AsyncIterator[Api]:
    transport = httpx2.ASGITransport(build_api(door))
    async with httpx2.AsyncClient(
        transport=transport, base_url="https://mint.example.com"
    ) as client:
        yield Api(client, door, world)


def problems(response: httpx2.Response) -> dict[str, str]:
    """Problem and hint in one text, by argument, of an error in PostgREST's shape."""
    content: dict[str, Any] = response.json()
    return {each["argument"]: f"{each['problem']}; {each['hint']}" for each in content["errors"]}
