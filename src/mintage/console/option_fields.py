"""A format's options as fields of a form, and back: both from the model that checks them.

A field that is left as it was is not sent on: some defaults follow from other options. Not here: what an
option means (`packs`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from mintage.console.forms import Form
from mintage.packs.context import PackOptions

Kind = Literal["choice", "several", "number", "yes_no", "text"]
PREFIX: Final = "option_"
YES: Final = "yes"


@dataclass(frozen=True, slots=True)
class OptionField:
    """`path` leads to the option: of one, or of an object's name and its part.

    `default` is a list for `several`; `described` is the JSON Schema of the value.
    """

    path: tuple[str, ...]
    kind: Kind
    description: str
    default: object
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the form's field."""
        return PREFIX + ".".join(self.path)

    @property
    def part(self) -> str:
        """The object that the option is a part of; empty for one of the format's own."""
        return self.path[0] if len(self.path) > 1 else ""

    @property
    def label(self) -> str:
        words = " ".join(self.path).replace("_", " ")
        return f"{words[:1].upper()}{words[1:]}".replace(" mm", " (mm)")


@cache
def fields_of(model: type[PackOptions]) -> tuple[OptionField, ...]:
    """Every option of a format, those of an object's parts after it."""
    schema = model.model_json_schema()
    return tuple(_fields((), schema, schema))


def options_of(model: type[PackOptions], form: Form) -> dict[str, object]:
    """The options that differ from their defaults, as JSON would hold them.

    A text that is no number stays one: the model refuses it and says what would be right.
    """
    options: dict[str, Any] = {}
    for field in fields_of(model):
        value = _given(field, form)
        if value is None or value == field.default:
            continue
        target = options
        for part in field.path[:-1]:
            target = target.setdefault(part, {})
        target[field.path[-1]] = value
    return options


def shown(field: OptionField, form: Form, *, is_posted: bool) -> Sequence[str]:
    """What the field holds: as it was sent, or its default where nothing was sent yet."""
    if is_posted:
        return form.lists.get(field.name, [])
    match field.default:
        case list():
            return [str(each) for each in field.default]
        case bool():
            return [YES] if field.default else []
        case None:
            return []
    return [str(field.default)] if field.kind == "choice" else []


def _given(field: OptionField, form: Form) -> object:
    sent = form.lists.get(field.name, [])
    match field.kind:
        case "several":
            return [choice for choice in field.choices if choice in sent]
        case "yes_no":
            return YES in sent
        case "number":
            return _number(form.get(field.name))
    return form.optional(field.name)


def _number(given: str) -> object:
    for read in (int, float):
        try:
            return read(given)
        except ValueError:
            continue
    return given or None


def _fields(
    path: tuple[str, ...], described: Mapping[str, Any], schema: Mapping[str, Any]
) -> Iterator[OptionField]:
    for name, stated in described.get("properties", {}).items():
        value = stated | _followed(stated, schema)
        here = (*path, name)
        if value.get("type") == "object":
            yield from _fields(here, value, schema)
            continue
        kind, choices = _kind(value)
        description = stated.get("description", "")
        yield OptionField(here, kind, description, stated.get("default"), choices)


def _kind(value: Mapping[str, Any]) -> tuple[Kind, tuple[str, ...]]:
    match value:
        case {"type": "array", "items": {"enum": choices}}:
            return "several", tuple(map(str, choices))
        case {"enum": choices}:
            return "choice", tuple(map(str, choices))
        case {"type": "boolean"}:
            return "yes_no", ()
        case {"type": "integer" | "number"}:
            return "number", ()
    return "text", ()


def _followed(stated: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a reference, or the one alternative beside null, says."""
    for part in (stated, *stated.get("anyOf", ())):
        if "$ref" in part:
            return dict(schema["$defs"][part["$ref"].rpartition("/")[2]])
        if part is not stated and part.get("type") != "null":
            return dict(part)
    return {}
