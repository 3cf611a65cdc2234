"""Structured logs: JSON lines on standard error. A line is written once, where a thing is handled.

Never in a line: a token, key, password, cookie, body, a serial in full, an address in full (SECURITY).
"""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logs(*, for_people: bool = False, level: str = "info") -> None:
    """JSON lines for machines, or short coloured lines where a person reads along (`mintage demo`)."""
    renderer = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if for_people
        else structlog.processors.JSONRenderer()
    )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        renderer,
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def logger(room: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one room (`api`, `worker`, …)."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(room=room)
    return bound


def redacted_serial(serial_number: str) -> str:
    """The last three characters of a serial: enough to find it, too little to print it."""
    return "…" + serial_number[-3:]
