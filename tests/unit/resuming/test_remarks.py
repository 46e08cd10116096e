"""Remarks on images reach the result, whatever way the run took: parts, shards, interruptions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn import Drawn, Net
from PIL import ExifTags, Image

from nd_plugin import Dissection, Preprocess, Settings, open_model
from nd_plugin.engine.part_run import Progress, silent
from nd_plugin.engine.run import observe, run
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.parts import WHOLE, Part
from nd_plugin.probe_data.remarks import Remarks
from nd_plugin.resuming import shards
from nd_plugin.resuming.checkpoint import CheckpointFolder

IMAGES, SIZE, BATCH = 14, 32, 4
LAYERS = ("near", "far")
HOW = Preprocess((SIZE, SIZE), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
TURNED = (1, 5, 6, 13)
TRANSPARENT = (2,)
UNLISTED = (5, 8)
NOTES = [
    "turned upright as the EXIF orientation says (4 images, for example scene 01)",
    "255 occurs (2 images, for example scene 05)",
    "transparent pixels composited on white (1 image: scene 02)",
]


class Interrupted(Exception):
    """What stands for a power cut."""


@pytest.fixture(scope="module")
def concepts() -> Drawn:
    drawn = Drawn.of(f"shapes?images={IMAGES}&size={SIZE}&seed=3")
    images = list(drawn.images)
    annotations = list(drawn.annotations)
    for index in TURNED:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 3
        images[index] = images[index].copy()
        images[index].info["exif"] = exif.tobytes()
    for index in TRANSPARENT:
        images[index] = images[index].convert("RGBA")
        images[index].putalpha(100)
    for index in UNLISTED:
        annotations[index] = replace(annotations[index], remarks=("255 occurs",))
    return replace(drawn, images=images, annotations=annotations)


@pytest.fixture(scope="module")
def net() -> Net:
    return Net().eval()


def feed(concepts: Drawn, part: Part = WHOLE, workers: int = 0, **how: Any) -> Feed:
    settings = Settings(0.05, **how)
    cpu = torch.device("cpu")
    return Feed.of(concepts, HOW, settings, cpu, BATCH, workers, None, part)


def notes(dissections: list[Dissection]) -> list[list[str]]:
    return [list(dissection.provenance.notes) for dissection in dissections]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.filterwarnings(
    "ignore:.*multi-threaded, use of fork:DeprecationWarning",
    "ignore:This DataLoader will create:UserWarning",
)
def test_remarks_are_notes_of_the_result(
    net: Net, concepts: Drawn, workers: int, strict: bool
) -> None:
    whole = feed(concepts, workers=workers, strict=strict)
    assert notes(run(open_model(net), LAYERS, whole)) == [NOTES, NOTES]


def test_a_set_without_remarks_has_no_such_notes(net: Net) -> None:
    drawn = Drawn.of(f"shapes?images={IMAGES}&size={SIZE}&seed=3")
    assert notes(run(open_model(net), LAYERS, feed(drawn))) == [[], []]


@pytest.mark.parametrize("after", range(11))
def test_an_interrupted_run_counts_each_image_once(
    net: Net, concepts: Drawn, tmp_path: Path, after: int
) -> None:
    folder = CheckpointFolder(tmp_path / "state", feed(concepts), every_images=1)

    def attempt(progress: Progress) -> list[Dissection]:
        with folder.guarded():
            return run(
                open_model(net),
                LAYERS,
                folder.feed,
                progress,
                open_state=folder.open_state,
            )

    calls = 0

    def interrupt(*_: object) -> None:
        nonlocal calls
        if calls == after:
            raise Interrupted
        calls += 1

    # one call before the first batch and one behind each, in both passes
    total = 2 * (1 + -(-IMAGES // BATCH))
    if after < total:
        with pytest.raises(Interrupted):
            attempt(interrupt)
    assert notes(attempt(silent)) == [NOTES, NOTES]


def test_shards_add_up(net: Net, concepts: Drawn, tmp_path: Path) -> None:
    folders = []
    for index in range(3):
        folder = tmp_path / f"shard{index}"
        checkpoint = CheckpointFolder(folder, feed(concepts, Part(index, 3)))
        with checkpoint.guarded():
            observe(
                open_model(net),
                LAYERS,
                checkpoint.feed,
                silent,
                checkpoint.open_state,
            )
        folders.append(folder)
    loaded = shards.load(folders[::-1])
    try:
        merged = shards.merge(loaded, concepts, workers=0)
    finally:
        shards.close(loaded)
    expected = ["merged from 3 shards", *NOTES]
    assert notes(merged) == [expected, expected]


def test_remarks_add_up_in_any_order() -> None:
    one = Remarks.on_image("b", ["x", "x", "y"])
    other = Remarks.on_image("a", ["x"])
    assert one + other == other + one
    assert (one + other).notes() == [
        "x (2 images, for example a)",
        "y (1 image: b)",
    ]
    assert (one + Remarks()).notes() == one.notes()
