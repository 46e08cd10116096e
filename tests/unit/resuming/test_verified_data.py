"""Checkpoints and shards of runs with ``verify_data``: only the same contents go together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import Net
from written_sets import save_image, save_mask, write_broden, write_masks

from nd_plugin import (
    BadInput,
    Dissection,
    LayerDissection,
    Preprocess,
    Settings,
    open_concepts,
    open_model,
)
from nd_plugin.engine.run import observe, run
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.parts import parse_part
from nd_plugin.resuming import shards
from nd_plugin.resuming.checkpoint import CheckpointFolder

HOW = Preprocess((32, 32), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
VERIFIED = Settings(0.05, pictures=0, verify_data=True)
UNVERIFIED = replace(VERIFIED, verify_data=False)


def feed_of(text: str, settings: Settings, part: str = "1/1") -> Feed:
    concepts = open_concepts(text)
    cpu = torch.device("cpu")
    return Feed.of(concepts, HOW, settings, cpu, 2, 0, part=parse_part(part))


def dissect(
    text: str, folder: Path, settings: Settings, *, stops: bool = False
) -> Dissection:
    def progress(stage: str, done: int, total: int) -> None:
        if stops and stage == "activations" and done:
            raise KeyboardInterrupt

    checkpoints = CheckpointFolder(folder, feed_of(text, settings), every_images=1)
    with checkpoints.guarded():
        (dissection,) = run(
            open_model(Net()),
            ["far"],
            checkpoints.feed,
            progress,
            open_state=checkpoints.open_state,
        )
    return dissection


def interrupt(text: str, folder: Path, settings: Settings) -> None:
    with pytest.raises(KeyboardInterrupt):
        dissect(text, folder, settings, stops=True)
    assert (folder / "state.npz").is_file()


@pytest.mark.parametrize("write", [write_masks, write_broden])
def test_a_checkpoint_goes_on_with_the_same_contents(
    write: Callable[[Path], str], tmp_path: Path
) -> None:
    text, folder = write(tmp_path / "set"), tmp_path / "checkpoint"
    interrupt(text, folder, VERIFIED)
    resumed = dissect(text, folder, VERIFIED)
    (whole,) = run(open_model(Net()), ["far"], feed_of(text, UNVERIFIED))
    assert np.array_equal(resumed.intersection, whole.intersection)
    assert len(resumed.provenance.contents) == 16 and not whole.provenance.contents
    facts = resumed.report().facts
    assert "contents verified" in facts["concepts"]
    assert "contents verified" not in whole.report().facts["concepts"]


@pytest.mark.parametrize("kind", ["image", "mask"])
def test_other_contents_of_the_same_size_are_refused_where_verified(
    tmp_path: Path, kind: str
) -> None:
    text = write_masks(tmp_path / "set")
    interrupt(text, tmp_path / "verified", VERIFIED)
    interrupt(text, tmp_path / "unverified", UNVERIFIED)
    if kind == "image":
        save_image(tmp_path / "set" / "images" / "3.bmp", 99)
    else:
        save_mask(tmp_path / "set" / "masks" / "object" / "3.png", 3)
    with pytest.raises(
        BadInput, match="differs in the contents of images or masks"
    ):
        dissect(text, tmp_path / "verified", VERIFIED)
    # names and sizes say nothing
    assert dissect(text, tmp_path / "unverified", UNVERIFIED)


def test_one_kind_of_run_is_not_continued_as_the_other(tmp_path: Path) -> None:
    text = write_masks(tmp_path / "set")
    interrupt(text, tmp_path / "verified", VERIFIED)
    interrupt(text, tmp_path / "unverified", UNVERIFIED)
    with pytest.raises(BadInput, match="begun with --verify-data"):
        dissect(text, tmp_path / "verified", UNVERIFIED)
    with pytest.raises(BadInput, match="begun without --verify-data"):
        dissect(text, tmp_path / "unverified", VERIFIED)


def test_a_set_that_is_drawn_may_be_verified_or_not(tmp_path: Path) -> None:
    text = "shapes?images=6&size=32&seed=0"
    interrupt(text, tmp_path / "checkpoint", VERIFIED)
    assert dissect(text, tmp_path / "checkpoint", UNVERIFIED)
    verified = dissect(text, tmp_path / "other", VERIFIED)
    assert any(
        "has no files to verify" in note for note in verified.provenance.notes
    )


def test_captum_users_verify_by_an_argument(tmp_path: Path) -> None:
    text = write_masks(tmp_path / "set")
    dissection = LayerDissection(Net(), "far").dissect(
        text, preprocess=HOW, quantile=0.05, workers=0, verify_data=True
    )
    assert isinstance(dissection, Dissection)
    dissection.save(tmp_path / "run")
    loaded = Dissection.load(tmp_path / "run")
    assert loaded.provenance.contents == dissection.provenance.contents != ""
    assert loaded.settings.verify_data


def shard(text: str, folder: Path, settings: Settings, part: str) -> Path:
    checkpoints = CheckpointFolder(folder, feed_of(text, settings, part))
    with checkpoints.guarded():
        observe(
            open_model(Net()),
            ["far"],
            checkpoints.feed,
            lambda *_: None,
            checkpoints.open_state,
        )
    return folder


def merge(text: str, folders: list[Path]) -> Dissection:
    loaded = shards.load(folders)
    try:
        (merged,) = shards.merge(loaded, open_concepts(text), workers=0)
    finally:
        shards.close(loaded)
    return merged


def test_shards_that_were_verified_are_verified_again_when_merged(
    tmp_path: Path,
) -> None:
    text = write_masks(tmp_path / "set")
    folders = [
        shard(text, tmp_path / part[0], VERIFIED, part) for part in ("1/2", "2/2")
    ]
    merged = merge(text, folders)
    assert len(merged.provenance.contents) == 16 and merged.settings.verify_data
    save_mask(tmp_path / "set" / "masks" / "object" / "3.png", 3)
    with pytest.raises(BadInput, match="the concept set differs in the contents"):
        merge(text, folders)


def test_shards_of_other_contents_are_not_merged(tmp_path: Path) -> None:
    text = write_masks(tmp_path / "set")
    first = shard(text, tmp_path / "first", VERIFIED, "1/2")
    save_image(tmp_path / "set" / "images" / "3.bmp", 99)
    second = shard(text, tmp_path / "second", VERIFIED, "2/2")
    with pytest.raises(BadInput) as refused:
        shards.load([first, second])
    assert f"{second} does not belong to {first}" in str(refused.value)
    assert "contents of images or masks" in str(refused.value)


def test_shards_of_which_some_were_verified_are_merged_and_a_note_says_so(
    tmp_path: Path,
) -> None:
    text = write_masks(tmp_path / "set")
    first = shard(text, tmp_path / "first", VERIFIED, "1/2")
    second = shard(text, tmp_path / "second", UNVERIFIED, "2/2")
    merged = merge(text, [first, second])
    assert merged.provenance.contents == "" and not merged.settings.verify_data
    assert any(
        "verified in 1 of 2 shards" in note for note in merged.provenance.notes
    )
