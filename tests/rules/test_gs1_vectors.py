"""GS1's own cases: linters, element strings, associations, Digital Link URIs, escapes."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest

from mintage.rules import digital_link, elements, linters
from mintage.rules.ai_table import ai_table
from mintage.rules.elements import Element
from mintage.rules.linters import GcpVerdict
from mintage.rules.violation import RuleViolation
from tests.rules.randomness import VECTORS, vectors_of

T = TypeVar("T")

LINTER_CASES: dict[str, list[dict[str, Any]]] = vectors_of(
    "gs1-syntax-dictionary/linter-vectors.json"
)["linters"]


def engine_cases(name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = vectors_of(f"gs1-syntax-engine/{name}.json")["vectors"]
    return cases


def test_no_case_has_gone_missing() -> None:
    counts = {
        "ai-association-rules": 39,
        "ai-bracketed-parse": 15,
        "ai-element-string": 42,
        "dl-uri-generate": 11,
        "dl-uri-parse": 59,
        "scan-data-generate": 23,
        "scan-data-process": 27,
        "uri-escape": 5,
        "uri-unescape": 11,
    }
    files = sorted(file.stem for file in (VECTORS / "gs1-syntax-engine").glob("*.json"))
    assert files == sorted(counts)
    assert {name: len(engine_cases(name)) for name in counts} == counts
    assert len(element_string_cases()) == counts["ai-element-string"] - 2
    assert (len(LINTER_CASES), sum(map(len, LINTER_CASES.values()))) == (39, 5671)
    assert min(map(len, LINTER_CASES.values())) >= 2


def options_of(switches: dict[str, str]) -> digital_link.Options:
    """The engine's switches, which a case names where they differ from the default."""

    def is_on(name: str) -> bool:
        return switches.get(name) == "true"

    return digital_link.Options(
        permits_short_gtins=is_on("PermitZeroSuppressedGTINinDLuris"),
        permits_aliases=is_on("permitConvenienceAlphas"),
        permits_unknown_ais=is_on("PermitUnknownAIs"),
        permits_unknown_attributes=switches.get("ValidationEnabled", "").endswith("false"),
    )


def outcome(read: Callable[[], T]) -> T | None:
    """What `read` answers, or None where a rule refuses."""
    try:
        return read()
    except RuleViolation:
        return None


def register_for(case: dict[str, Any]) -> linters.GcpLookup:
    """The register of company prefixes under which GS1 ran the case.

    The cases that expect its refusal mark which of a coupon's prefixes it refuses.
    """
    verdicts: list[GcpVerdict] = []
    if str(case.get("error")).endswith("INVALID_GCP_PREFIX"):
        verdicts = ["invalid"]
    elif str(case.get("error")).endswith("GCP_DATASOURCE_OFFLINE"):
        verdicts = ["offline"]
    if verdicts and case["markup"].index("*") > 1:
        verdicts = ["valid", *verdicts]
    rest = iter(verdicts)
    return lambda prefix: next(rest, "valid")


@pytest.mark.parametrize("name", sorted(LINTER_CASES))
def test_the_linter_agrees_with_every_case(name: str) -> None:
    for case in LINTER_CASES[name]:
        problem = linters.lint(name, case["input"], register_for(case))
        assert (problem is None) == case["ok"], (case, problem)


def test_every_linter_of_the_dictionary_exists_and_has_cases() -> None:
    named = {
        linter
        for identifier in ai_table().values()
        for component in identifier.components
        for linter in component.linters
    }
    assert named <= linters.LINTER_NAMES
    assert set(LINTER_CASES) == linters.LINTER_NAMES
    with pytest.raises(LookupError):
        linters.lint("no such linter", "")


@pytest.mark.parametrize("case", engine_cases("dl-uri-parse"), ids=lambda case: case["uri"])
def test_a_digital_link_is_read_as_gs1_reads_it(case: dict[str, Any]) -> None:
    options = options_of(case["options"])
    link = outcome(lambda: digital_link.parse(case["uri"], options))
    assert (link is not None) == case["valid"]
    if link is not None:
        assert elements.format_element_string(link.elements) == case["element_string"]
        assert digital_link.parse(digital_link.format_uri(link), options) == link


@pytest.mark.parametrize(
    "case", engine_cases("dl-uri-generate"), ids=lambda case: case["ai_bracketed"]
)
def test_a_digital_link_is_written_as_gs1_writes_it(case: dict[str, Any]) -> None:
    stem = case["stem"] or digital_link.CANONICAL_STEM
    given = elements.parse_bracketed(case["ai_bracketed"], permits_unknown=True)
    uri = outcome(lambda: digital_link.format_uri(digital_link.link_of(given, stem)))
    assert uri == case["uri"]


@pytest.mark.parametrize("case", engine_cases("uri-escape"), ids=lambda case: case["input"])
def test_text_is_escaped_as_gs1_escapes_it(case: dict[str, Any]) -> None:
    assert digital_link.escape(case["input"], is_query=False) == case["in_path"]
    assert digital_link.escape(case["input"], is_query=True) == case["in_query"]


@pytest.mark.parametrize("case", engine_cases("uri-unescape"), ids=lambda case: case["input"])
def test_text_is_unescaped_as_gs1_unescapes_it(case: dict[str, Any]) -> None:
    assert digital_link.unescape(case["input"], is_query=False) == case["in_path"]
    assert digital_link.unescape(case["input"], is_query=True) == case["in_query"]


@pytest.mark.parametrize(
    "case", engine_cases("ai-bracketed-parse"), ids=lambda case: case["ai_bracketed"]
)
def test_a_bracketed_string_is_read_as_gs1_reads_it(case: dict[str, Any]) -> None:
    read = outcome(lambda: elements.parse_bracketed(case["ai_bracketed"]))
    assert (read is not None) == case["valid"]
    if read is not None:
        assert elements.format_element_string(read) == case["element_string"]
        assert elements.parse_bracketed(elements.format_bracketed(read)) == read


def element_string_cases() -> list[dict[str, Any]]:
    """All cases but the two whose input was lost (tests/vectors/README.md)."""
    return [
        case
        for case in engine_cases("ai-element-string")
        if not (case["valid"] and not case["element_string"])
    ]


@pytest.mark.parametrize("case", element_string_cases(), ids=lambda case: case["element_string"])
def test_an_element_string_is_accepted_where_gs1_accepts_it(case: dict[str, Any]) -> None:
    read = outcome(lambda: elements.parse_element_string(case["element_string"]))
    assert (read is not None) == case["valid"]
    if read is not None:
        assert elements.parse_element_string(elements.format_element_string(read)) == read


ASSOCIATION_RULES: dict[str, Callable[[Sequence[Element]], None]] = {
    "validateAIrepeats": elements.require_consistent_repeats,
    "validateAImutex": elements.require_no_excluded_pairs,
    "validateAIrequisites": elements.require_associations,
    "validateDigSigRequiresSerialisedKey": elements.require_serial_of_signed_key,
}


@pytest.mark.parametrize(
    "case", engine_cases("ai-association-rules"), ids=lambda case: case["ai_bracketed"]
)
def test_associations_are_judged_as_gs1_judges_them(case: dict[str, Any]) -> None:
    given = elements.parse_bracketed(case["ai_bracketed"], permits_unknown=True)

    def is_kept() -> bool:
        ASSOCIATION_RULES[case["rule"]](given)
        return True

    assert bool(outcome(is_kept)) == case["valid"]
