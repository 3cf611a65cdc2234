"""The 409 of a value that is taken. Not here: conflicts of idempotency keys (`mint_submission`)."""

from __future__ import annotations

from mintage.errors import CONFLICT, ArgumentProblem, MintageError


def taken(argument: str, what: str, hint: str) -> MintageError:
    """409 `23505`: `what` ("SKU A-1", …) is taken, given as `argument`; `hint` says what would be right."""
    return MintageError(
        CONFLICT,
        message=CONFLICT.sentence.format(what=f"{what} is taken"),
        details=f"{argument}: {what} is taken",
        hint=hint,
        problems=[ArgumentProblem(argument, "is taken", hint)],
    )
