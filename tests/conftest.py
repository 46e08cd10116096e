"""What several tests need: the real data, small networks, a fresh plugin host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nd_plugin.plugins import host

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """CamVid in both formats and the authors' published results; where they are absent the test is skipped."""
    folder = Path(os.environ.get("ND_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            f"no real data at {folder}: set ND_DATA to the folder that holds camvid/ and broden_camvid/"
        )
    return folder


@pytest.fixture
def fresh_host() -> None:
    """Forget the plugins that were loaded, before and after."""
    host.host.cache_clear()
    yield  # type: ignore[misc]
    host.host.cache_clear()
