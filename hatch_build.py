"""What of docs/ the wheel carries: the pages that /docs shows, and none of the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds docs/**/*.md without docs/gallery as mintage/docs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        docs = Path(self.root, "docs")
        if version == "editable":
            return
        for path in sorted(docs.rglob("*.md")):
            if path.parent.name != "gallery":
                target = f"mintage/docs/{path.relative_to(docs).as_posix()}"
                build_data["force_include"][str(path)] = target
