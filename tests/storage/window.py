"""The storage door as a test asks it: as a member of the cast, over HTTP, or with raw bytes as path."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes
from uuid import uuid4

import httpx2

from mintage.api.app import build_api
from mintage.api.door import Door
from mintage.secrets import new_secrets_text, parse_secrets
from mintage.settings import read_settings
from tests.packs.desk import Desk

BASE = "/storage/v1"
OBJECT = f"{BASE}/object/payload-packs"
SIGN = f"{BASE}/object/sign/payload-packs"


@dataclass(frozen=True)
class Window:
    desk: Desk
    door: Door

    def at(self, moment: datetime) -> Window:
        """The same door at that time."""
        platform = replace(self.door.platform, pinned_now=moment)
        return replace(self, door=replace(self.door, platform=platform))

    def token(self, caller: str) -> str:
        """The access token of a member of the cast."""
        now = int(time.time())
        return self.door.tokens.make_session_token(
            user_id=self.desk.world.user_ids[caller],
            session_id=uuid4(),
            email=f"{caller}@example.com",
            issued_at=now,
            expires_at=now + 3600,
        )

    def headers(self, caller: str | None) -> dict[str, str]:
        return {} if caller is None else {"authorization": f"Bearer {self.token(caller)}"}

    async def ask(
        self,
        method: str,
        path: str,
        caller: str | None = "viewer",
        *,
        headers: dict[str, str] | None = None,
        body: object = None,
    ) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=build_api(self.door))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(
                method, path, headers=self.headers(caller) | (headers or {}), json=body
            )

    async def sign(
        self, path: str, caller: str | None = "viewer", **body: object
    ) -> httpx2.Response:
        return await self.ask("POST", f"{SIGN}/{path}", caller, body=body)

    async def signed(self, path: str, **body: object) -> str:
        """The signed URL of `path`, below the base of the storage API."""
        answer = await self.ask("POST", f"{SIGN}/{path}", body=body)
        assert answer.status_code == 200, answer.text
        url: str = answer.json()["signedURL"]
        return url

    async def open(self, signed_url: str, method: str = "GET") -> httpx2.Response:
        """Open a signed URL without any other authority."""
        return await self.ask(method, BASE + signed_url, None)

    async def raw(self, method: str, target: str, caller: str | None) -> tuple[int, bytes]:
        """Ask for a target that no HTTP client would send as it is: status and body."""
        raw_path, _, query = target.encode("latin-1").partition(b"?")
        headers = [(k.encode(), v.encode()) for k, v in self.headers(caller).items()]
        if method == "POST":
            headers.append((b"content-type", b"application/json"))
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote_to_bytes(raw_path).decode("utf-8", "surrogateescape"),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("test", 80),
        }
        sent: list[dict[str, Any]] = []
        body = json.dumps({"expiresIn": 60}).encode() if method == "POST" else b""

        requests = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if not requests:
                await asyncio.Event().wait()
            return requests.pop()

        async def send(message: Any) -> None:
            sent.append(dict(message))

        await build_api(self.door)(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def open_window(desk: Desk, data_dir: Path) -> Window:
    """The control plane over the desk's platform and store, with secrets of its own."""
    door = Door(
        desk.world.platform,
        read_settings({"MINTAGE_DATA": str(data_dir)}),
        parse_secrets(new_secrets_text()),
        desk.store,
    )
    return Window(desk, door)
