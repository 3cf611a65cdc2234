"""The licences of what Mintage needs at run time, read from the packages that are installed.

`python -m tests.support.licences` writes docs/licences.md anew.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "licences.md"
HEADING: Final = """# Licences of dependencies

What an installation of Mintage brings along, from the packages' own metadata: everything that it needs,
and that its extras `demo` and `traces` need. Written by `python -m tests.support.licences`; a test compares
it with the lock and refuses a licence that is not on its list. Licences of files that Mintage ships itself:
[NOTICE](../NOTICE).

| package | licence |
|---|---|
"""
# What packages say in words of their own, as SPDX calls it.
SPDX: Final = {
    "mit": "MIT",
    "mit license": "MIT",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache-2.0 license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd-3-clause, apache-2.0, dependency licenses": "BSD-3-Clause AND Apache-2.0",
    "bsd license": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "python software foundation license": "PSF-2.0",
    "isc license (iscl)": "ISC",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
}


@dataclass(frozen=True)
class Licensed:
    """A package and its licence, as SPDX writes it; empty where none is known."""

    name: str
    licence: str


def runtime_packages() -> list[Licensed]:
    """Every package of a run-time installation, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(each for extra in extras.values() for each in extra)]
    waiting, seen = [Requirement(each) for each in asked], dict[str, Licensed]()
    looked_at: set[tuple[str, tuple[str, ...]]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonical(requirement.name)
        if (name, tuple(sorted(requirement.extras))) in looked_at:
            continue
        looked_at.add((name, tuple(sorted(requirement.extras))))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # For another system: the lock has it, this machine does not.
        seen[name] = Licensed(name, licence_of(found))
        for text in found.requires or []:
            inner = Requirement(text)
            wanted = ("", *requirement.extras)
            if inner.marker is None or any(inner.marker.evaluate({"extra": e}) for e in wanted):
                waiting.append(inner)
    return sorted(seen.values(), key=lambda each: each.name)


def licence_of(found: Distribution) -> str:
    """The licence that a package states: as an expression, a word, or a classifier."""
    metadata = found.metadata
    if expressions := metadata.get_all("License-Expression"):
        return str(expressions[0])
    stated = [str(each).strip().split("\n")[0] for each in metadata.get_all("License") or []]
    stated += [
        classifier.rpartition(" :: ")[2]
        for classifier in metadata.get_all("Classifier") or []
        if classifier.startswith("License ::")
    ]
    for each in stated:
        if each.lower() in SPDX:
            return SPDX[each.lower()]
    return next((each for each in stated if each and len(each) < 40), "")


def canonical(name: str) -> str:
    """A package's name as the lock writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def page(packages: list[Licensed]) -> str:
    """The page of licences."""
    return HEADING + "".join(f"| {each.name} | {each.licence} |\n" for each in packages)


if __name__ == "__main__":
    PAGE.write_text(page(runtime_packages()), "utf-8")
