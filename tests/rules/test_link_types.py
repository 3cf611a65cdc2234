"""Link types of the GS1 Web Vocabulary, and the thresholds of copies."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from mintage.rules.clone_thresholds import DEFAULTS, out_of_order, thresholds_of
from mintage.rules.link_types import DEFAULT_LINK, link_types


def test_every_type_of_the_vocabulary_is_there_by_its_curie() -> None:
    text = resources.files("mintage.rules").joinpath("data/gs1-link-types.json").read_text("utf-8")
    names = json.loads(text)
    assert len(names) == 60
    assert set(link_types()) == {f"gs1:{name}" for name in names}
    assert DEFAULT_LINK in link_types()


def test_a_type_has_title_uri_and_status() -> None:
    found = link_types()["gs1:pip"]
    assert (found.title, found.uri, found.is_deprecated) == (
        "Product Information Page",
        "https://ref.gs1.org/voc/pip",
        False,
    )
    deprecated = [curie for curie, found in link_types().items() if found.is_deprecated]
    assert deprecated == ["gs1:productSustainabilityInfo"]


def test_the_default_thresholds_are_in_order() -> None:
    assert out_of_order(DEFAULTS) == []
    assert thresholds_of({}) == DEFAULTS


def test_a_brands_own_thresholds_go_before_the_defaults() -> None:
    assert thresholds_of({"scans_a_day_high": 7})["scans_a_day_high"] == 7
    assert thresholds_of({"scans_a_day_high": 7})["scans_a_day_review"] == 10
    assert "nonsense" not in thresholds_of({"nonsense": 1})


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"scans_a_day_review": 30}, []),
        ({"scans_a_day_review": 31}, ["scans_a_day_elevated"]),
        ({"countries_a_day_high": 2}, ["countries_a_day_high"]),
        ({"travel_minutes_review": 60}, []),
        ({"travel_minutes_review": 59}, ["travel_minutes_elevated"]),
        ({"travel_minutes_high": 61}, ["travel_minutes_high"]),
    ],
)
def test_a_graver_threshold_is_not_reached_first(changes: dict[str, int], wrong: list[str]) -> None:
    assert out_of_order(thresholds_of(changes)) == wrong
