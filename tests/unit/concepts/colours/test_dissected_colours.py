"""Computed colours in a dissection: the same integers as colour masks on disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from written_sets import write_masks

from nd_plugin import LayerDissection, Preprocess, open_concepts, with_colours
from nd_plugin.concepts.colours.colour_table import ColourTable

HOW = Preprocess(size=(32, 32))


def with_masks_of_colours(root: Path, copy: Path) -> str:
    """Copy a set in the masks format, with the colours of its images as masks."""
    table = ColourTable.load()
    shutil.copytree(root, copy)
    (copy / "masks" / "color").mkdir()
    for path in sorted((copy / "images").iterdir()):
        with Image.open(path) as image:
            indices = table.indices(np.asarray(image.convert("RGB")))
        Image.fromarray(indices).save(copy / "masks" / "color" / f"{path.stem}.png")
    lines = [f"color,{index},{name}-c\n" for index, name in enumerate(table.names)]
    with (copy / "concepts.csv").open("a") as file:
        file.writelines(lines)
    return f"masks:{copy}"


def test_counts_are_those_of_masks_on_disk(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
    computed = with_colours(open_concepts(write_masks(tmp_path / "set")))
    written = open_concepts(
        with_masks_of_colours(tmp_path / "set", tmp_path / "with masks")
    )
    assert computed.concepts == written.concepts
    results = [
        LayerDissection(model, "0").dissect(
            concepts, quantile=0.1, preprocess=HOW, workers=workers
        )
        for concepts, workers in ((computed, 0), (computed, 2), (written, 0))
    ]
    first, *others = results
    assert first.intersection[:, 1:].any()
    for result in others:
        assert np.array_equal(result.intersection, first.intersection)
        assert np.array_equal(result.iou, first.iou)
        assert np.array_equal(result.labels, first.labels)
    assert any("is computed" in note for note in first.provenance.notes)
