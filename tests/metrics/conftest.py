"""Settings of a platform that is not started."""

from __future__ import annotations

from pathlib import Path

import pytest

from mintage.settings import Settings, read_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({"MINTAGE_DATA": str(tmp_path)})
