"""A body as one JSON object of named arguments (SPEC §2, "Arguments").

Stricter than JSON's readers are: a name twice, NaN and Infinity, integers beyond 64 bits, more than
16 levels, NUL, lone surrogates and invalid UTF-8 are refused, naming the argument where there is
one. Not here: how many bytes are taken (`request_body`), and what the arguments must be
(`operations.arguments`).
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mintage.errors import INVALID_INPUT, ArgumentProblem, MintageError, invalid_input

_LONG_BODY_BYTES: Final = 256 * 1024
_INTEGER_MIN: Final = -(2**63)
_INTEGER_MAX: Final = 2**63 - 1
_INTEGER_CHARACTERS_MAX: Final = 20
_NAME_CHARACTERS_MAX: Final = 100
# Empty ones take two bytes here and some thirty times that in memory.
_BRACKETS_MAX: Final = 100_000
# Only an escape can put NUL or a lone surrogate into a string of valid UTF-8 JSON.
_SUSPECT_ESCAPE: Final = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class _Fault:
    """Stands in the parsed value where something was read that is not allowed."""

    problem: str
    hint: str


class _Twice(dict[str, object]):
    """An object in which a name is there twice; `names` are those."""

    names: tuple[str, ...] = ()


_NO_NUMBER: Final = _Fault("is no number of JSON", "NaN and Infinity are not taken")
_TOO_LONG: Final = _Fault("is an integer beyond 64 bits", "must fit into 64 bits")
_TOO_LARGE: Final = _Fault("is a number beyond 64 bits", "must fit into a 64-bit floating point")
_TOO_DEEP: Final = "is nested too deeply"


async def read_arguments(body: bytearray, *, depth_max: int) -> dict[str, object]:
    """`body` as arguments by wire name; it is emptied. A long one is read in a thread.

    Raises `MintageError` 400.
    """
    if len(body) > _LONG_BODY_BYTES:
        return await asyncio.to_thread(parse_arguments_json, body, depth_max=depth_max)
    return parse_arguments_json(body, depth_max=depth_max)


def parse_arguments_json(body: bytearray, *, depth_max: int) -> dict[str, object]:
    """`body` as arguments by wire name; it is emptied, so that its memory is not held twice."""
    if not body:
        raise _no_object("the body is empty")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise _no_object("the body is no UTF-8") from None
    body.clear()
    is_suspect = _SUSPECT_ESCAPE.search(text) is not None
    brackets = text.count("[") + text.count("{")
    if brackets > _BRACKETS_MAX:
        raise _no_object(f"the body has more than {_BRACKETS_MAX} lists and objects")
    reader = _Reader()
    try:
        content = reader.decoder.decode(text)
    except RecursionError:
        raise _no_object(f"the body has more than {depth_max} levels") from None
    except json.JSONDecodeError as fault:
        where = f"line {fault.lineno}, column {fault.colno}"
        raise _no_object(f"the body is no JSON at {where}") from None
    del text
    if not isinstance(content, dict):
        raise _no_object("the body is no JSON object")
    if is_suspect or brackets > depth_max or reader.has_fault:
        problems = list(_problems(content, depth_max))
        if problems:
            raise invalid_input(problems)
    return content


def text_problem(text: str) -> tuple[str, str] | None:
    """What is wrong with `text` and what would be right, or None."""
    if "\0" in text:
        return "contains a NUL character", "must be text without NUL"
    if not text.isascii() and _SURROGATE.search(text):
        return "contains a lone surrogate", "must be text of Unicode characters"
    return None


def printable_name(name: str) -> str:
    """An argument's name as it can be answered: short, without control characters."""
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in name[: _NAME_CHARACTERS_MAX + 1]
    )
    return shown if len(shown) <= _NAME_CHARACTERS_MAX else shown[:_NAME_CHARACTERS_MAX] + "…"


class _Reader:
    """A JSON decoder whose hooks put a `_Fault` or a `_Twice` where something is not allowed."""

    def __init__(self) -> None:
        self.has_fault = False
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_int=self._integer,
            parse_float=self._float,
            parse_constant=self._constant,
        )

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        content = dict(pairs)
        if len(content) == len(pairs):
            return content
        self.has_fault = True
        twice = _Twice(content)
        counts = Counter(name for name, _ in pairs)
        twice.names = tuple(name for name, count in counts.items() if count > 1)
        return twice

    def _integer(self, digits: str) -> object:
        if len(digits) <= _INTEGER_CHARACTERS_MAX:
            number = int(digits)
            if _INTEGER_MIN <= number <= _INTEGER_MAX:
                return number
        self.has_fault = True
        return _TOO_LONG

    def _float(self, digits: str) -> object:
        number = float(digits)
        if math.isfinite(number):
            return number
        self.has_fault = True
        return _TOO_LARGE

    def _constant(self, _name: str) -> object:
        self.has_fault = True
        return _NO_NUMBER


def _problems(content: dict[str, object], depth_max: int) -> Iterator[ArgumentProblem]:
    """The first fault in each argument, and the names that are there twice."""
    if isinstance(content, _Twice):
        for name in content.names:
            yield ArgumentProblem(printable_name(name), "is there twice", "give it once")
    for name, value in content.items():
        if (found := text_problem(name)) is not None:
            yield ArgumentProblem(printable_name(name), f"has a name that {found[0]}", found[1])
            continue
        fault = next(_faults(value, printable_name(name), 1, depth_max), None)
        if fault is not None:
            yield fault


def _faults(value: object, place: str, depth: int, depth_max: int) -> Iterator[ArgumentProblem]:
    """The faults in `value`, which stands `depth` levels deep at `place`."""
    match value:
        case str():
            if (found := text_problem(value)) is not None:
                yield ArgumentProblem(place, *found)
        case _Fault():
            yield ArgumentProblem(place, value.problem, value.hint)
        case list() | dict() if depth >= depth_max:
            yield ArgumentProblem(place, _TOO_DEEP, f"must have at most {depth_max} levels")
        case list():
            for index, inner in enumerate(value):
                if not (type(inner) is str and inner.isalnum()):
                    yield from _faults(inner, f"{place}[{index}]", depth + 1, depth_max)
        case dict():
            yield from _object_faults(value, place, depth, depth_max)


def _object_faults(
    value: dict[str, object], place: str, depth: int, depth_max: int
) -> Iterator[ArgumentProblem]:
    for name in value.names if isinstance(value, _Twice) else ():
        yield ArgumentProblem(f"{place}.{printable_name(name)}", "is there twice", "give it once")
    for name, inner in value.items():
        inner_place = f"{place}.{printable_name(name)}"
        if (found := text_problem(name)) is not None:
            yield ArgumentProblem(inner_place, f"has a name that {found[0]}", found[1])
        yield from _faults(inner, inner_place, depth + 1, depth_max)


def _no_object(problem: str) -> MintageError:
    return MintageError(
        INVALID_INPUT,
        message=f"{INVALID_INPUT.sentence}: {problem}",
        hint="send one JSON object of named arguments, in UTF-8",
    )
