"""The Application Identifiers of GS1: formats, associations, places in a Digital Link URI.

The table is GS1's Barcode Syntax Dictionary, shipped unchanged (`data/gs1-syntax-dictionary.txt`)
and read once. Values are checked here against their format; element strings and associations of
several identifiers are in `elements`, URIs in `digital_link`.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import combinations
from typing import Final, Literal, cast

from mintage.rules.linters import GcpLookup, lint, no_register
from mintage.rules.violation import RuleViolation

CharacterSet = Literal["N", "X", "Y", "Z"]

UNKNOWN_LENGTH_MAX: Final = 90

_CHARACTER_SET_LINTERS: Final[dict[CharacterSet, str]] = {
    "N": "csetnumeric",
    "X": "cset82",
    "Y": "cset39",
    "Z": "cset64",
}
_CHARACTER_SET_NAMES: Final[dict[CharacterSet, str]] = {
    "N": "digits",
    "X": "characters of GS1 set 82",
    "Y": "characters of GS1 set 39",
    "Z": "characters of GS1 set 64",
}
_AI_RANGE = re.compile(r"([0-9]{2,4})(?:-([0-9]{2,4}))?")
_FLAGS = re.compile(r"[^\w\s\[#]+")
_COMPONENT = re.compile(r"(\[?)([NXYZ])(\.\.)?([0-9]+)\]?((?:,[a-z0-9]+)*)")
_AI_SHAPE = re.compile(r"[0-9]{2,4}")

# GS1 General Specifications, figure "element strings with predefined length": AI prefix → length
# of the value, for identifiers that are not allocated yet.
_PREDEFINED_VALUE_LENGTHS: Final = (
    {"00": 18, "01": 14, "02": 14, "03": 14, "04": 16, "20": 2, "41": 13}
    | {f"{prefix}": 6 for prefix in range(11, 20)}
    | {f"{prefix}": 6 for prefix in range(31, 37)}
)


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a value: a character set, a length, the linters it must satisfy."""

    character_set: CharacterSet
    length_min: int
    length_max: int
    is_optional: bool
    linters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApplicationIdentifier:
    """One row of the dictionary.

    `requires` holds one entry per rule: alternatives, each a group of patterns that must all be
    there. `excludes` holds patterns; in a pattern `n` is any digit. `qualifiers` is None for what
    is no primary key of a Digital Link, else the alternative sequences of its qualifiers.
    """

    ai: str
    title: str
    components: tuple[Component, ...]
    has_predefined_length: bool
    is_attribute: bool
    requires: tuple[tuple[tuple[str, ...], ...], ...] = ()
    excludes: tuple[str, ...] = ()
    qualifiers: tuple[tuple[str, ...], ...] | None = None
    is_known: bool = True

    @property
    def length_min(self) -> int:
        """The fewest characters that a value has."""
        return sum(part.length_min for part in self.components if not part.is_optional)

    @property
    def length_max(self) -> int:
        """The most characters that a value has."""
        return sum(part.length_max for part in self.components)

    @property
    def format(self) -> str:
        """The format in words, for a hint."""
        return ", then ".join(_component_in_words(part) for part in self.components)


@cache
def ai_table() -> dict[str, ApplicationIdentifier]:
    """All Application Identifiers of the shipped dictionary by their digits."""
    dictionary = files("mintage.rules").joinpath("data/gs1-syntax-dictionary.txt")
    table: dict[str, ApplicationIdentifier] = {}
    for line in dictionary.read_text(encoding="utf-8").splitlines():
        specification, _, title = line.partition("#")
        if not specification.strip():
            continue
        for identifier in _read_row(specification.split(), title.strip()):
            table[identifier.ai] = identifier
    return table


@cache
def path_sequences() -> frozenset[tuple[str, ...]]:
    """Every legal order of AIs in a Digital Link path: a key and some qualifiers in order."""
    sequences: set[tuple[str, ...]] = set()
    for identifier in ai_table().values():
        for qualifiers in identifier.qualifiers or ():
            for count in range(len(qualifiers) + 1):
                sequences.update((identifier.ai, *some) for some in combinations(qualifiers, count))
    return frozenset(sequences)


def find_ai(digits: str, *, permits_unknown: bool = False) -> ApplicationIdentifier | None:
    """The identifier with exactly these digits, or None.

    With `permits_unknown` an identifier that is not allocated is made up from what its first two
    digits say of its length; not, if it would begin an allocated one or be begun by one.
    """
    known = ai_table().get(digits)
    if known is not None or not permits_unknown or not _AI_SHAPE.fullmatch(digits):
        return known
    if any(ai.startswith(digits) or digits.startswith(ai) for ai in ai_table()):
        return None
    length = _ai_lengths().get(digits[:2])
    if length is not None and length != len(digits):
        return None
    return _unknown_ai(digits)


def find_ai_at_start(
    element_string: str, *, permits_unknown: bool = False
) -> ApplicationIdentifier | None:
    """The identifier that an element string begins with, or None.

    An unknown one is found only where its first two digits tell how long it is.
    """
    length = _ai_lengths().get(element_string[:2])
    if length is None:
        return None
    return find_ai(element_string[:length], permits_unknown=permits_unknown)


def require_value(
    identifier: ApplicationIdentifier, value: str, gcp_lookup: GcpLookup = no_register
) -> None:
    """Raises RuleViolation unless `value` has the identifier's format in every component."""
    name = f"({identifier.ai}) {identifier.title}"
    if not identifier.length_min <= len(value) <= identifier.length_max:
        wrong = "short" if len(value) < identifier.length_min else "long"
        raise RuleViolation(f"the value of {name} is too {wrong}", identifier.format)
    rest = value
    for part in identifier.components:
        if part.is_optional and not rest:
            break
        piece, rest = rest[: part.length_max], rest[part.length_max :]
        if len(piece) < part.length_min:
            raise RuleViolation(f"the value of {name} is cut short", identifier.format)
        for linter in (_CHARACTER_SET_LINTERS[part.character_set], *part.linters):
            problem = lint(linter, piece, gcp_lookup)
            if problem is not None:
                raise RuleViolation(f"the value of {name} is wrong: {problem}", identifier.format)


def _read_row(words: list[str], title: str) -> list[ApplicationIdentifier]:
    ais = _AI_RANGE.fullmatch(words[0])
    if ais is None:
        raise ValueError(f"not a row of the dictionary: {words}")
    first, last = ais[1], ais[2] or ais[1]
    flags, words = (words[1], words[2:]) if _FLAGS.fullmatch(words[1]) else ("", words[1:])
    components = [part for part in map(_read_component, words) if part is not None]
    attributes = [word for word in words if _read_component(word) is None]
    return [
        ApplicationIdentifier(
            ai=f"{number:0{len(first)}}",
            title=title,
            components=tuple(components),
            has_predefined_length="*" in flags,
            is_attribute="?" in flags,
            requires=tuple(
                tuple(tuple(group.split("+")) for group in alternatives.split(","))
                for alternatives in _attribute_values(attributes, "req")
            ),
            excludes=tuple(
                pattern
                for patterns in _attribute_values(attributes, "ex")
                for pattern in patterns.split(",")
            ),
            qualifiers=_read_qualifiers(attributes),
        )
        for number in range(int(first), int(last) + 1)
    ]


def _attribute_values(attributes: list[str], key: str) -> list[str]:
    return [word.removeprefix(f"{key}=") for word in attributes if word.startswith(f"{key}=")]


def _read_qualifiers(attributes: list[str]) -> tuple[tuple[str, ...], ...] | None:
    if "dlpkey" in attributes:
        return ((),)
    sequences = [
        tuple(sequence.split(","))
        for alternatives in _attribute_values(attributes, "dlpkey")
        for sequence in alternatives.split("|")
    ]
    return tuple(sequences) or None


def _read_component(word: str) -> Component | None:
    parts = _COMPONENT.fullmatch(word)
    if parts is None:
        return None
    bracket, character_set, is_range, length, linters = parts.groups()
    return Component(
        character_set=cast("CharacterSet", character_set),
        length_min=1 if is_range else int(length),
        length_max=int(length),
        is_optional=bool(bracket),
        linters=tuple(linters.split(",")[1:]),
    )


@cache
def _ai_lengths() -> dict[str, int]:
    return {ai[:2]: len(ai) for ai in ai_table()}


def _unknown_ai(digits: str) -> ApplicationIdentifier:
    fixed = _PREDEFINED_VALUE_LENGTHS.get(digits[:2])
    part = Component("X", fixed or 1, fixed or UNKNOWN_LENGTH_MAX, is_optional=False, linters=())
    return ApplicationIdentifier(
        ai=digits,
        title="UNKNOWN",
        components=(part,),
        has_predefined_length=fixed is not None,
        is_attribute=False,
        is_known=False,
    )


def _component_in_words(part: Component) -> str:
    characters = _CHARACTER_SET_NAMES[part.character_set]
    length = str(part.length_max)
    if part.length_min != part.length_max:
        length = f"{part.length_min} to {length}"
    return f"{'perhaps ' if part.is_optional else ''}{length} {characters}"
