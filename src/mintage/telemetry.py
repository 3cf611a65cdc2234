"""Structured logs: JSON lines on standard error. A line is written once, where a thing is handled.

What libraries and the interpreter have to say comes out here too, by its kind and place.
Never in a line: a token, key, password, cookie, body, a serial in full, an address in full (SECURITY).
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import traceback
import warnings
from types import TracebackType
from typing import Final, TextIO, cast

import structlog

_FRAMES_LOGGED: Final = 12
_SENTENCES_TOLD: Final = frozenset(
    {
        "ASGI callable returned without completing response.",
        "ASGI callable returned without starting response.",
        "Cancel %s running task(s), timeout graceful shutdown exceeded",
        "Exception in ASGI application",
        "Exception in callback",
        "Future exception was never retrieved",
        "Invalid HTTP request received.",
        "Task exception was never retrieved",
        "Task was destroyed but it is pending!",
        "Unclosed transport",
    }
)
"""Sentences of libraries that hold no value. Of all others only the place is told."""


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
    _take_over_libraries()


class _Lines:
    """Standard error, without its failures: a full disk or a reader that is gone undoes no work."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


class _LibraryLines(logging.Handler):
    """Records of `logging` as lines of our own: sentence (if it is a known one), logger and place.

    The text of a record is formatted by others, from requests and errors: it is left out.
    """

    def emit(self, record: logging.LogRecord) -> None:
        first_line = str(record.msg).split("\n", 1)[0].strip()
        is_known = first_line in _SENTENCES_TOLD
        error = record.exc_info[1] if record.exc_info else None
        place = f"{record.pathname}:{record.lineno} {record.funcName}"
        fields: dict[str, object] = {"room": "library", "logger": record.name, "place": place}
        if error is not None:
            fields |= place_of(error)
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        line = structlog.get_logger()
        line.log(level, first_line if is_known else "a library logged something", **fields)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name of `logging`
        """Nothing: `logging` would print the record."""


def _take_over_libraries() -> None:
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _LibraryLines)]:
        root.removeHandler(handler)
    root.addHandler(_LibraryLines(logging.WARNING))
    warnings.showwarning = _tell_warning
    sys.excepthook = _tell_uncaught
    threading.excepthook = _tell_end_of_thread


def _tell_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    del message
    logger("library").warning(
        "a warning of the interpreter", kind=category.__name__, place=f"{filename}:{lineno}"
    )


def _tell_uncaught(
    kind: type[BaseException], error: BaseException, _frames: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger("process").critical("an error ended the process", exc_info=error)


def _tell_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None:
        logger("process").error("an error ended a thread", exc_info=ended.exc_value)


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
