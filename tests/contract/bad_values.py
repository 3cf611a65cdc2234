"""Bad values for an argument, made from the JSON schema of its model: wrong types, sizes, words, forms.

Not here: faults of the JSON text itself (NUL, lone surrogates, depth), which the HTTP door finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mintage.operations.argument_faults import by_wire_name
from mintage.operations.arguments import Arguments, NotNull, Patch

Schema = Mapping[str, Any]

VALUES_BY_TYPE: dict[str, tuple[object, ...]] = {
    "string": ("nonsense",),
    "integer": (7, -7, 0),
    "number": (7.5,),
    "boolean": (True, False),
    "array": ([], ["nonsense"]),
    "object": ({}, {"nonsense": 1}),
}
LONGEST_TEXT = 5_000
BAD_IDS = (
    "nonsense",
    "",
    "0190d1c2000070008000000000000000",
    "{0190d1c2-0000-7000-8000-000000000000}",
    " 0190d1c2-0000-7000-8000-000000000000",
    "0190d1c2-0000-7000-8000-00000000000g",
    "٠190d1c2-0000-7000-8000-000000000000",
)
BAD_MOMENTS = (
    "tomorrow",
    "",
    "2026-01-31",
    "2026-01-31T12:00:00",
    "2026-02-30T12:00:00Z",
    "2026-01-31T25:00:00Z",
    "2026-01-31 12:00:00 Europe/Berlin",
    "1769860800",
)
BAD_DAYS = ("2026-02-30", "31.01.2026", "2026-01-31T00:00:00Z", "20260131", "")
BAD_GTINS = ("9506000134353", "123", "", "nonsense", "95060001343521234", "٩506000134352")
FORMS: dict[str, tuple[str, ...]] = {
    "_from": BAD_MOMENTS,
    "_to": BAD_MOMENTS,
    "_scanned_at": (*BAD_MOMENTS, "2099-01-31T12:00:00Z", "2020-01-31T12:00:00Z"),
    "_gtin": BAD_GTINS,
    "_production_date": BAD_DAYS,
    "production_date": BAD_DAYS,
    "_cursor": ("nonsense", "e30", "", "WyJ4Il0", "é"),
    "_base_url": ("nonsense", "ftp://example.com", "https://example.com/path", "https://a@b.com"),
    "_format": ("nonsense", "CSV", ""),
    "_profile": ("nonsense", ""),
    "_options": (),
    "_serial_number": ("", "A" * 21, "ä", "A B", "A~", "A\0"),
    "_lot_code": ("", "A" * 21, "ä", "A B", "A~"),
    "ip": ("nonsense", "", "192.0.2", "192.0.2.256", "192.0.2.0/24", "1::2::3", "fe80::1%eth0%"),
    "user_agent": ("Googlebot/2.1 (+http://www.google.com/bot.html)", "Twitterbot/1.0"),
    "lot_code": ("", "A" * 21, "=A", "@A", "ä", "A B", "A~"),
    "_serials[0]": ("", "A" * 21, "=A", "-A", "ä", "A B"),
    "_email": ("nonsense", "a@b", "a b@example.com", "@example.com"),
    "_owner_email": ("nonsense", "a@b"),
    "_slug": ("", "Brand", "-brand", "brand-", "a" * 64, "bränd", "a.b"),
    "_image_url": ("http://example.com/a.png", "https://", "https://a@example.com/", "nonsense"),
    "image_url": (
        "http://example.com/a.png",
        "javascript:alert(1)",
        "https://example.com/\x0e.png",
        "https://exam\x85ple.com/",
    ),
    "_expires_at": (*BAD_MOMENTS, "2026-01-31T12:00:00Z", "1970-01-01T00:00:00Z"),
    "_link_type": ("pip", "gs1:nonsense", "gs1:defaultLink", "GS1:pip", " gs1:pip", ""),
    "_href": (
        "http://example.com/",
        "https://",
        "https://a@example.com/",
        "//example.com/",
        "https://example.com/a b",
        "https://example.com/\r\nset-cookie: a=b",
        "https://example.com\\@evil.example/",
        "https://example.com/ä",
        "https://example.com/%zz",
        "javascript:alert(1)",
        "https://example.com/" + "a" * 2000,
    ),
    "_title": ("a\nb", "a\rb", "\x1b[1m", "x" * 201),
    "_hreflang": ("", "e", "en_GB", "en-", "deutsch!", "de DE"),
    "_media_type": ("", "text", "text/", "/html", "text/html; charset=utf-8", "a/b/c"),
    "_context": ("", "a b", "ä", "x" * 65),
    "_subject": ("", "a\nb", "x" * 256),
    "biz_location": ("nonsense", "", "ftp://example.com/", "urn:", "urn:epc", "https://a@b.com/"),
    "read_point": ("nonsense", "", "mailto:a@example.com", "https:///"),
}
"""Texts of the right type and size that are wrong all the same."""
NAMES_OF_THE_CALLER = {"_scan_id"}
"""Ids that are no UUIDs of ours: any text."""
MAY_BE_EMPTY = {"_context"}
"""Objects of which no key is needed."""


@dataclass(frozen=True)
class Bad:
    """A value that must be refused; `place` is how the error names it (`_lots[0].qty`)."""

    place: str
    value: object

    def named_by(self, argument: str) -> bool:
        """True if an error that names `argument` names this place, or something inside it."""
        return argument == self.place or argument.startswith((f"{self.place}.", f"{self.place}["))


def arguments_of(model: type[Arguments]) -> dict[str, Schema]:
    """The JSON schema of every argument, by its name on the wire; references are resolved."""
    schema = model.model_json_schema(by_alias=True)
    return {
        name: _resolved(inner, schema.get("$defs", {}))
        for name, inner in schema["properties"].items()
    }


def is_required(model: type[Arguments], argument: str) -> bool:
    return argument in model.model_json_schema(by_alias=True).get("required", [])


def bad_values(place: str, schema: Schema) -> Iterator[Bad]:
    """Wrong types, out of range, too short, too long, no word of the list, no such form."""
    branches = {branch["type"]: branch for branch in schema.get("anyOf", [schema])}
    for kind, values in VALUES_BY_TYPE.items():
        if kind not in branches:
            yield from (Bad(place, value) for value in values)
    if "number" not in branches:
        yield from (Bad(place, value) for value in (100.0, 1e15))
    for kind, branch in branches.items():
        match kind:
            case "integer":
                yield from (Bad(place, value) for value in _bad_integers(branch))
            case "string":
                yield from (Bad(place, value) for value in _bad_texts(place, branch))
            case "array":
                yield from _bad_lists(place, branch)
            case "object":
                yield from _bad_objects(place, branch)


def keys_not_null(model: type[Arguments], argument: str) -> set[str]:
    """The keys of a patch that may be left out and not be null."""
    annotation = by_wire_name(model)[argument].annotation
    if not (isinstance(annotation, type) and issubclass(annotation, Patch)):
        return set()
    return {name for name, field in annotation.model_fields.items() if NotNull in field.metadata}


def _bad_integers(branch: Schema) -> Iterator[object]:
    yield from ("7", "", 2**31, 2**63, -1)
    yield branch["minimum"] - 1
    yield branch["maximum"] + 1


def _bad_texts(place: str, branch: Schema) -> Iterator[str]:
    yield "x" * (LONGEST_TEXT + 1)
    if "maxLength" in branch:
        yield "x" * (branch["maxLength"] + 1)
    if branch.get("minLength"):
        yield ""
    if "enum" in branch:
        yield from ("nonsense", "", branch["enum"][0].swapcase(), f" {branch['enum'][0]}")
    yield from FORMS.get(place, FORMS.get(place.rpartition(".")[2], ()))
    if place.endswith("_id") and place not in NAMES_OF_THE_CALLER:
        yield from BAD_IDS


def _bad_lists(place: str, branch: Schema) -> Iterator[Bad]:
    yield Bad(place, [])
    if "maxItems" in branch:
        yield Bad(place, ["x"] * (branch["maxItems"] + 1))
    for bad in bad_values(f"{place}[0]", branch["items"]):
        yield Bad(bad.place, _FirstOf(bad.value, bad.place.removeprefix(f"{place}[0]")))
    yield Bad(f"{place}[0]", _FirstOf(None, ""))


@dataclass(frozen=True)
class _FirstOf:
    """A list whose first item, or a key of it, is `value`; the rest stays as it was right."""

    value: object
    inside: str


def _bad_objects(place: str, branch: Schema) -> Iterator[Bad]:
    if "properties" not in branch:
        yield Bad(place, {"long": "x" * 20_000})
        return
    if place not in MAY_BE_EMPTY:
        yield Bad(place, {})
    yield Bad(f"{place}.nonsense", _With("nonsense", 1))
    for name, inner in branch["properties"].items():
        for bad in bad_values(f"{place}.{name}", inner):
            yield Bad(bad.place, _With(name, bad.value))


@dataclass(frozen=True)
class _With:
    """An object that is right but for one key."""

    name: str
    value: object


def placed(right: object, bad: object) -> object:
    """The right value with the bad one put where it belongs."""
    match bad:
        case _FirstOf(value, ""):
            assert isinstance(right, list)
            return [placed(right[0], value), *right[1:]]
        case _FirstOf(value, inside):
            assert isinstance(right, list)
            inner = value if isinstance(value, _With) else _With(inside.removeprefix("."), value)
            return [placed(right[0], inner), *right[1:]]
        case _With(name, value):
            assert isinstance(right, dict)
            return right | {name: placed(right.get(name), value)}
    return bad


def _resolved(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    if "$ref" in schema:
        return _resolved(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    found = dict(schema)
    if "anyOf" in found:
        found["anyOf"] = [_resolved(branch, definitions) for branch in found["anyOf"]]
    if "items" in found:
        found["items"] = _resolved(found["items"], definitions)
    if "properties" in found:
        found["properties"] = {
            name: _resolved(inner, definitions) for name, inner in found["properties"].items()
        }
    return found
