"""Structured logs: JSON lines on standard error. A line is written once, where a thing is handled.

Never in a line: a token, key, password, cookie, body, a serial in full, an address in full (SECURITY).
"""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from typing import Final, TextIO, cast

import structlog

_FRAMES_LOGGED: Final = 12


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
        _tell_place_of_error,
        renderer,
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(file=cast("TextIO", _Lines())),
        cache_logger_on_first_use=False,
    )


class _Lines:
    """Standard error, without its failures: a full disk or a reader that is gone undoes no work."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def place_of(error: BaseException) -> dict[str, object]:
    """An error by its kind and place. Its text may hold what a caller sent or a row's values: left out."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_LOGGED:]
    return {
        "error": type(error).__qualname__,
        "sqlstate": getattr(error, "sqlstate", None),
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _tell_place_of_error(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    told = event.pop("exc_info", None)
    error = sys.exc_info()[1] if told is True else told
    if isinstance(error, BaseException):
        event.update(place_of(error))
    return event


def logger(room: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one room (`api`, `worker`, …)."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(room=room)
    return bound
