"""Processes of torchrun that do other work than the first are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from drawn import Drawn, Net

from nd_plugin import BadInput, Preprocess, Settings, open_model
from nd_plugin.cli.checkpoints import opened_alike
from nd_plugin.engine.run import run
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.probe_data.batches import Feed
from nd_plugin.resuming.checkpoint import CheckpointFolder


class Other(SingleProcess):
    """Group of two, the second of which says what the first says, but for one value."""

    size = 2

    def __init__(self, **changed: Any) -> None:
        self.changed = changed

    def gather(self, item: Any) -> list[Any]:
        return [item, {**item, **self.changed}]


def open_beside(group: SingleProcess, folder: Path) -> None:
    concepts = Drawn.of("shapes?images=4&size=32&seed=0")
    feed = Feed.of(
        concepts, Preprocess((32, 32)), Settings(0.05), torch.device("cpu"), 2, 0
    )
    checkpoint = CheckpointFolder(folder, feed)
    with checkpoint.guarded():
        run(
            open_model(Net()),
            ["near"],
            feed,
            open_state=opened_alike(checkpoint, group),
        )


@pytest.mark.parametrize(
    ("name", "value", "difference"),
    [
        ("layers", ["far"], "layers: ['far'], not ['near']"),
        ("images", 5, "images: 5, not 4"),
        ("batch size", 3, "batch size: 3, not 2"),
    ],
)
def test_other_work_is_refused(
    name: str, value: Any, difference: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput) as raised:
        open_beside(Other(**{name: value}), tmp_path / "run.partial")
    assert str(raised.value) == (
        f"the run of rank 1 is another than that of rank 0: it differs in {difference}"
    )


def test_the_same_work_on_another_part_is_the_same(tmp_path: Path) -> None:
    open_beside(Other(shard="2/2"), tmp_path / "run.partial")
