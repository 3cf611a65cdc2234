"""Requests that the resolver takes over without a task: answered as all others, whatever becomes of them."""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mintage.guarded_protocol import Taken
from mintage.listening import listen_on
from mintage.resolver.app import build_resolver
from mintage.settings import Limits
from tests.resolver.desk import HOST, IPHONE, NOW, Desk
from tests.resolver.test_replica import FreshUntilItFails

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

BOT = "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"


@dataclass
class Noted(Taken):
    """What becomes of a request that was taken over; nothing is sent."""

    written: list[tuple[int, bytes]] = field(default_factory=list)
    handed_over: list[Any] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, status: int, lines: bytes) -> bool:
        self.written.append((status, lines))
        self.done.set()
        return True

    def hand_over(self, app: ASGIApp) -> None:
        self.handed_over.append(app)
        self.done.set()


def _scope(path: str, method: str = "GET") -> Scope:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", HOST.encode()), (b"user-agent", IPHONE.encode())],
        "client": ("203.0.113.77", 4711),
    }


async def _take(desk: Desk, path: str, method: str = "GET") -> Noted | None:
    """What becomes of the request, or None where it is not taken over."""
    app: Any = build_resolver(desk.resolver)
    noted = Noted()
    if not app.take_over(_scope(path, method), noted):
        return None
    async with asyncio.timeout(30):
        await noted.done.wait()
    return noted


async def _status(noted: Noted | None) -> int:
    """The status that the handed over application answers."""
    assert noted is not None
    assert noted.written == []
    [app] = noted.handed_over
    statuses = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(_scope("/"), None, send)
    [status] = statuses
    return int(status)


async def test_a_redirect_is_written_and_its_scan_recorded(desk: Desk) -> None:
    minted = await desk.world.minted(1, activation_mode="active_at_mint")
    [path] = await desk.urls(minted["mint_batch_id"])
    noted = await _take(desk, path)
    assert noted is not None
    [(status, lines)] = noted.written
    assert status == 307
    assert b"\r\nlocation: https://acme.example.com/p/" in lines
    assert noted.handed_over == []
    assert await desk.outcomes() == ["already_active"]


async def test_a_first_scan_is_handed_over_and_activates(desk: Desk) -> None:
    minted = await desk.world.minted(1)
    [path] = await desk.urls(minted["mint_batch_id"])
    assert await _status(await _take(desk, path)) == 307
    assert await desk.outcomes() == ["activated"]
    again = await _take(desk, path)
    assert again is not None
    assert len(again.written) == 1


async def test_without_a_database_it_is_503_and_a_fault_is_500(
    desk: Desk, monkeypatch: Any
) -> None:
    minted = await desk.world.minted(1, activation_mode="active_at_mint")
    [path] = await desk.urls(minted["mint_batch_id"])
    with monkeypatch.context() as patched:
        patched.setattr("mintage.resolver.answers.redirect", None)
        assert await _status(await _take(desk, path)) == 500
    none = replace(desk, resolver=replace(desk.resolver, limits=Limits(questions_waiting_max=0)))
    assert await _status(await _take(none, path)) == 503
    await desk.world.platform.database.close()
    assert await _status(await _take(desk, path)) == 503


async def test_other_methods_and_a_resolver_with_a_replica_begin_a_task(desk: Desk) -> None:
    database = desk.resolver.database
    there = replace(desk.resolver, replica=FreshUntilItFails(database, database, lag_s_max=10))
    assert await _take(desk, "/", "HEAD") is None
    assert await _take(replace(desk, resolver=there), "/") is None


async def test_every_answer_is_the_same_with_and_without_a_task(desk: Desk) -> None:
    minted = await desk.world.minted(3, activation_mode="active_at_mint")
    path, revoked, other = await desk.urls(minted["mint_batch_id"])
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    by_url = {unit["resolver_url"].partition(HOST)[2]: unit["id"] for unit in listed["units"]}
    await desk.revoke(by_url[revoked])
    wrong = other[:-1] + ("0" if other[-1] != "0" else "1")
    requests = [
        (path, HOST, IPHONE),
        (f"{path}?utm=1&b=%0d", HOST, IPHONE),
        (f"{path}?linkType=linkset", HOST, IPHONE),
        (f"{path}?linkType=gs1:nothing", HOST, IPHONE),
        (path, HOST, BOT),
        (path, "nobody.example.com", IPHONE),
        (revoked, HOST, IPHONE),
        (wrong, HOST, IPHONE),
        ("/01/09506000134353", HOST, IPHONE),
        ("/favicon.ico", HOST, IPHONE),
        ("/.well-known/gs1resolver", HOST, IPHONE),
        (f"/mb/{minted['mint_batch_id']}", HOST, IPHONE),
    ]
    app = build_resolver(replace(desk.resolver, pinned_now=NOW))

    async def with_a_task(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    without = await _answers(app, requests)
    assert without == await _answers(with_a_task, requests)
    assert [answer.split()[1] for answer in without] == (
        ["307", "307", "200", "404", "200", "404", "410", "404", "400", "404", "200", "307"]
    )
    assert await desk.outcomes() == ["already_active"] * 4 + ["recorded"] * 2 + ["revoked"] * 2


async def _answers(app: ASGIApp, requests: list[tuple[str, str, str]]) -> list[str]:
    """The answers on one connection, all asked for at once, without their dates."""
    sent = "".join(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n\r\n"
        for path, host, agent in requests
    )
    closing = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with listen_on(listener, app, Limits()):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write((sent + closing).encode())
            got = (await reader.read()).decode()
            writer.close()
    answers = re.split(r"(?=HTTP/1\.1 [0-9]{3} )", re.sub(r"\r\ndate: [^\r]*", "", got))
    return answers[1:-1]
