"""docs/licences.md lists what is installed at run time, and each licence on it goes with ours."""

from __future__ import annotations

import re

from tests.support.licences import PAGE, ROOT, runtime_packages

MAY_BE_SHIPPED_WITH = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MPL-2.0",
    "PSF-2.0",
    "Zlib",
}


def rows() -> dict[str, str]:
    found = re.findall(r"^\| ([a-z0-9-]+) \| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    return {name: licence for name, licence in found if name != "package"}


def test_every_package_of_a_run_time_installation_is_listed_with_its_licence() -> None:
    listed = rows()
    found = {each.name: each.licence for each in runtime_packages()}
    assert len(found) > 30
    wrong = {name: licence for name, licence in found.items() if listed.get(name) != licence}
    assert not wrong, "python -m tests.support.licences"


def test_what_is_listed_is_locked() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    locked = set(re.findall(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==", lock, re.MULTILINE))
    assert set(rows()) <= locked, "python -m tests.support.licences"


def test_every_licence_is_known_and_goes_with_ours() -> None:
    others = {
        name: licence
        for name, licence in rows().items()
        if not licence or not set(re.split(r" (?:AND|OR) ", licence)) <= MAY_BE_SHIPPED_WITH
    }
    assert not others, "name it in MAY_BE_SHIPPED_WITH once you know that it may be"
