"""Bodies as they arrive: counted while they are read, at most so many large ones at a time.

`Content-Length` is not believed. A body that is not taken (too large, no room, or of a caller who
is refused anyway) is read on and dropped for a while, so that the client reads its answer rather
than a broken connection. Not here: what is in it (`json_body`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mintage.errors import (
    BUSY,
    PAYLOAD_TOO_LARGE,
    REQUEST_TIMEOUT,
    UNSUPPORTED_MEDIA_TYPE,
    MintageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from mintage.settings import Limits

_RETRY_AFTER_S: Final = 2
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD"})
_CHARSETS: Final = frozenset({"utf-8", "utf8"})


@dataclass(slots=True)
class BigBodies:
    """How many bodies above the ordinary size are held now."""

    held: int = field(default=0, init=False)

    @contextmanager
    def holding(self, held_max: int) -> Iterator[None]:
        """Room for one more until the end of the context, or `MintageError` 503."""
        if self.held >= held_max:
            raise MintageError(BUSY, retry_after_s=_RETRY_AFTER_S)
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1


@asynccontextmanager
async def received_body(
    request: Request, big_bodies: BigBodies, limits: Limits, *, bytes_max: int, is_kept: bool
) -> AsyncIterator[bytearray]:
    """The body, of `bytes_max` bytes at most; a large one holds its room until the context ends.

    With `is_kept` false it is only counted, and what is given is empty. Raises `MintageError` 413,
    503, or 408 for one that does not arrive in time.
    """
    with ExitStack() as room:
        reading = _Reading(request, big_bodies, limits, bytes_max, is_kept, room)
        try:
            async with asyncio.timeout(limits.body_timeout_s):
                body = await reading.read()
        except TimeoutError:
            request.state.closes_connection = True
            raise _too_slow(limits) from None
        yield body


def media_refusal(request: Request) -> MintageError | None:
    """415 unless the body is `application/json` in UTF-8, as it is (no Content-Encoding).

    GET and HEAD have no body to ask that of, other methods than POST only one that is announced.
    """
    encodings = request.headers.getlist("content-encoding")
    if any(encoding.strip().lower() not in {"", "identity"} for encoding in encodings):
        return MintageError(UNSUPPORTED_MEDIA_TYPE)
    types = request.headers.getlist("content-type")
    if request.method in _WITHOUT_BODY or (request.method != "POST" and not types):
        return None
    if len(types) != 1:
        return MintageError(UNSUPPORTED_MEDIA_TYPE)
    media_type, *parameters = (part.strip().lower() for part in types[0].split(";"))
    charsets = [
        value.strip().strip('"')
        for name, _, value in (parameter.partition("=") for parameter in parameters)
        if name.strip() == "charset"
    ]
    if media_type != "application/json" or not _CHARSETS.issuperset(charsets):
        return MintageError(UNSUPPORTED_MEDIA_TYPE)
    return None


@dataclass(slots=True)
class _Reading:
    request: Request
    big_bodies: BigBodies
    limits: Limits
    bytes_max: int
    is_kept: bool
    room: ExitStack

    async def read(self) -> bytearray:
        if self._announced() > self.bytes_max and self._client_waits():
            raise self._too_large()
        body = bytearray()
        counted = 0
        chunks = self.request.stream()
        async for chunk in chunks:
            counted += len(chunk)
            if counted > self.bytes_max:
                await self._drop(chunks)
                raise self._too_large()
            if not self.is_kept:
                continue
            if counted > self.limits.body_bytes_max >= counted - len(chunk):
                await self._take_room(chunks)
            body += chunk
        return body

    async def _take_room(self, chunks: AsyncIterator[bytes]) -> None:
        try:
            self.room.enter_context(self.big_bodies.holding(self.limits.big_bodies_max))
        except MintageError:
            await self._drop(chunks)
            raise

    async def _drop(self, chunks: AsyncIterator[bytes]) -> None:
        dropped = 0
        async for chunk in chunks:
            dropped += len(chunk)
            if dropped > self.limits.body_bytes_max_serials:
                self.request.state.closes_connection = True
                return

    def _announced(self) -> int:
        text = self.request.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0

    def _client_waits(self) -> bool:
        """True for a client that asks before it sends (RFC 9110 §10.1.1): it is told at once."""
        return self.request.headers.get("expect", "").lower() == "100-continue"

    def _too_large(self) -> MintageError:
        message = PAYLOAD_TOO_LARGE.sentence.format(bytes_max=self.bytes_max)
        return MintageError(PAYLOAD_TOO_LARGE, message=message)


def _too_slow(limits: Limits) -> MintageError:
    message = REQUEST_TIMEOUT.sentence.format(seconds=f"{limits.body_timeout_s:g}")
    return MintageError(REQUEST_TIMEOUT, message=message, hint="send the body at once")
