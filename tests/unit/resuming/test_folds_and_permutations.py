"""Counts by fold and the level of chance of runs that are interrupted, or made in shards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn import Drawn, Net

from nd_plugin import BadInput, Dissection, Preprocess, Settings, open_model
from nd_plugin.engine.run import observe, run
from nd_plugin.machine import termination
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.parts import WHOLE, Part
from nd_plugin.results.folder_names import STATE
from nd_plugin.resuming import shards
from nd_plugin.resuming.checkpoint import CheckpointFolder

IMAGES, SIZE, BATCH = 20, 64, 6
LAYERS = ("near", "far")
HOW = Preprocess((SIZE, SIZE), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
SETTINGS = Settings(
    quantiles=(0.05, 0.2), folds=3, permutations=4, seed=1, pictures=0
)


class Interrupted(Exception):
    """What stands for a power cut."""


@dataclass
class Runs:
    """Runs of one kind in a folder."""

    net: Net
    concepts: Drawn
    folder: Path
    settings: Settings = SETTINGS

    def feed(self, part: Part = WHOLE) -> Feed:
        cpu = torch.device("cpu")
        return Feed.of(self.concepts, HOW, self.settings, cpu, BATCH, 0, None, part)

    def whole(self) -> list[Dissection]:
        return run(open_model(self.net), LAYERS, self.feed())

    def checkpointed(
        self, progress: Callable[[str, int, int], None] = lambda *_: None
    ) -> list[Dissection]:
        checkpoint = CheckpointFolder(self.folder, self.feed(), 1)
        with checkpoint.guarded():
            return run(
                open_model(self.net),
                LAYERS,
                checkpoint.feed,
                progress,
                open_state=checkpoint.open_state,
            )

    def shard(self, index: int, of: int) -> Path:
        folder = self.folder.with_name(f"{index}-of-{of}")
        checkpoint = CheckpointFolder(folder, self.feed(Part(index, of)), 1)
        with checkpoint.guarded():
            observe(
                open_model(self.net),
                LAYERS,
                checkpoint.feed,
                lambda *_: None,
                checkpoint.open_state,
            )
        return folder


@pytest.fixture(scope="module")
def net() -> Net:
    return Net().eval()


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    concepts = Drawn.of(f"shapes?images={IMAGES}&size={SIZE}&seed=3")
    return replace(concepts, bad_images=(3,), bad_annotations=(5,))


@pytest.fixture
def runs(net: Net, drawn: Drawn, tmp_path: Path) -> Runs:
    return Runs(net, drawn, tmp_path / "run.partial")


@pytest.fixture(scope="module")
def expected(
    net: Net, drawn: Drawn, tmp_path_factory: pytest.TempPathFactory
) -> list[Dissection]:
    return Runs(net, drawn, tmp_path_factory.mktemp("runs")).whole()


def assert_same(
    dissections: Sequence[Dissection], expected: Sequence[Dissection]
) -> None:
    assert len(dissections) == len(expected) == 4
    for one, other in zip(dissections, expected, strict=True):
        assert one.folds is not None and other.folds is not None
        assert one.chance is not None and other.chance is not None
        assert np.array_equal(one.intersection, other.intersection)
        for name, array in vars(other.folds).items():
            assert np.array_equal(getattr(one.folds, name), array), name
        assert np.array_equal(one.chance.iou, other.chance.iou)
        assert np.array_equal(one.chance.labels, other.chance.labels)
        assert one.chance.fixed_images == other.chance.fixed_images
        assert one.skipped == other.skipped


# the first, a later one, and the last call of each stage
@pytest.mark.parametrize(
    "stop",
    [
        ("activations", 1),
        ("masks", 0),
        ("masks", 1),
        ("masks", 4),
        ("annotations", 1),
        ("permutations", 0),
        ("permutations", 2),
    ],
    ids=str,
)
def test_interrupted_anywhere(
    runs: Runs, expected: list[Dissection], stop: tuple[str, int]
) -> None:
    calls: list[str] = []

    def interrupt(stage: str, *_: object) -> None:
        calls.append(stage)
        if (stage, calls.count(stage) - 1) == stop:
            raise Interrupted

    with pytest.raises(Interrupted):
        runs.checkpointed(interrupt)
    assert (runs.folder / STATE).is_file()
    continued: list[tuple[str, int, int]] = []
    assert_same(runs.checkpointed(lambda *call: continued.append(call)), expected)
    if stop[0] != "activations":
        assert continued[0] == ("activations", IMAGES, IMAGES)


def test_a_request_to_end_is_heard_while_permutations_are_counted(
    runs: Runs, expected: list[Dissection], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask_to_end(stage: str, *_: object) -> None:
        if stage == "permutations":
            monkeypatch.setattr(termination, "is_requested", lambda: True)

    with pytest.raises(termination.Terminated):
        runs.checkpointed(ask_to_end)
    monkeypatch.undo()
    assert_same(runs.checkpointed(), expected)


@pytest.mark.parametrize("of", [2, 4])
def test_shards(runs: Runs, expected: list[Dissection], of: int) -> None:
    folders = [runs.shard(index, of) for index in range(of)]
    loaded = shards.load(folders[::-1])
    try:
        merged = shards.merge(loaded, runs.concepts, workers=0)
    finally:
        shards.close(loaded)
    assert_same(merged, expected)
    assert merged[0].settings == SETTINGS.at(0.05)


@pytest.mark.parametrize(
    ("change", "name"),
    [({"folds": 4}, "folds"), ({"permutations": 5}, "permutations"),
     ({"seed": 2}, "seed"), ({"folds": 0, "permutations": 0}, "folds")],
)  # fmt: skip
def test_other_settings_are_another_run(
    runs: Runs, change: dict[str, Any], name: str
) -> None:
    folder = runs.shard(0, 2)
    other = replace(runs, settings=replace(SETTINGS, **change))
    checkpoint = CheckpointFolder(folder, other.feed(Part(0, 2)), 1)
    with (
        pytest.raises(BadInput, match=rf"differs in settings\.{name}"),
        checkpoint.guarded(),
    ):
        observe(
            open_model(other.net),
            LAYERS,
            checkpoint.feed,
            lambda *_: None,
            checkpoint.open_state,
        )


def test_a_seed_alone_decides_nothing(runs: Runs) -> None:
    plain = replace(runs, settings=replace(SETTINGS, folds=0, permutations=0))
    folder = plain.shard(0, 2)
    other = replace(plain, settings=replace(plain.settings, seed=9))
    assert other.shard(0, 2) == folder
