"""What is wrong with the lots and serials of a mint request, beyond their types (SPEC §3).

Works on whatever of the request is sound, so that these faults are named together with all others. Not here:
what only the database knows (`mint_preconditions`, `mint_submission`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mintage.errors import ArgumentProblem
from mintage.rules.gs1 import lot_code_problem
from mintage.rules.serials import first_bad_serials, first_duplicates

NAMED_SERIALS_MAX: Final = 100
LOTS_MAX: Final = 100


def lot_faults(
    lots: Sequence[tuple[str, int]], identity_mode: str | None, quantity: int | None
) -> list[ArgumentProblem]:
    """The faults of `lots` (code and quantity each); mode and quantity are None where they are no good."""
    if identity_mode == "serial":
        return [
            ArgumentProblem("_lots", "is given in serial mode", "leave it out, or use batch mode")
        ]
    if not 1 <= len(lots) <= LOTS_MAX:
        hint = f"must be a list of 1 to {LOTS_MAX} lots, or be left out"
        return [ArgumentProblem("_lots", f"has {len(lots):,} lots", hint)]
    problems = []
    seen: set[str] = set()
    for index, (lot_code, _) in enumerate(lots):
        problem = lot_code_problem(lot_code)
        if problem is None and lot_code in seen:
            problem = "is there twice"
        seen.add(lot_code)
        if problem:
            hint = "must be 1 to 20 characters of GS1 set 82 (AI 10), each code once"
            problems.append(ArgumentProblem(f"_lots[{index}].lot_code", problem, hint))
    total = sum(lot_quantity for _, lot_quantity in lots)
    if quantity is not None and total != quantity:
        hint = f"the lots' qty must add up to _requested_quantity, {quantity:,}"
        problems.append(ArgumentProblem("_lots", f"adds up to {total:,}", hint))
    return problems


def serial_faults(
    serials: Sequence[str], identity_mode: str | None, quantity: int | None
) -> list[ArgumentProblem]:
    """The faults of `serials`, the first hundred; a million sound ones take a third of a second."""
    if identity_mode == "batch":
        return [
            ArgumentProblem(
                "_serials", "is given in batch mode", "leave it out, or use serial mode"
            )
        ]
    if quantity is not None and len(serials) != quantity:
        hint = f"must hold as many serials as _requested_quantity, {quantity:,}"
        return [ArgumentProblem("_serials", f"holds {len(serials):,} serials", hint)]
    hint = "must be 1 to 20 characters of GS1 set 82 (AI 21), not of the shape of generated serials"
    bad = [
        ArgumentProblem(f"_serials[{index}]", problem, hint)
        for index, problem in first_bad_serials(serials, NAMED_SERIALS_MAX)
    ]
    if bad:
        return bad
    return [
        ArgumentProblem(f"_serials[{index}]", f"{value} is there twice", "must be there once")
        for index, value in first_duplicates(serials, NAMED_SERIALS_MAX)
    ]
