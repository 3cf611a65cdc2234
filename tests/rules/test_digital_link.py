"""Digital Link URIs: what is written is read back, by us and by an independent reader."""

import biip
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mintage.rules import digital_link, gs1, serials
from mintage.rules.ai_table import Component, ai_table, find_ai, find_ai_at_start, path_sequences
from mintage.rules.digital_link import RESOLVING, STANDARD, DigitalLink, Options
from mintage.rules.elements import Element, element, format_bracketed, parse_bracketed
from mintage.rules.violation import RuleViolation
from tests.rules.randomness import gtins, seeded_bytes, set_82_values

GTIN = "09506000134352"
attribute_values = {
    "17": st.just("251231"),
    "3103": st.from_regex(r"[0-9]{6}", fullmatch=True),
    "99": st.text(alphabet="ABC%+/&=?\"'<>()", min_size=1, max_size=90),
    "240": set_82_values,
}
other_pairs = st.sampled_from(["linkType=gs1:pip", "linkType=all", "a", "b=", "x=1%202"])


SEQUENCES = sorted(path_sequences())
# Two check characters end one; these are GS1's own.
MODEL_NUMBERS = [
    "1987654Ad4X4bL5ttr2310c2K",
    "12345_ABCDEFGHIJKLMCP",
    "12345_0123456789:;<=>?62",
    "7907665Bm8v2AB",
]


def _digits(count: int) -> st.SearchStrategy[str]:
    return st.text(alphabet="0123456789", min_size=count, max_size=count)


def _values_of(part: Component) -> st.SearchStrategy[str]:
    """What a part of a value may be, by GS1's linters for it."""
    length_min, length_max = part.length_min, part.length_max
    if "csum" in part.linters:
        found = _digits(length_max - 1).map(lambda payload: payload + gs1.check_digit(payload))
    elif "csumalpha" in part.linters:
        found = st.sampled_from(MODEL_NUMBERS)
    elif "pieceoftotal" in part.linters:
        found = st.tuples(st.integers(1, 99), st.integers(1, 99)).map(
            lambda pair: f"{min(pair):02}{max(pair):02}"
        )
    elif "zero" in part.linters:
        found = st.just("0")
    elif "nozeroprefix" in part.linters:
        found = st.integers(1, 10**length_max - 1).map(str)
    elif "importeridx" in part.linters:
        found = st.sampled_from("-09AZ_az")
    else:
        alphabet = {"N": "0123456789", "X": gs1.SET_82, "Y": "#-/0123456789ABCXYZ"}[
            part.character_set
        ]
        starts = "9506" if "gcppos1" in part.linters else ""
        found = st.text(
            alphabet=alphabet,
            min_size=max(length_min - len(starts), 1),
            max_size=length_max - len(starts),
        ).map(lambda text: starts + text)
    return st.one_of(st.just(""), found) if part.is_optional else found


def values_of(ai: str) -> st.SearchStrategy[str]:
    """Values of an AI in its format."""
    return st.tuples(*map(_values_of, ai_table()[ai].components)).map("".join)


@st.composite
def digital_links(draw: st.DrawFn) -> DigitalLink:
    """Any key with some qualifiers in order, attributes, other pairs, a fragment."""
    sequence = draw(st.sampled_from(SEQUENCES))
    path = [element(ai, draw(values_of(ai))) for ai in sequence]
    fitting = sorted(attribute_values.keys() - set(sequence))
    ais = draw(st.lists(st.sampled_from(fitting), unique=True))
    return DigitalLink(
        stem=draw(st.sampled_from(["https://id.example.com", "http://a:8080/more/stem", ""])),
        path=tuple(path),
        attributes=tuple(element(ai, draw(attribute_values[ai])) for ai in ais),
        other_pairs=tuple(draw(st.lists(other_pairs, max_size=3))),
        fragment=None,
    )


@given(digital_links(), st.sampled_from([None, "", "top"]))
def test_parsing_undoes_formatting(link: DigitalLink, fragment: str | None) -> None:
    uri = digital_link.format_uri(link)
    if not link.stem:
        path, _, query = uri.partition("?")
        assert digital_link.parse_target(path, query) == link
        return
    with_fragment = DigitalLink(link.stem, link.path, link.attributes, link.other_pairs, fragment)
    assert digital_link.parse(digital_link.format_uri(with_fragment)) == with_fragment


@pytest.mark.parametrize("sequence", SEQUENCES, ids="-".join)
def test_every_sequence_of_the_table_can_be_drawn_and_is_read_back(
    sequence: tuple[str, ...],
) -> None:
    @settings(max_examples=5)
    @given(st.tuples(*map(values_of, sequence)))
    def is_read_back(values: tuple[str, ...]) -> None:
        path = tuple(element(ai, value) for ai, value in zip(sequence, values, strict=True))
        link = DigitalLink("https://id.example.com", path)
        assert digital_link.parse(digital_link.format_uri(link)) == link

    is_read_back()


@given(gtins, set_82_values)
@example(GTIN, "a/b?c=d&e%2F+\"'")
@example(GTIN, "%41")
@example(GTIN, "21")
@example(GTIN, "01")
def test_an_independent_reader_reads_unit_and_lot_urls_back(gtin: str, value: str) -> None:
    for path, ai in (
        (digital_link.unit_path(gtin, value), "21"),
        (digital_link.lot_path(gtin, value), "10"),
    ):
        link = digital_link.parse_target(path, "")
        assert (link.key.value, link.value_of(ai)) == (gtin, value)
        read = biip.parse(f"https://id.example.com{path}").gs1_digital_link_uri
        assert read is not None
        assert [(each.ai.ai, each.value) for each in read.element_strings] == [
            ("01", gtin),
            (ai, value),
        ]


def test_generated_serials_need_no_escape_in_a_url() -> None:
    source = seeded_bytes(31)
    chunk = serials.serial_chunk(serials.draw_prefix(source), 0, 100, 100, source)
    for row in chunk:
        serial = bytes(row).decode()
        assert digital_link.unit_path(GTIN, serial) == f"/01/{GTIN}/21/{serial}"


@given(st.text())
def test_any_text_is_read_and_written_back_or_refused(text: str) -> None:
    for candidate in (text, f"https://a/01/{GTIN}/21/{text}", f"https://a/01/{GTIN}?{text}"):
        try:
            link = digital_link.parse(candidate, RESOLVING)
        except RuleViolation:
            continue
        assert digital_link.parse(digital_link.format_uri(link), RESOLVING) == link


@given(st.text(alphabet="/01234567890%?=&+.ABfF", max_size=60))
def test_any_target_has_a_key_or_is_refused(target: str) -> None:
    path, _, query = target.partition("?")
    try:
        link = digital_link.parse_target(path, query, RESOLVING)
    except RuleViolation:
        return
    assert link.key.identifier.qualifiers is not None


@pytest.mark.parametrize(
    ("path", "gtin"),
    [
        ("/01/9506000134352", GTIN),
        ("/01/416000336108", "00416000336108"),
        ("/01/02345673", "00000002345673"),
        (f"/01/{GTIN}/", GTIN),
    ],
)
def test_the_resolver_reads_short_gtins_and_a_trailing_slash(path: str, gtin: str) -> None:
    assert digital_link.parse_target(path, "", RESOLVING).key.value == gtin
    with pytest.raises(RuleViolation):
        digital_link.parse_target(path, "", STANDARD)


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("/gtin/09506000134352", "", "no GS1 key"),
        ("/01/09506000134353", "", "check digit"),
        ("/01/950600013435", "", "check digit"),
        ("/01/95060001343521", "", "check digit"),
        ("/01/0950600013435", "", "check digit"),
        ("/01/123", "", "too short"),
        ("/01/095060001343521", "", "too long"),
        ("/01/0950600013435A", "", "digits"),
        ("/01/09506000134352/89/X", "", "no GS1 key"),
        ("/01/09506000134352/21/A/10/B", "", "legal order"),
        ("/01/09506000134352/235/A/10/B", "", "legal order"),
        ("/01/09506000134352/21/A/21/B", "", "legal order"),
        ("/01/09506000134352/21/", "", "no GS1 key"),
        ("/01/09506000134352/21//", "", "no value"),
        ("/01/09506000134352/21", "", "no GS1 key"),
        ("/01/09506000134352//", "", "no GS1 key"),
        ("/01/09506000134352/21/%", "", "percent escape"),
        ("/01/09506000134352/21/A%4", "", "percent escape"),
        ("/01/09506000134352/21/%C3%BC", "", "set 82"),
        ("/01/09506000134352/21/%20", "", "set 82"),
        ("/01/09506000134352/21/%00", "", "NUL"),
        ("/01/09506000134352/21/" + "A" * 21, "", "too long"),
        ('/01/09506000134352/21/A"B', "", "not allowed in a URI"),
        ("/01/09506000134352/21/é", "", "not allowed in a URI"),
        ("/01/09506000134352", "21=A", "no attribute"),
        ("/01/09506000134352", "10=A", "qualifier"),
        ("/01/09506000134352", "17=", "no value"),
        ("/01/09506000134352", "17=251332", "no month"),
        ("/01/09506000134352", "17=251231&17=251231", "twice"),
        ("/01/09506000134352", "01=09506000134352", "twice"),
        ("/01/09506000134352", "89=A", "no Application Identifier"),
        ("/01/09506000134352", "99=%zz", "percent escape"),
        ("/01/09506000134352", "&".join(f"x{i}=1" for i in range(64)), "too many"),
        ("/01/09506000134352", "x=" + "1" * 9000, "too long"),
        ("", "", "no GS1 key"),
        ("/", "", "no GS1 key"),
        ("/mu/01", "", "no GS1 key"),
    ],
)
def test_a_fault_is_named_in_words(path: str, query: str, words: str) -> None:
    with pytest.raises(RuleViolation, match=words) as refusal:
        digital_link.parse_target(path, query, RESOLVING)
    assert refusal.value.hint


def test_the_rest_of_a_query_is_kept_as_it_was_written() -> None:
    link = digital_link.parse_target(
        f"/01/{GTIN}/21/A", "linkType=gs1:pip&&17=251231&utm=a%20b&flag", RESOLVING
    )
    assert link.other_pairs == ("linkType=gs1:pip", "utm=a%20b", "flag")
    assert [each.ai for each in link.attributes] == ["17"]
    assert link.value_of("10") is None


def test_aliases_are_read_only_where_they_are_permitted() -> None:
    permissive = Options(permits_aliases=True)
    for alias, ai in digital_link.CONVENIENCE_ALIASES.items():
        assert find_ai(ai) is not None, alias
    link = digital_link.parse(f"https://a/gtin/{GTIN}/lot/L/ser/S", permissive)
    assert digital_link.format_uri(link) == f"https://a/01/{GTIN}/10/L/21/S"


def test_a_bad_escape_stands_for_itself_where_that_is_permitted() -> None:
    link = digital_link.parse_target(f"/01/{GTIN}/10/A%4G", "", Options(permits_bad_escapes=True))
    assert link.value_of("10") == "A%4G"


def test_elements_without_a_key_or_with_a_stray_qualifier_make_no_link() -> None:
    with pytest.raises(RuleViolation, match="no primary key"):
        digital_link.link_of(parse_bracketed("(10)A(99)B"))
    with pytest.raises(RuleViolation, match="no attribute"):
        digital_link.link_of(parse_bracketed(f"(01){GTIN}(254)A"))


@given(st.lists(st.tuples(st.sampled_from(["10", "21", "240", "99"]), set_82_values), min_size=1))
def test_reading_bracketed_elements_undoes_writing_them(pairs: list[tuple[str, str]]) -> None:
    written = tuple(element(ai, value) for ai, value in pairs[:64])
    assert parse_bracketed(format_bracketed(written)) == written


def test_the_table_holds_every_row_of_the_dictionary() -> None:
    table = ai_table()
    assert len(table) == 541
    assert table["01"].qualifiers == (("22", "10", "21"), ("235",))
    assert table["414"].qualifiers == (("254",), ("7040",))
    assert table["00"].qualifiers == ((),)
    assert table["10"].qualifiers is None
    assert table["3925"].requires == (
        (("01", "30"), ("01", "31nn"), ("01", "32nn"), ("01", "35nn"), ("01", "36nn")),
    )
    assert table["8003"].format == (
        "1 digits, then 13 digits, then perhaps 1 to 16 characters of GS1 set 82"
    )


def test_an_unknown_ai_is_made_up_only_where_its_length_can_be_known() -> None:
    assert find_ai("89") is None
    unknown = find_ai("89", permits_unknown=True)
    assert unknown is not None
    assert (unknown.is_known, unknown.length_min, unknown.length_max) == (False, 1, 90)
    for digits in ("011", "80", "800", "9", "99999", "x1", "37a"):
        assert find_ai(digits, permits_unknown=True) is None
    fixed = find_ai("3199", permits_unknown=True)
    assert fixed is not None
    assert (fixed.length_min, fixed.has_predefined_length) == (6, True)
    assert find_ai_at_start("891234", permits_unknown=True) is None
    assert find_ai_at_start("3199000001", permits_unknown=True) == fixed


def test_an_element_knows_its_ai() -> None:
    assert Element(ai_table()["21"], "A").ai == "21"
    with pytest.raises(RuleViolation, match="not an Application Identifier"):
        element("89", "A")
