"""The console as tests use it: over ASGI, signed in as members of the cast, on the test's database."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import httpx2
import pytest_asyncio

from mintage.api.auth import sign_in
from mintage.api.door import Door
from mintage.api.middleware import RequestIds
from mintage.console.app import build_console
from mintage.console.cookies import COOKIE, Cookies
from mintage.console.door import ConsoleDoor
from mintage.db.queries import query
from mintage.operations import accounts
from mintage.operations.call import ANONYMOUS, Call
from mintage.operations.passwords import hash_password
from mintage.tokens import Session
from tests.api.conftest import door, secrets, settings  # noqa: F401 - fixtures
from tests.support.world import World

PASSWORD = "correct horse battery"
ORIGIN = "https://mint.example.com"
HOME = "/console/b/acme/"


@dataclass
class Browser:
    """One person's browser: keeps the cookie, and fills the form token in as pages do."""

    client: httpx2.AsyncClient
    door: ConsoleDoor
    session: Session | None = None
    headers: dict[str, str] = field(default_factory=lambda: {"origin": ORIGIN})

    @property
    def form_token(self) -> str:
        assert self.session is not None
        return Cookies(self.door.secrets, self.door.is_https).form_token(self.session)

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.client.get(path, headers=headers)

    async def post(
        self, path: str, data: Mapping[str, object] | None = None, **changed: str
    ) -> httpx2.Response:
        token = {} if self.session is None else {"form_token": self.form_token}
        return await self.client.post(
            path, data={**token, **(data or {})}, headers=self.headers | changed
        )

    async def upload(
        self, path: str, data: Mapping[str, str], name: str, content: bytes
    ) -> httpx2.Response:
        return await self.client.post(
            path,
            data={"form_token": self.form_token, **data},
            files={name: ("file.txt", content, "text/plain")},
            headers=self.headers,
        )


@dataclass(frozen=True)
class Console:
    """The console of a world. `browser` is nobody's, `signed_in` somebody's of the cast."""

    world: World
    door: ConsoleDoor
    transport: httpx2.ASGITransport
    opened: list[httpx2.AsyncClient]

    def browser(self) -> Browser:
        client = httpx2.AsyncClient(transport=self.transport, base_url=ORIGIN)
        self.opened.append(client)
        return Browser(client, self.door)

    async def signed_in(self, member: str) -> Browser:
        """A browser with the cookie of a new session of `member`."""
        user_id = self.world.user_ids[member]
        async with self.world.platform.database.transaction(ANONYMOUS.identity(None)) as connection:
            now = await connection.fetchval(query("access", "now"))
            call = Call(connection, ANONYMOUS, None, None, now, self.door.platform.limits, "test")
            account = accounts.SignInAccount(user_id, f"{member}@example.com", "", now, now)
            opened = await accounts.open_session(call, account)
        browser = self.browser()
        browser.session = Session(user_id, opened.id)
        token = Cookies(self.door.secrets, self.door.is_https).session_token(browser.session)
        browser.client.cookies.set(COOKIE, token, domain="mint.example.com", path="/console")
        return browser


@pytest_asyncio.fixture
async def console(door: Door, world: World) -> AsyncIterator[Console]:  # noqa: F811
    console_door = ConsoleDoor(
        world.platform, door.settings, door.secrets, door.store, partial(sign_in, door)
    )
    application = RequestIds(build_console(console_door))
    opened: list[httpx2.AsyncClient] = []
    yield Console(world, console_door, httpx2.ASGITransport(application), opened)
    for client in opened:
        await client.aclose()


@pytest_asyncio.fixture
async def owner(console: Console) -> Browser:
    return await console.signed_in("owner")


async def give_password(world: World, member: str) -> None:
    """Let a member of the cast sign in with PASSWORD."""
    hashed = await hash_password(PASSWORD)
    async with world.platform.database.pool.acquire() as connection:
        await connection.execute(
            "update app_user set password_hash = $2 where id = $1", world.user_ids[member], hashed
        )


def ids_in(page: str, folder: str) -> list[UUID]:
    """The ids of the links that lead to pages of a folder, in order."""
    return [UUID(found) for found in re.findall(rf'/{folder}/([0-9a-f-]{{36}})"', page)]
