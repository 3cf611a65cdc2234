"""Libraries that take long to load are loaded by the packs that need them, not by starting."""

from __future__ import annotations

import json
import subprocess
import sys

_DRAWING = ("PIL", "pypdfium2", "reportlab")


def test_every_door_opens_without_the_libraries_that_packs_draw_with() -> None:
    program = (
        f"import json, sys, mintage.cli; print(json.dumps([*set({_DRAWING}) & set(sys.modules)]))"
    )
    finished = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE)
    loaded: list[str] = json.loads(finished.stdout)
    assert loaded == [], "import them in mintage.packs.libraries, in the function that uses them"
