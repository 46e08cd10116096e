"""Checkpoints beside a finished run: its own are removed, file by file, and nothing else."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn import Drawn, Net

from nd_plugin import Preprocess, Settings, open_model
from nd_plugin.engine.run import run
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results.folder_names import LOCK_FILE, STATE
from nd_plugin.resuming.checkpoint import CheckpointFolder
from nd_plugin.resuming.leftovers import remove_leftovers
from nd_plugin.resuming.run_identity.finished_run import RequestedRun
from nd_plugin.resuming.saved_state import remove_checkpoint
from nd_plugin.storage.lock_file import alone

HOW = Preprocess((32, 32), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def stop(stage: str, done: int, total: int) -> None:
    if done:
        raise KeyboardInterrupt


def feed_of(quantile: float = 0.05, batch_size: int = 2) -> Feed:
    concepts = Drawn.of("shapes?images=6&size=32&seed=3")
    settings = Settings(quantile, pictures=0)
    return Feed.of(concepts, HOW, settings, torch.device("cpu"), batch_size, 0)


def interrupt(folder: Path, feed: Feed, net: Net) -> None:
    checkpoints = CheckpointFolder(folder, feed, every_images=1)
    with pytest.raises(KeyboardInterrupt), checkpoints.guarded():
        run(open_model(net), ["far"], feed, stop, open_state=checkpoints.open_state)


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    """Return a folder with the checkpoint of a run."""
    folder = tmp_path / "run.partial"
    interrupt(folder / "1-of-1", feed_of(), Net())
    return folder


def output_of(partial: Path) -> Path:
    """Return the folder of the run that checkpoints lie beside."""
    return partial.with_name("run")


def description() -> dict[str, Any]:
    return RequestedRun.of(open_model(Net()), ["far"], feed_of()).description


def test_its_own_checkpoint_is_removed(partial: Path) -> None:
    assert (partial / "1-of-1" / STATE).is_file()
    assert remove_leftovers(output_of(partial), description()) == []
    assert not partial.exists()


def test_what_removing_has_left_is_removed(partial: Path) -> None:
    (partial / "1-of-1" / STATE).unlink()
    assert any((partial / "1-of-1").iterdir())
    assert remove_leftovers(output_of(partial), description()) == []
    assert not partial.exists()


def test_without_leftovers_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert remove_leftovers(tmp_path / "run", description()) == []


def test_files_of_others_stay(partial: Path) -> None:
    notes, thesis = partial / "notes.txt", partial / "1-of-1" / "thesis.tex"
    notes.write_text("mine")
    thesis.write_text("mine")
    (partial / "photos").mkdir()
    (partial / "photos" / "1.maps.jpg").write_text("mine")
    left = remove_leftovers(output_of(partial), description())
    assert left == [partial / "1-of-1", notes, partial / "photos"]
    assert not (partial / "1-of-1" / STATE).exists()
    assert [path.read_text() for path in (notes, thesis)] == ["mine", "mine"]
    assert (partial / "photos" / "1.maps.jpg").exists()


def test_a_link_to_another_folder_is_not_followed(
    partial: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "0.maps").write_text("mine")
    (partial / "2-of-2").symlink_to(elsewhere)
    assert remove_leftovers(output_of(partial), description()) == [
        partial / "2-of-2"
    ]
    assert (elsewhere / "0.maps").read_text() == "mine"


@pytest.mark.parametrize("kind", ["quantile", "batch size", "weights", "damaged"])
def test_a_checkpoint_of_another_run_stays(tmp_path: Path, kind: str) -> None:
    partial = tmp_path / "run.partial"
    feed = feed_of(
        0.1 if kind == "quantile" else 0.05, 3 if kind == "batch size" else 2
    )
    interrupt(partial / "1-of-1", feed, Net(seed=int(kind == "weights")))
    state = partial / "1-of-1" / STATE
    if kind == "damaged":
        state.write_bytes(state.read_bytes()[:-9])
    files = sorted((partial / "1-of-1").iterdir())
    assert remove_leftovers(output_of(partial), description()) == [
        partial / "1-of-1"
    ]
    assert sorted((partial / "1-of-1").iterdir()) == files


def hold_lock(path: Path, is_held: Any, may_end: Any) -> None:
    """Hold a lock in a process of its own until that may end."""
    with alone(path):
        is_held.set()
        may_end.wait(60)


def test_a_checkpoint_in_use_stays(partial: Path) -> None:
    folder = partial / "1-of-1"
    context = multiprocessing.get_context("fork")
    is_held, may_end = context.Event(), context.Event()
    process = context.Process(
        target=hold_lock, args=(folder / LOCK_FILE, is_held, may_end)
    )
    process.start()
    try:
        assert is_held.wait(60)
        remove_checkpoint(folder)
        assert (folder / STATE).is_file()
    finally:
        may_end.set()
        process.join()
    remove_checkpoint(folder)
    assert not folder.exists()
