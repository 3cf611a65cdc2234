"""How tests log what they do not look at: a line, and the stack of an error as plain text.

Unconfigured, structlog draws each stack with the variables of its frames, in colours: of an error that a
test provokes, that takes longer than the test.
"""

from __future__ import annotations

import structlog


def log_plainly() -> None:
    """Standard output, a line each: what pytest shows of a test that fails."""
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.dev.set_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=False, exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )
