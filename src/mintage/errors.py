"""Every error that a caller can see: code, HTTP status, one sentence (SPEC §2, §5).

Not here: refusals by the rules of the domain (HTTP 200, `blocking_reasons`), which are answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """A row of docs/errors.md. `function_code` is the name mint-api-v1 uses (SPEC §5)."""

    code: str
    status: int
    sentence: str
    function_code: str


NOT_AUTHENTICATED: Final = ErrorKind(
    "PGRST301",
    401,
    "Not authenticated: sign in and send Authorization: Bearer <token>",
    "UNAUTHENTICATED",
)
FORBIDDEN: Final = ErrorKind(
    "42501", 403, "Forbidden: the caller has no sufficient access to this brand", "FORBIDDEN"
)
INVALID_INPUT: Final = ErrorKind("22023", 400, "Invalid input", "INVALID_INPUT")
SUBJECT_NOT_FOUND: Final = ErrorKind(
    "P0002", 400, "Invalid input: {subject} not found", "INVALID_INPUT"
)
RPC_NOT_FOUND: Final = ErrorKind(
    "PGRST202", 404, "Not found: there is no such function", "NOT_FOUND"
)
ROUTE_NOT_FOUND: Final = ErrorKind(
    "PGRST125", 404, "Not found: there is nothing at this path", "NOT_FOUND"
)
METHOD_NOT_ALLOWED: Final = ErrorKind(
    "PGRST101", 405, "Method not allowed: {allowed}", "METHOD_NOT_ALLOWED"
)
IDEMPOTENCY_CONFLICT: Final = ErrorKind(
    "23505",
    409,
    "Conflict: this idempotency key was used with other arguments: {fields}",
    "IDEMPOTENCY_CONFLICT",
)
CONFLICT: Final = ErrorKind("23505", 409, "Conflict: {what}", "CONFLICT")
REQUEST_TIMEOUT: Final = ErrorKind(
    "PGRST005",
    408,
    "Request timeout: the body did not arrive within {seconds} s",
    "REQUEST_TIMEOUT",
)
PAYLOAD_TOO_LARGE: Final = ErrorKind(
    "54000",
    413,
    "Payload too large: at most {bytes_max:,} bytes are taken here",
    "PAYLOAD_TOO_LARGE",
)
UNSUPPORTED_MEDIA_TYPE: Final = ErrorKind(
    "PGRST102",
    415,
    "Unsupported media type: send Content-Type: application/json and no Content-Encoding",
    "UNSUPPORTED_MEDIA_TYPE",
)
RATE_LIMITED: Final = ErrorKind(
    "54001", 429, "Too many requests: wait and try again", "RATE_LIMITED"
)
UNAVAILABLE: Final = ErrorKind(
    "PGRST002", 503, "Unavailable: the database is away for a moment, try again", "UNAVAILABLE"
)
BUSY: Final = ErrorKind(
    "PGRST003", 503, "Unavailable: too many large requests at once, try again", "UNAVAILABLE"
)
INTERNAL: Final = ErrorKind("XX000", 500, "Internal error: it has been logged", "INTERNAL")

ERROR_KINDS: Final = (
    NOT_AUTHENTICATED,
    FORBIDDEN,
    INVALID_INPUT,
    SUBJECT_NOT_FOUND,
    RPC_NOT_FOUND,
    ROUTE_NOT_FOUND,
    METHOD_NOT_ALLOWED,
    IDEMPOTENCY_CONFLICT,
    CONFLICT,
    REQUEST_TIMEOUT,
    PAYLOAD_TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    RATE_LIMITED,
    UNAVAILABLE,
    BUSY,
    INTERNAL,
)


@dataclass(frozen=True, slots=True)
class ArgumentProblem:
    """One bad argument: its wire name (`_lots[2].qty`), what is wrong, what would be right."""

    argument: str
    problem: str
    hint: str


class MintageError(Exception):
    """An answer other than 2xx. `message` is for people, `code` for programs."""

    def __init__(
        self,
        kind: ErrorKind,
        *,
        message: str | None = None,
        details: str | None = None,
        hint: str | None = None,
        problems: Sequence[ArgumentProblem] = (),
        retry_after_s: int | None = None,
    ) -> None:
        self.kind = kind
        self.message = message if message is not None else kind.sentence
        self.details = details
        self.hint = hint
        self.problems = tuple(problems)
        self.retry_after_s = retry_after_s
        super().__init__(self.message)


def invalid_input(problems: Sequence[ArgumentProblem]) -> MintageError:
    """400 `22023` that names every bad argument at once, with what would be right."""
    named = ", ".join(dict.fromkeys(problem.argument for problem in problems))
    first = problems[0]
    return MintageError(
        INVALID_INPUT,
        message=f"{INVALID_INPUT.sentence}: {named}",
        details="; ".join(f"{p.argument}: {p.problem}" for p in problems[:20]),
        hint=first.hint,
        problems=problems,
    )


def not_found(subject: str) -> MintageError:
    """400 `P0002`: an unknown id and another brand's id give the same bytes."""
    return MintageError(
        SUBJECT_NOT_FOUND, message=SUBJECT_NOT_FOUND.sentence.format(subject=subject)
    )


def unavailable() -> MintageError:
    """503: the database is away; nothing of this call was done."""
    return MintageError(UNAVAILABLE, retry_after_s=1)


class BackupError(Exception):
    """A backup cannot be made or restored; the message says why and what would be right."""
