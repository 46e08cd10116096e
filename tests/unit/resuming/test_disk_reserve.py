"""Checkpoints leave room on the disk for the result, and say so once where they cannot be saved."""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from drawn import Drawn, Net

from nd_plugin import Preprocess, Settings, open_model
from nd_plugin.candidates import disk_space
from nd_plugin.candidates.disk_space import DISK_RESERVE, DiskRoom
from nd_plugin.engine.run import run
from nd_plugin.errors import NotSaved
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results.run_folder import load_run, save_run
from nd_plugin.resuming.checkpoint import CheckpointFolder
from nd_plugin.resuming.saved_state import has_state

MEGABYTE = 2**20
LAYERS = ("near", "far")
PREPROCESS = Preprocess((64, 64), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def checkpoints(folder: Path) -> CheckpointFolder:
    """Return checkpoints after every batch of a run of 12 images."""
    feed = Feed.of(
        Drawn.of("shapes?images=12&size=64&seed=3"),
        PREPROCESS,
        Settings(0.05, top_images=5),
        torch.device("cpu"),
        batch_size=3,
        workers=0,
    )
    return CheckpointFolder(folder, feed, every_images=1)


def run_in(folder: Path, states: list[bool]) -> Path:
    """Run with checkpoints in ``folder`` and save the result there.

    ``states`` takes whether there was a checkpoint, each time that progress was reported.
    """
    saved = checkpoints(folder / "run.partial" / "1-of-1")

    def progress(*_: object) -> None:
        states.append(has_state(saved.folder))

    with saved.guarded():
        dissections = run(
            open_model(Net().eval()),
            LAYERS,
            saved.feed,
            progress,
            open_state=saved.open_state,
        )
    return save_run(folder / "run", dissections)


def test_a_disk_that_is_nearly_full_costs_checkpoints_and_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk has more free than any checkpoint takes, but not more than is reserved."""
    usage = SimpleNamespace(total=2**40, used=0, free=DISK_RESERVE + 1000)
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda folder: usage)
    states: list[bool] = []
    with pytest.warns(RuntimeWarning) as said:
        run_in(tmp_path, states)
    (warning,) = [str(item.message) for item in said]
    assert "checkpoint not saved: it takes" in warning
    assert (
        "256.0 MiB free, and 256.0 MiB of these are reserved for the result"
        in warning
    )
    assert "the run goes on" in warning
    assert states and not any(states)
    assert len(load_run(tmp_path / "run")) == 2


def test_the_reserve_is_as_large_as_the_result_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(total=2**40, used=0, free=2**30)
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda folder: usage)
    DiskRoom(tmp_path, 2**29).check(2**29)
    with pytest.raises(NotSaved, match=r"512\.0 MiB of these are reserved"):
        DiskRoom(tmp_path, 2**29).check(2**29 + 1)
    DiskRoom(tmp_path, 0).check(2**30 - DISK_RESERVE)
    with pytest.raises(NotSaved, match=r"256\.0 MiB of these are reserved"):
        DiskRoom(tmp_path, 0).check(2**30 - DISK_RESERVE + 1)
    usage.total = 20 * MEGABYTE
    usage.free = 10 * MEGABYTE
    DiskRoom(tmp_path, 0).check(9 * MEGABYTE)


def test_the_estimate_covers_the_result(tmp_path: Path) -> None:
    """Of a run as it is: what is written in the end is less."""
    estimates: list[int] = []
    saved = checkpoints(tmp_path / "state")
    open_state = saved.open_state

    def watched(*arguments: object) -> object:
        saver, state = open_state(*arguments)  # type: ignore[arg-type]
        assert saver.result_size is not None
        size = saver.result_size
        tick = saver.tick

        def estimate(of_state: object, images: int) -> None:
            estimates.append(size.of(of_state))  # type: ignore[arg-type]
            tick(of_state, images)  # type: ignore[arg-type]

        saver.tick = estimate  # type: ignore[method-assign, assignment]
        return saver, state

    with saved.guarded():
        dissections = run(
            open_model(Net().eval()),
            LAYERS,
            saved.feed,
            open_state=watched,  # type: ignore[arg-type]
        )
    folder = save_run(tmp_path / "run", dissections)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert estimates and size < min(estimates) < 100 * size


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 8 MiB; skip where that is not allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if (
        shutil.which("mount") is None
        or subprocess.run(mount, check=False, capture_output=True).returncode
    ):
        pytest.skip("no disk can be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=False)


@pytest.mark.parametrize("left", [8.0, 2.0, 1.0])
def test_on_a_small_disk_the_result_is_saved(small_disk: Path, left: float) -> None:
    """However little is left: the checkpoints give way, the result has its room."""
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * int((8 - left) * MEGABYTE))
    states: list[bool] = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        run_in(small_disk, states)
    assert len(load_run(small_disk / "run")) == 2
    has_room = left > 4
    assert any(states) == has_room
    texts = [str(item.message) for item in said]
    assert len(texts) == (0 if has_room else 1), texts


def test_a_disk_that_is_full_at_the_end_keeps_the_checkpoint(
    small_disk: Path,
) -> None:
    """Another program takes the rest: what was computed is not lost, and saved later."""
    saved = checkpoints(small_disk / "run.partial" / "1-of-1")
    with saved.guarded():
        dissections = run(
            open_model(Net().eval()),
            LAYERS,
            saved.feed,
            open_state=saved.open_state,
        )
    filler = small_disk / "filler"
    free = shutil.disk_usage(small_disk).free
    with filler.open("wb") as file:
        os.truncate(file.fileno(), 0)
        file.write(b"x" * (free - 8192))
    with pytest.raises(NotSaved, match="No space left"):
        save_run(small_disk / "run", dissections)
    assert sorted(path.name for path in small_disk.iterdir()) == [
        "filler",
        "run.partial",
    ]
    filler.unlink()
    save_run(small_disk / "run", dissections)
    assert has_state(saved.folder)
