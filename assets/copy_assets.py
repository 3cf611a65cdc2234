"""Copies what the console's pages stand on from the npm packages into the package, with their licences.

Run by `make assets` after `npm ci`; the files' hashes are kept in static/vendor/HASHES.txt, and a test compares
them.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

HERE = Path(__file__).parent
TO = HERE.parent / "src/mintage/console/static/vendor"
FILES = {
    "@picocss/pico/css/pico.min.css": "pico.min.css",
    "@picocss/pico/LICENSE.md": "pico.LICENSE.txt",
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "htmx.org/LICENSE": "htmx.LICENSE.txt",
}


def main() -> None:
    """Copy every file and write the list of hashes."""
    TO.mkdir(parents=True, exist_ok=True)
    lines = []
    for source, name in FILES.items():
        shutil.copyfile(HERE / "node_modules" / source, TO / name)
        lines.append(f"{hashlib.sha256((TO / name).read_bytes()).hexdigest()}  {name}\n")
    (TO / "HASHES.txt").write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    main()
