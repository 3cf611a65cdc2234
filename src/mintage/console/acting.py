"""What a form asks for, tried: the answer, or the sentence that says what would be right.

Errors that are nobody's input (403, 429, 503) are not caught here: they are pages of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mintage.console.forms import Form
from mintage.console.texts import field_name, text
from mintage.console.visit import Visit
from mintage.errors import CONFLICT, INVALID_INPUT, SUBJECT_NOT_FOUND, MintageError

CONFIRMED: Final = "yes"
_TOLD: Final = frozenset({INVALID_INPUT, SUBJECT_NOT_FOUND, CONFLICT})


@dataclass(frozen=True, slots=True)
class Outcome:
    """`answer` of what was done, or `problem` and the `status` to answer with."""

    answer: dict[str, Any] | None
    problem: str | None = None
    status: int = 200


async def tried(visit: Visit, rpc_name: str, /, **arguments: object) -> Outcome:
    """Ask for `rpc_name`; bad input, conflicts and refusals become sentences."""
    try:
        answer = await visit.ask(rpc_name, **arguments)
    except MintageError as error:
        if error.kind not in _TOLD:
            raise
        return Outcome(None, sentence_of(error), error.kind.status)
    if answer["ok"]:
        return Outcome(answer)
    return Outcome(None, refusal_sentence(answer), 409)


def unconfirmed(form: Form, problem: str) -> Outcome | None:
    """What to answer to a form that takes something away and was not confirmed; None for one that was.

    `problem` is the key of the sentence that says what would be right. The page's second button confirms,
    and who sends a form without pages has to mean it too.
    """
    if form.get("confirmation") == CONFIRMED:
        return None
    return Outcome(None, text(problem), 400)


def refusal_sentence(answer: Mapping[str, Any]) -> str:
    """Why the platform refuses, all reasons in a row."""
    return " ".join(str(each["message"]) for each in answer["blocking_reasons"])


def sentence_of(error: MintageError) -> str:
    """What is wrong with what was entered, and what would be right."""
    if not error.problems:
        return error.message + (f" ({error.hint})" if error.hint else "")
    return "; ".join(
        f"{field_name(problem.argument)}: {problem.problem} – {problem.hint}"
        for problem in error.problems[:5]
    )
