"""Requests as bytes, given to an application as uvicorn would, and what must hold of every answer.

Not here: where requests come from (`seeds`) and what is done to them (`mutations`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from starlette.types import ASGIApp

PATIENCE_S = 40
"""No answer takes so long; nothing is asserted about how long it takes."""
TELLTALES = (
    b"Traceback (most recent call last)",
    b"asyncpg",
    b"mintage_app",
    b"site-packages",
    b"/src/mintage/",
    b"pg_catalog",
)


@dataclass(frozen=True)
class Request:
    """What is sent. `target` is path and query as on the wire, ASCII; `who` says whose credentials it has."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    who: str = "nobody"
    address: str = "192.0.2.1"
    cuts: tuple[int, ...] = ()
    """Where the body is cut into messages."""
    ends_early: bool = False
    """The client leaves before the body's last message."""

    def __str__(self) -> str:
        lines = [f"{self.method} {self.target!r} as {self.who}, from {self.address}"]
        lines += [f"  {name!r}: {value!r}" for name, value in self.headers]
        body = self.body if len(self.body) <= 3000 else self.body[:3000] + b"..."
        return "\n".join([*lines, f"  {body!r}"])


@dataclass
class Answer:
    """What came back. `status` is 0 where nothing did."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    is_whole: bool = False

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def everything(self) -> bytes:
        return (
            b"\n".join([name + b": " + value for name, value in self.headers]) + b"\n" + self.body
        )


def scope_of(request: Request) -> dict[str, Any]:
    """The ASGI scope as uvicorn makes it of this request."""
    raw_path, _, query = request.target.partition(b"?")
    path = raw_path.decode("ascii")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(path) if "%" in path else path,
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers],
        "client": (request.address, 40_000),
        "server": ("127.0.0.1", 8080),
        "state": {},
    }


async def ask(application: ASGIApp, request: Request) -> Answer:
    """The answer of the application. An exception that gets out of it is the caller's to judge."""
    answer = Answer()
    borders = [
        0,
        *sorted(cut for cut in request.cuts if cut < len(request.body)),
        len(request.body),
    ]
    parts = [request.body[low:high] for low, high in pairwise(borders)]
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": part, "more_body": place + 1 < len(parts)}
        for place, part in enumerate(parts)
    ]
    if request.ends_early:
        messages[-1] = {"type": "http.disconnect"}

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")
            answer.is_whole = not message.get("more_body", False)

    async with asyncio.timeout(PATIENCE_S):
        await application(scope_of(request), receive, send)
    return answer


def faults_of(request: Request, answer: Answer, canaries: Mapping[str, bytes]) -> list[str]:
    """What is wrong with an answer: none of it may ever be."""
    found = []
    if answer.status == 0 or not answer.is_whole:
        if not request.ends_early:
            found.append("no whole answer")
        return found
    if answer.status >= 500:
        found.append(f"status {answer.status}")
    if answer.status < 200 or answer.status in {204, 304} or request.method == "HEAD":
        found += ["a body where there must be none"] if answer.body else []
    elif (length := answer.header(b"content-length")) is not None and int(length) != len(
        answer.body
    ):
        found.append(f"content-length {length!r} of {len(answer.body)} bytes")
    for name, value in answer.headers:
        if b"\r" in value or b"\n" in value or b"\0" in value or b"\n" in name:
            found.append(f"a header that is cut: {name!r}: {value!r}")
    is_page = request.target.startswith(b"/docs")  # The documentation may name any of them.
    found += [f"tells {told!r}" for told in TELLTALES if told in answer.everything and not is_page]
    found += [
        f"gives away {name}" for name, secret in canaries.items() if secret in answer.everything
    ]
    return found
