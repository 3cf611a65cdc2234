"""A run: so many mutated requests from one seed, each the function of its number, and all that must hold.

Used by the test and by `make sweep`.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from contextlib import redirect_stderr
from dataclasses import dataclass, field, replace
from io import StringIO

from tests.fuzz.asking import Request, ask, faults_of
from tests.fuzz.mutations import mutated
from tests.fuzz.seeds import Target, seeds_of, sign_everybody_in

FAULTS_MAX = 25
SIGNED_IN_AGAIN_EVERY = 200


@dataclass
class Outcome:
    """What a run found: statuses by how often, faults with their requests, the log, and what took longest."""

    statuses: Counter[int] = field(default_factory=Counter)
    doors: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    log: str = ""
    slowest: tuple[float, str] = (0.0, "")
    """Seconds, and which request."""


def request_of(target: Target, seed: int, number: int) -> tuple[str, Request]:
    """The name of the seed that is drawn, and its mutation."""
    draw = random.Random(f"{seed} {number}")  # noqa: S311 - seeded on purpose
    seeds = seeds_of(target)
    names = sorted(seeds)
    name = draw.choice(names)
    others = [seeds[draw.choice(names)]() for _ in range(3)]
    # Tries at passwords are counted by address: from one alone most would be refused unseen.
    address = f"192.0.2.{draw.randrange(1, 255)}"
    return name, mutated(draw, replace(seeds[name](), address=address), others)


async def run(target: Target, seed: int, count: int, *, shows_progress: bool = False) -> Outcome:
    """Send `count` requests one after the other; ends early after many faults."""
    outcome, log, errors_shown = Outcome(), StringIO(), sys.stderr
    canaries = target.canaries()
    with redirect_stderr(log):
        for number in range(count):
            if number % SIGNED_IN_AGAIN_EVERY == 0:
                await sign_everybody_in(target)
                canaries = target.canaries()
                if shows_progress:
                    print(f"{number} {dict(outcome.statuses)}", file=errors_shown, flush=True)
            name, asked = request_of(target, seed, number)
            started = time.perf_counter()
            wrong = await _wrong(target, asked, outcome, canaries)
            took_s = time.perf_counter() - started
            outcome.slowest = max(outcome.slowest, (took_s, f"number {number} ({name})"))
            wrong += _wrong_in_log(target, canaries, log)
            if wrong:
                outcome.faults.append(f"seed {seed}, number {number} ({name}): {wrong}\n{asked}")
                if len(outcome.faults) >= FAULTS_MAX:
                    break
    outcome.log = log.getvalue()
    return outcome


async def _wrong(
    target: Target, asked: Request, outcome: Outcome, canaries: dict[str, bytes]
) -> list[str]:
    try:
        answer = await ask(target.application, asked)
    except Exception as error:  # noqa: BLE001 - whatever gets out of the doors is what is looked for
        return [f"{type(error).__name__}: {error}"]
    outcome.statuses[answer.status] += 1
    outcome.doors[asked.target.split(b"/")[1].decode()[:12]] += 1
    is_of_rival = asked.who in {"stranger", "service"} or b"rival" in dict(asked.headers).get(
        b"host", b""
    )
    known = canaries if is_of_rival else canaries | target.rival_canaries()
    # A request that carries another's secret may be told what it said itself: by its own words alone.
    sent = asked.target + asked.body + b"".join(value for _, value in asked.headers)
    return faults_of(
        asked, answer, {name: text for name, text in known.items() if text not in sent}
    )


def _wrong_in_log(target: Target, canaries: dict[str, bytes], log: StringIO) -> list[str]:
    """What the last request left in the log: no secret of anybody, no whole serial, no stack trace."""
    start = getattr(log, "looked_at", 0)
    log.seek(start)
    told = log.read()
    log.looked_at = start + len(told)  # type: ignore[attr-defined]
    wrong = [f"logs {name}" for name, text in canaries.items() if text.decode() in told]
    wrong += [
        f"logs serial {each}" for each in (*target.serials, *target.rival_serials) if each in told
    ]
    wrong += (
        ["a stack trace in the log"] if "Traceback" in told or "never retrieved" in told else []
    )
    wrong += [f"an error in the log: {told[-1500:]}"] if '"level": "error"' in told else []
    return wrong
