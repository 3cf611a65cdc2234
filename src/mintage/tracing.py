"""Traces: spans of requests and of work for OpenTelemetry, and what a job carries of the request behind it.

Off unless the settings name an endpoint and the extra `traces` is installed; then nothing of OpenTelemetry
is imported, and there is no span. What is carried (request id, `traceparent` of W3C Trace Context) is
carried all the same. Never in a span: a query, a code, a token, the text of an error. Not here: metrics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
_given: ContextVar[str | None] = ContextVar("traceparent", default=None)
_behind: ContextVar[str | None] = ContextVar("request_id", default=None)
_tracers: list[Tracer] = []


class TracesMissing(RuntimeError):
    """An endpoint is named, and the extra `traces` is not installed."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that a piece of work goes back to: its id, and its `traceparent`."""

    request_id: str | None = None
    traceparent: str | None = None


def start_tracing(endpoint: str, version: str) -> Callable[[], None]:
    """Send spans to `endpoint` (OTLP over HTTP). Answers what stops it, which sends those that wait.

    Raises `TracesMissing`. The SDK reads the other `OTEL_…` variables itself.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise TracesMissing from None
    named = Resource({"service.name": "mintage"}).merge(Resource.create())
    resource = named.merge(Resource({"service.version": version}))
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "mintage"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    _tracers.append(provider.get_tracer("mintage", version))
    return lambda: _stop(provider)


def _stop(provider: TracerProvider) -> None:
    _tracers.clear()
    provider.shutdown()


def is_tracing() -> bool:
    """True while spans are made."""
    return bool(_tracers)


def current_traceparent() -> str | None:
    """The `traceparent` that work of now is to carry: of the span under way, or as the caller sent it."""
    if not _tracers:
        return _given.get()
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return _given.get()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def current_origin(request_id: str) -> Origin:
    """What work of now is to carry: the request behind the work under way, or `request_id` without one."""
    return Origin(_behind.get() or request_id, current_traceparent())


@contextmanager
def work_span(name: str, origin: Origin, **attributes: str | int) -> Iterator[dict[str, str | int]]:
    """A claimed piece of work for `origin`: its log lines and what it makes have the request's id.

    What is put into the dictionary becomes attributes of the span (`mintage.…`), if there is one.
    """
    bound = {} if origin.request_id is None else {"request_id": origin.request_id}
    told: dict[str, str | int] = dict(attributes)
    given, behind = _given.set(origin.traceparent), _behind.set(origin.request_id)
    try:
        with structlog.contextvars.bound_contextvars(**bound):
            if not _tracers:
                yield told
                return
            told |= bound
            with _span(name, _context_of(origin.traceparent), told):
                yield told
    finally:
        _given.reset(given)
        _behind.reset(behind)


@contextmanager
def _span(
    name: str,
    parent: Context | None,
    told: Mapping[str, str | int],
    *,
    is_server: bool = False,
) -> Iterator[Span]:
    from opentelemetry.trace import SpanKind, Status, StatusCode, use_span

    kind = SpanKind.SERVER if is_server else SpanKind.CONSUMER
    span = _tracers[0].start_span(name, parent, kind)
    try:
        with use_span(span, record_exception=False, set_status_on_exception=False):
            yield span
    except BaseException as error:
        span.set_attribute("error.type", type(error).__qualname__)
        span.set_status(Status(StatusCode.ERROR))
        raise
    finally:
        span.set_attributes({key if "." in key else f"mintage.{key}": told[key] for key in told})
        span.end()


def _context_of(traceparent: str | None) -> Context | None:
    """The parent that `traceparent` names; without one, a trace of its own."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import (
        TraceContextTextMapPropagator,
    )

    if traceparent is None:
        return Context()
    return TraceContextTextMapPropagator().extract({"traceparent": traceparent}, Context())


@dataclass(frozen=True, slots=True)
class Traced:
    """`app` as `door`: takes the caller's `traceparent` up, and makes a span of each request while tracing.

    `route_of` gives the pattern of a path once it is answered. A door of the public believes no caller.
    """

    door: str
    app: ASGIApp
    route_of: Callable[[Scope], str]
    believes_caller: bool = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        token = _given.set(_sent(scope) if self.believes_caller else None)
        try:
            if _tracers:
                await self._answer(scope, receive, send)
            else:
                await self.app(scope, receive, send)
        finally:
            _given.reset(token)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        told: dict[str, str | int] = {"http.request.method": method, "door": self.door}

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                told["http.response.status_code"] = message["status"]
            await send(message)

        with _span(method, _context_of(_given.get()), told, is_server=True) as span:
            await self.app(scope, receive, send_told)
            told["http.route"] = self.route_of(scope)
            request_id = scope.get("state", {}).get("request_id")
            if request_id is not None:
                told["request_id"] = request_id
            span.update_name(f"{method} {told['http.route']}")
            _judge(span, told.get("http.response.status_code"))


def _judge(span: Span, status: str | int | None) -> None:
    """A fault of ours is an error of the span; a refusal is none."""
    from opentelemetry.trace import Status, StatusCode

    if isinstance(status, int) and status >= 500:
        span.set_status(Status(StatusCode.ERROR))


def _sent(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            text: str = value.decode("latin-1")
            return text if _TRACEPARENT.fullmatch(text) else None
    return None
