"""Fixtures of several tests: the real data, a fresh plugin host."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from nd_plugin.plugins import host
from nd_shapes.canvas import Canvas
from nd_shapes.scenes import Shapes

MOST_SCENES = 400  # up to 1 MB each
SETS: dict[tuple[object, ...], Shapes] = {}  # by images, size and seed
draw_scene = Shapes._draw
REPOSITORY = Path(__file__).parent.parent


def pytest_configure() -> None:
    """Handle the signals that tests send, though this process was started to ignore them.

    A shell's ``command &`` and nohup do so, and programs that tests start would inherit it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) is signal.SIG_IGN:
        signal.signal(hang_up, signal.SIG_DFL)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of CamVid in both formats and the authors' results; without it the test is skipped."""
    folder = Path(os.environ.get("ND_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        holding = "set ND_DATA to the folder that holds camvid/ and broden_camvid/"
        pytest.skip(f"no real data at {folder}: {holding}")
    return folder


@lru_cache(maxsize=MOST_SCENES)
def draw_once(shapes: Shapes, index: int) -> Canvas:
    """Draw a scene, or remember it."""
    return draw_scene(shapes, index)


@pytest.fixture(scope="module", autouse=True)
def scenes_are_drawn_once() -> Iterator[None]:
    """Remember the scenes of `shapes`: tests would spend half of their time on drawing them."""

    def draw(shapes: Shapes, index: int) -> Canvas:
        options = (shapes._images, shapes._size, shapes._seed)
        return draw_once(SETS.setdefault(options, shapes), index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shapes, "_draw", draw)
        yield


@pytest.fixture
def fresh_host() -> None:
    """Forget the plugins that were loaded, at the start and at the end of the test."""
    host.host.cache_clear()
    yield  # type: ignore[misc]
    host.host.cache_clear()
