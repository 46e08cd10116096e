"""The engine against the slow twin, on real images through a real network.

Every integer is the same, thresholds to the last bit. The twin reads the data with readers of its
own and prepares the images itself. It counts with the activations of the run, taken by plain hooks
while the run computes them: another forward pass may differ from them in the last bits, which
depend on the processor, the batch and the threads. That they are the network's activations is
seen, with a tolerance, in a plain forward pass on the twin's own images.
ND_TWIN_IMAGES sets how many images (468 are all; the twin needs about half a second for each).
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recording
import reference
import torch

from nd_plugin import Dissection, LayerDissection, open_concepts

IMAGES = int(os.environ.get("ND_TWIN_IMAGES", "24"))
SIZE = (224, 224)
BATCH = 8
QUANTILE, MIN_IOU = 0.005, 0.04
LAYERS = {  # stride and offset of the receptive fields, worked out by hand
    "_blocks.10": (16.0, 15.0),
    "_blocks.15": (32.0, 31.0),
    "_bn1": (32.0, 31.0),
}
# Of the largest activation: passes of 16 blocks in other memory formats and batches round apart.
FORWARD_TOLERANCE = 1e-4


def network() -> Any:
    """Return EfficientNet-Lite0, of its authors' weights."""
    pytest.importorskip(
        "efficientnet_lite_pytorch", reason="the extra 'demo' is not installed"
    )
    zoo = pytest.importorskip("nd_torch.zoo")
    return zoo.efficientnet_lite0().eval()


@functools.cache
def prepared(paths: tuple[Path, ...]) -> recording.Array:
    """Return images (image, channel, row, column), prepared by the twin for the network."""
    how = network().pretrained_cfg
    images = [
        reference.preprocess(
            path, SIZE, how["mean"], how["std"], how["interpolation"]
        )
        for path in paths
    ]
    return np.stack(images)


@functools.cache
def plain_activations(paths: tuple[Path, ...]) -> recording.Recorder:
    """Run the network on the twin's images, without anything of nd_plugin."""
    images, model = prepared(paths), network()
    recorder = recording.Recorder(images)
    recording.record_module(recorder, model, list(LAYERS))
    with torch.no_grad():
        for batch in torch.from_numpy(images).split(BATCH):
            model(batch)
    return recorder


@pytest.mark.parametrize(
    ("text", "native"),
    [
        ("masks:{}/camvid", False),
        ("broden:{}/broden_camvid", True),
        ("broden:{}/broden_camvid?index=index_sparse.csv", True),
    ],
)
def test_equals_the_slow_twin(real_data: Path, text: str, native: bool) -> None:
    model, spec = network(), text.format(real_data)
    kind, _, rest = spec.partition(":")
    root, _, query = rest.partition("?index=")
    twin = (
        reference.read_masks(Path(root))
        if kind == "masks"
        else reference.read_broden(Path(root), query or "index.csv")
    )
    paths = tuple(twin.images[:IMAGES])
    recorder = recording.Recorder(prepared(paths))
    recording.record_module(recorder, model, list(LAYERS))
    dissections = LayerDissection(model, list(LAYERS)).dissect(
        spec, batch_size=BATCH, limit=len(paths), workers=1
    )
    assert isinstance(dissections, list)
    annotations = [twin.annotation(image) for image in range(len(paths))]
    for found in dissections:
        maps = recorder.maps(found.layer)
        recording.assert_near(
            maps, plain_activations(paths).maps(found.layer), FORWARD_TOLERANCE
        )
        assert_equal(found, maps, annotations, twin, native)
    assert [c.name for c in open_concepts(spec).concepts] == [
        name for name, _ in twin.concepts
    ]


def assert_equal(
    found: Dissection,
    maps: list[recording.Array],
    annotations: list[reference.Annotation],
    twin: reference.ProbeSet,
    native: bool,
) -> None:
    values = np.stack(maps, axis=1).reshape(found.units, -1)
    thresholds = np.array([reference.threshold(unit, QUANTILE) for unit in values])
    assert np.array_equal(
        found.thresholds.view(np.int64), (thresholds + 0.0).view(np.int64)
    )
    assert np.array_equal(found.dead, reference.dead(values))
    assert np.array_equal(found.sparse, reference.sparse(values, QUANTILE))
    axis, mask = (
        LAYERS[found.layer],
        None if native else (SIZE[0] // 2, SIZE[1] // 2),
    )
    category_of = [twin.categories.index(category) for _, category in twin.concepts]
    intersection, unit_area, concept_area = reference.counts(
        maps,
        annotations,
        category_of,
        len(twin.categories),
        thresholds.astype(np.float32),
        (axis, axis),
        SIZE,
        mask,
    )
    assert np.array_equal(found.intersection, intersection)
    assert np.array_equal(found.unit_area, unit_area)
    assert np.array_equal(found.concept_area, concept_area)
    iou = reference.iou(intersection, unit_area, concept_area, category_of)
    assert np.array_equal(found.iou, iou)
    assert np.array_equal(found.labels, reference.labels(iou))
    assert found.summary().detectors == int(reference.detectors(iou, MIN_IOU).sum())
    assert found.unique_detectors == reference.unique_detectors(iou, MIN_IOU)
    per_category = reference.unique_detectors_per_category(
        iou, MIN_IOU, category_of
    )
    assert found.summary().unique_detectors_per_category == per_category
    assert found.intersection.sum() > 0
