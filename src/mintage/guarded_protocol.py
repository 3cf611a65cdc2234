"""HTTP/1.1 connections with limits: how long a request's head may take, and how large it may be (SECURITY).

uvicorn times idle connections only. Here a head that is not whole in `header_timeout_s` is answered 408,
a URL of too many bytes 414, other heads of too many bytes or headers 431, and the connection is closed. A
body that still arrives when it has been answered long ago is cut. Not here: bodies that are waited for
(`api.request_body`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from mintage.settings import Limits

if TYPE_CHECKING:
    from starlette.types import ASGIApp

ANSWER_WITHOUT_BODY: Final = "mintage.answer_without_body"
"""An extension of the scope: `(status, header lines) -> bool` writes an answer of `content-length: 0`.

The lines come as they are sent, proven by the caller to be well formed. False: nothing was written, and the
answer has to go by `send`.
"""

_BODY_GRACE_S = 5.0
_LINGER_S = 1.0


class Taken:
    """A request that an application takes over, without a task: it calls one of these, once, at any time.

    It does so where it has a method `take_over(scope, taken)`, which must not raise, and which answers True.
    """

    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: GuardedProtocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle

    def write(self, status: int, lines: bytes) -> bool:
        """Answer as by `ANSWER_WITHOUT_BODY`."""
        return _answer_without_body(self._cycle, status, lines)

    def hand_over(self, app: ASGIApp) -> None:
        """Have `app` answer in a task, as if the request had not been taken."""
        self._protocol.start_task(self._cycle, app)


TakeOver = Callable[[Any, Taken], bool]


class _HeadRefused(Exception):
    """Stops the parser; the refusal is the protocol's."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection. `limits` is set by `guarded_protocol`."""

    limits = Limits()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._take_over: TakeOver | None = getattr(self.app, "take_over", None)
        # One timer a connection, seldom set: a deadline that moves on is only noted, and looked at when the
        # timer rings. Two timers a request would cost as much as its parsing.
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self._deadline: float | None = None
        self._head_bytes_max = self.limits.head_bytes_max
        self._head_lines_max = self.limits.head_lines_max
        self._is_in_head = False
        self._is_in_body = False
        self._is_idle = False
        self._head_bytes = 0
        self._unparsed_bytes = 0
        self._head_lines = 0
        self._refusal: tuple[int, str] | None = None
        self._has_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer(self.limits.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._drop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._has_refused:
            return
        if self._is_idle:
            self._is_idle, self._deadline = False, None
        was_in_head = self._is_in_head
        super().data_received(data)
        # Timed is only what has not come whole.
        if self._deadline is None and not self._has_refused:
            if self._is_in_body:
                self._start_timer(self.limits.body_timeout_s + _BODY_GRACE_S)
            elif self._is_in_head or not self._is_answering():
                # Also for bytes that begin no request, such as empty lines.
                self._start_timer(self.limits.header_timeout_s)
        if not (was_in_head and self._is_in_head) or self._has_refused:
            return
        # The parser hands a header over once it is whole: until then it is counted as it comes.
        self._unparsed_bytes += len(data)
        if self._unparsed_bytes > self.limits.head_bytes_max:
            self._refuse(431, "The headers are too large.")
            self.send_400_response("")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._is_in_body = True, False
        self._head_bytes = self._head_lines = self._unparsed_bytes = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self.limits.url_bytes_max:
            self._refuse(414, "The URL is too long.")
            raise _HeadRefused

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        self._head_lines += 1
        if self._head_bytes > self._head_bytes_max or self._head_lines > self._head_lines_max:
            # Trailers come here too, behind a body.
            self._refuse(431, "The headers are too large, or too many.")
            raise _HeadRefused
        # As there: one call less for each header.
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._is_in_head, self._is_in_body = False, True
        self._deadline = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_in_body = False
        self._deadline = None
        if not self._is_answering():
            self._begin_idling()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        # As there, but for its timer: ours waits already.
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        if self._deadline is None:
            self._begin_idling()

    def _begin_idling(self) -> None:
        self._is_idle = True
        self._start_timer(self.timeout_keep_alive)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        take_over = self._take_over if app is self.app else None
        if take_over is None or not take_over(cycle.scope, Taken(self, cycle)):
            self.start_task(cycle, app)

    def start_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Have `app` answer, as uvicorn does."""
        cycle.scope["extensions"] = {ANSWER_WITHOUT_BODY: partial(_answer_without_body, cycle)}  # type: ignore[dict-item]
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refused, or close where an answer would end up inside another one."""
        if self._has_refused or self.transport.is_closing():
            return
        self._drop_timer()
        if self._is_answering():
            self.transport.close()
            return
        status, sentence = self._refusal or (400, "This is no HTTP request.")
        content = f"{sentence}\n".encode("ascii")
        self.transport.write(
            b"".join(
                [
                    STATUS_LINE[status],
                    b"content-type: text/plain; charset=utf-8\r\n",
                    b"content-length: %d\r\nconnection: close\r\n\r\n" % len(content),
                    content,
                ]
            )
        )
        # Closed at once, with bytes of theirs unread, it would be reset before they read the answer.
        self._has_refused = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._timer = self.loop.call_later(_LINGER_S, self.transport.close)

    def _refuse(self, status: int, sentence: str) -> None:
        self._refusal = self._refusal or (status, sentence)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start_timer(self, seconds: float) -> None:
        """Time is up in `seconds`, unless the deadline is moved or dropped before."""
        self._deadline = deadline = self.loop.time() + seconds
        if self._timer is None or self._rings_at > deadline:
            self._set_timer(deadline)

    def _set_timer(self, rings_at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = rings_at
        self._timer = self.loop.call_at(rings_at, self._ring)

    def _drop_timer(self) -> None:
        self._deadline = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self._deadline > self._rings_at:
            self._set_timer(self._deadline)
            return
        self._deadline = None
        self._time_is_up()

    def _time_is_up(self) -> None:
        if self.transport.is_closing():
            return
        if self._is_answering():
            # The next head waits for this answer, or the answer's own reader times its body.
            self._start_timer(self.limits.header_timeout_s)
        elif self._is_in_head:
            self._refuse(408, "The request's headers did not arrive in time.")
            self.send_400_response("")
        else:
            self.transport.close()


def _answer_without_body(cycle: RequestResponseCycle, status: int, lines: bytes) -> bool:
    """What the cycle's `send` does for such an answer, in one go and one write."""
    if cycle.response_started or cycle.disconnected or cycle.flow.write_paused or cycle.access_log:
        return False
    parts = [STATUS_LINE[status]]
    for name, value in cycle.default_headers:
        parts += (name, b": ", value, b"\r\n")
    parts.append(lines)
    parts.append(
        b"content-length: 0\r\n\r\n"
        if cycle.keep_alive
        else b"content-length: 0\r\nconnection: close\r\n\r\n"
    )
    cycle.waiting_for_100_continue = False
    cycle.response_started = cycle.response_complete = True
    cycle.transport.write(b"".join(parts))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True


def guarded_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """The protocol's class for `limits`, as uvicorn takes it."""
    return type("GuardedProtocol", (GuardedProtocol,), {"limits": limits})
