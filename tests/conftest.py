"""Fixtures of several tests: the real data, a fresh plugin host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nd_plugin.plugins import host

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of CamVid in both formats and the authors' results; without it the test is skipped."""
    folder = Path(os.environ.get("ND_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        holding = "set ND_DATA to the folder that holds camvid/ and broden_camvid/"
        pytest.skip(f"no real data at {folder}: {holding}")
    return folder


@pytest.fixture
def fresh_host() -> None:
    """Forget the plugins that were loaded, at the start and at the end of the test."""
    host.host.cache_clear()
    yield  # type: ignore[misc]
    host.host.cache_clear()
