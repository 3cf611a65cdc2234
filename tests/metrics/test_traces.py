"""Traces: one from a request to the work that it asked for, at a collector on loopback; and ids in logs."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from mintage import tracing
from mintage.app import open_runtime
from mintage.operations import steps
from mintage.operations.call import Answer
from mintage.perform import perform
from mintage.rpcs import RPCS
from mintage.settings import read_settings
from mintage.tracing import Traced, TracesMissing, start_tracing
from tests.metrics.platform import running
from tests.support.webhooks import answer, deliveries, knowing, receiver, sent, webhook_of
from tests.support.world import World

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@contextmanager
def _collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """The endpoint of a collector that keeps what it is sent."""
    taken: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces":
                taken.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _spans(taken: list[ExportTraceServiceRequest]) -> list[Span]:
    return [
        span
        for sent in taken
        for resource in sent.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _told(span: Span) -> dict[str, str]:
    return {each.key: each.value.string_value for each in span.attributes}


async def test_a_submit_its_cycles_and_its_packs_are_in_the_trace_of_the_caller(
    dsn: str, tmp_path: Path
) -> None:
    with _collector() as (endpoint, taken):
        async with running(dsn, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as platform:
            platform.client.headers["traceparent"] = TRACEPARENT
            platform.client.headers["x-request-id"] = "the-request"
            async with receiver() as told_to:
                secret_of_webhook = await platform.tell(told_to)
                await platform.work(units=3)
                await platform.until_told(told_to)
            (sent_head,) = told_to.heads
            key = platform.client.headers["authorization"].partition(" ")[2]
        assert not tracing.is_tracing()
    spans = [span for span in _spans(taken) if span.trace_id.hex() == TRACE]
    by_name = {span.name: span for span in spans}
    submit = by_name["POST /rest/v1/rpc/submit_mint_request"]
    assert submit.kind == Span.SPAN_KIND_SERVER
    assert submit.parent_span_id.hex() == "00f067aa0ba902b7"
    assert by_name["mint cycle"].parent_span_id == submit.span_id
    asked = by_name["POST /rest/v1/rpc/request_payload_packs"]
    assert by_name["payload pack"].parent_span_id == asked.span_id
    assert by_name["webhook"].parent_span_id == by_name["mint cycle"].span_id
    assert _told(by_name["webhook"])["mintage.status"] == "delivered"
    assert "traceparent" not in sent_head, "a receiver learns nothing of our traces"
    for name in ("mint cycle", "payload pack", "webhook"):
        assert _told(by_name[name])["mintage.request_id"] == "the-request"
    assert _told(by_name["mint cycle"])["mintage.status"] == "COMPLETED"
    resources = {
        each.key: each.value.string_value
        for sent in taken
        for resource in sent.resource_spans
        for each in resource.resource.attributes
    }
    assert resources["service.name"] == "mintage"
    resolved = [span for span in _spans(taken) if _told(span).get("mintage.door") == "resolver"]
    assert resolved
    assert all(span.trace_id.hex() != TRACE for span in resolved)
    duties = [span for span in _spans(taken) if span.name == "duty"]
    assert "fold tallies" in {_told(span)["mintage.duty"] for span in duties}
    assert all(span.trace_id.hex() != TRACE and not span.parent_span_id for span in duties)
    sent = b"".join(each.SerializeToString() for each in taken).decode("utf-8", "replace")
    hidden = (secret_of_webhook, "token=hidden", "/hooks", sent_head["webhook-signature"])
    personal = ("wrong password", "owner@example.com", "grant_type", "9506000134352")
    for secret in (key, *hidden, *personal):
        assert secret not in sent


def test_the_variables_of_opentelemetry_say_where_spans_go(tmp_path: Path) -> None:
    def endpoint(**given: str) -> str | None:
        return read_settings({"MINTAGE_DATA": str(tmp_path)} | given).traces_endpoint

    assert endpoint() is None
    base = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318/"}
    assert endpoint(**base) == "http://localhost:4318/v1/traces"
    own = base | {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:9/t"}
    assert endpoint(**own) == "http://localhost:9/t"
    assert endpoint(**own, OTEL_SDK_DISABLED="true") is None


@pytest.mark.long
def test_without_an_endpoint_nothing_of_opentelemetry_is_imported() -> None:
    code = (
        "import sys, mintage.cli; print([n for n in sys.modules if n.startswith('opentelemetry')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


async def test_an_endpoint_without_the_extra_is_said_and_the_platform_works_on(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    with pytest.raises(TracesMissing):
        start_tracing("http://127.0.0.1:9/v1/traces", "1")
    settings = read_settings(
        {
            "MINTAGE_DATA": str(tmp_path),
            "MINTAGE_DATABASE_URL": dsn,
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        }
    )
    with structlog.testing.capture_logs() as lines:
        async with open_runtime(settings, application="test", may_migrate=False):
            assert not tracing.is_tracing()
    told = [line["event"] for line in lines if line["log_level"] == "error"]
    assert len(told) == 1
    assert "install mintage[traces]" in told[0]


@pytest.mark.parametrize(
    ("sent", "carried"),
    [
        (TRACEPARENT, TRACEPARENT),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (TRACEPARENT.upper(), None),
        (TRACEPARENT + "\n", None),
        ("ff" + TRACEPARENT[2:], None),
        ("canary", None),
    ],
)
async def test_a_well_formed_traceparent_is_carried_without_tracing(
    sent: str, carried: str | None
) -> None:
    seen: list[str | None] = []

    async def app(_scope: object, _receive: object, _send: object) -> None:
        seen.append(tracing.current_traceparent())

    scope = {"type": "http", "headers": [(b"traceparent", sent.encode())]}
    await Traced("api", app, lambda _: "none")(scope, None, None)  # type: ignore[arg-type]
    assert seen == [carried]
    assert tracing.current_traceparent() is None


async def test_lines_of_a_cycle_name_the_request_of_its_submit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw: dict[str, object] = {
        "_brand_id": str(world.brand_id),
        "_product_id": str(await world.product()),
        "_requested_quantity": 3,
        "_identity_mode": "serial",
        "_activation_mode": "first_scan",
    }
    submit = RPCS["submit_mint_request"]
    await perform(world.platform, world.callers["owner"], submit, raw, "request-of-submit")

    def fails(step: str) -> None:
        if step == "mint_copied":
            raise RuntimeError("a fault")

    monkeypatch.setattr(steps, "reached", fails)
    with structlog.testing.capture_logs(
        processors=[structlog.contextvars.merge_contextvars]
    ) as lines:
        answer = await world.rpc("process_mint_job_batch", "service")
    assert answer["ok"] is False
    assert [line["request_id"] for line in lines if line["event"] == "a cycle failed"] == [
        "request-of-submit"
    ]


async def test_what_a_request_and_its_work_make_is_told_under_its_id(world: World) -> None:
    """A delivery carries the request behind the cycle that wrote it, not the cycle's own; a void its own."""
    world = knowing(world)
    kinds = ("mint_job.completed", "mint_batch.status_changed")
    async with receiver() as found:
        found.answers = [answer(500)]
        await webhook_of(world, found.url, *kinds)
        product_id = await world.product()
        submitted = await _performed(
            world,
            "submit_mint_request",
            "request-of-submit",
            _product_id=str(product_id),
            _requested_quantity=3,
            _identity_mode="serial",
            _activation_mode="first_scan",
        )
        await world.run()
        with structlog.testing.capture_logs(
            processors=[structlog.contextvars.merge_contextvars]
        ) as lines:
            assert await sent(world) == "retried"
        await _performed(
            world,
            "set_mint_batch_status",
            "request-of-void",
            _mint_batch_id=str(submitted["mint_batch_id"]),
            _status="voided",
        )
    (line,) = [each for each in lines if each["event"] == "a webhook was not delivered"]
    assert line["request_id"] == "request-of-submit"
    carried = {(each["event_type"], each["request_id"]) for each in await deliveries(world)}
    assert carried == {
        ("mint_job.completed", "request-of-submit"),
        ("mint_batch.status_changed", "request-of-submit"),
        ("mint_batch.status_changed", "request-of-void"),
    }


async def _performed(world: World, name: str, request_id: str, **raw: object) -> Answer:
    raw["_brand_id"] = str(world.brand_id)
    return await perform(world.platform, world.callers["owner"], RPCS[name], raw, request_id)
