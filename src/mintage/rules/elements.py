"""Element strings: several AIs with their values, as carriers hold them, and what may go together.

Two notations: bracketed, `(01)…(21)…`, as printed below a symbol, and the element string with a
separator, `^01…^21…`, where `^` stands for FNC1. Formats of single values are in `ai_table`, URIs
in `digital_link`. Sources: GS1 General Specifications 7.8 and 4.13 (associations).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mintage.rules.ai_table import (
    ApplicationIdentifier,
    find_ai,
    find_ai_at_start,
    require_value,
)
from mintage.rules.violation import RuleViolation

FNC1: Final = "^"
ELEMENTS_MAX: Final = 64

_SERIAL_PART_OF_SIGNED_KEY = ("253", "255", "8003")


@dataclass(frozen=True, slots=True)
class Element:
    """One AI and its value, unescaped."""

    identifier: ApplicationIdentifier
    value: str

    @property
    def ai(self) -> str:
        """The digits of the AI."""
        return self.identifier.ai


def element(ai: str, value: str, *, permits_unknown: bool = False) -> Element:
    """An AI and a value in its format. Raises RuleViolation for an unknown AI, a wrong value."""
    identifier = find_ai(ai, permits_unknown=permits_unknown)
    if identifier is None:
        raise RuleViolation(f"({ai}) is not an Application Identifier", "see GS1's list of AIs")
    require_value(identifier, value)
    return Element(identifier, value)


def parse_bracketed(text: str, *, permits_unknown: bool = False) -> tuple[Element, ...]:
    r"""The elements of `(01)…(21)…`; in a value `\(` is a bracket.

    Raises RuleViolation for another syntax, an unknown AI, a wrong value, more than 64 elements.
    """
    hint = "write (AI)value(AI)value, and \\( for a bracket in a value"
    elements: list[Element] = []
    rest = text
    while rest:
        ai, closing, rest = rest[1:].partition(")") if rest[0] == "(" else ("", "", rest)
        value, rest = _take_bracketed_value(rest)
        if not closing or not value:
            raise RuleViolation("the brackets or a value are missing", hint)
        elements.append(element(ai, value, permits_unknown=permits_unknown))
        _require_few(elements)
    if not elements:
        raise RuleViolation("there is no element", hint)
    return tuple(elements)


def _take_bracketed_value(text: str) -> tuple[str, str]:
    value = ""
    while True:
        piece, bracket, rest = text.partition("(")
        if not bracket or not piece.endswith("\\"):
            return value + piece, bracket + rest
        value += piece[:-1] + "("
        text = rest


def format_bracketed(elements: Iterable[Element]) -> str:
    """`(01)…(21)…`, the human-readable form; `parse_bracketed` undoes it."""
    return "".join(f"({each.ai}){each.value.replace('(', chr(92) + '(')}" for each in elements)


def parse_element_string(text: str, *, permits_unknown: bool = False) -> tuple[Element, ...]:
    """The elements of `^01…^21…`: FNC1 first, and after each value of no predefined length.

    Raises RuleViolation for another syntax, an unknown AI, a wrong value, more than 64 elements.
    """
    hint = "FNC1 (^) comes first and after each value of no predefined length"
    if not text.startswith(FNC1) or text == FNC1:
        raise RuleViolation("there is no FNC1 or nothing after it", hint)
    elements: list[Element] = []
    rest = text[1:]
    while rest:
        identifier = find_ai_at_start(rest, permits_unknown=permits_unknown)
        if identifier is None:
            raise RuleViolation("there is no AI at the start of what is left", hint)
        rest = rest[len(identifier.ai) :]
        value, _, after = rest.partition(FNC1)
        if identifier.has_predefined_length and len(value) > identifier.length_max:
            value, after = rest[: identifier.length_max], rest[identifier.length_max :]
        require_value(identifier, value)
        elements.append(Element(identifier, value))
        _require_few(elements)
        rest = after
    return tuple(elements)


def format_element_string(elements: Sequence[Element]) -> str:
    """`^01…^21…`; `parse_element_string` undoes it."""
    text = ""
    needs_separator = True
    for each in elements:
        text += f"{FNC1 if needs_separator else ''}{each.ai}{each.value}"
        needs_separator = not each.identifier.has_predefined_length
    return text


def _require_few(elements: Sequence[Element]) -> None:
    if len(elements) > ELEMENTS_MAX:
        raise RuleViolation("too many elements", f"at most {ELEMENTS_MAX}")


def require_consistent_repeats(elements: Sequence[Element]) -> None:
    """Raises RuleViolation if an AI comes twice with different values."""
    values: dict[str, str] = {}
    for each in elements:
        if values.setdefault(each.ai, each.value) != each.value:
            raise RuleViolation(f"({each.ai}) has two values", "give it once, or the same twice")


def require_no_excluded_pairs(elements: Sequence[Element]) -> None:
    """Raises RuleViolation if two AIs may not stand on the same item ("ex" of the dictionary)."""
    for each in elements:
        for pattern in each.identifier.excludes:
            for other in elements:
                if other.ai != each.ai and _matches(pattern, other.ai):
                    raise RuleViolation(
                        f"({each.ai}) and ({other.ai}) exclude each other", "give one of them"
                    )


def require_associations(elements: Sequence[Element]) -> None:
    """Raises RuleViolation if an AI lacks another that it needs ("req" of the dictionary)."""
    for each in elements:
        others = {other.ai for other in elements if other.ai != each.ai}
        for alternatives in each.identifier.requires:
            if not any(_all_present(group, others) for group in alternatives):
                needed = " or ".join("+".join(group) for group in alternatives)
                raise RuleViolation(f"({each.ai}) does not stand alone", f"add {needed}")


def require_serial_of_signed_key(elements: Sequence[Element]) -> None:
    """Raises RuleViolation if a digital signature (8030) covers a key without its serial part."""
    if all(each.ai != "8030" for each in elements):
        return
    for each in elements:
        is_bare = len(each.value) == each.identifier.length_min
        if each.ai in _SERIAL_PART_OF_SIGNED_KEY and is_bare:
            raise RuleViolation(
                f"({each.ai}) has no serial part", "a signature (8030) needs a serialised key"
            )


def _all_present(patterns: Iterable[str], ais: Iterable[str]) -> bool:
    return all(any(_matches(pattern, ai) for ai in ais) for pattern in patterns)


def _matches(pattern: str, ai: str) -> bool:
    return len(pattern) == len(ai) and all(
        wanted in ("n", digit) for wanted, digit in zip(pattern, ai, strict=True)
    )
