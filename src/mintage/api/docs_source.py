"""The documentation as it is written: Markdown by path, from the package or from the repository.

In an installed package the pages are beside the code (`mintage/docs`); in a working copy they are the
folder `docs` at its top. Not here: HTML (`docs_pages`), and what a page says of an RPC (`rpc_pages`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import mintage

_SUFFIX: Final = ".md"
_GALLERY: Final = "gallery"
"""Pictures: they stay in the repository."""


@cache
def docs_sources() -> Mapping[str, str]:
    """Every page's Markdown by its path below docs/, without the suffix: `api/list_products`.

    Raises `FileNotFoundError` where there is no folder of pages.
    """
    folder = _folder()
    return MappingProxyType(
        {
            path.relative_to(folder).with_suffix("").as_posix(): path.read_text("utf-8")
            for path in sorted(folder.rglob(f"*{_SUFFIX}"))
            if path.parent.name != _GALLERY
        }
    )


def _folder() -> Path:
    package = Path(mintage.__file__).parent
    for folder in (package / "docs", package.parents[1] / "docs"):
        if (folder / "README.md").is_file():
            return folder
    raise FileNotFoundError("the documentation is neither in the package nor in the repository")
