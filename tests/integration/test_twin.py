"""The engine against the slow twin, on real images through a real network: every integer, thresholds to the last bit.

The twin reads the data with readers of its own, prepares the images itself, and takes activations by plain hooks.
ND_TWIN_IMAGES sets how many images (468 are all; the twin needs about half a second for each).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import reference
import torch

from nd_plugin import Dissection, LayerDissection, open_concepts

IMAGES = int(os.environ.get("ND_TWIN_IMAGES", "40"))
SIZE = (224, 224)
BATCH = 8
LAYERS = {  # stride and offset of the receptive fields, worked out by hand
    "_blocks.10": (16.0, 15.0),
    "_blocks.15": (32.0, 31.0),
    "_bn1": (32.0, 31.0),
}


def twin_activations(probe_set: reference.ProbeSet, count: int) -> dict[str, list[np.ndarray]]:
    """Activation maps of each image, layer by layer."""
    zoo = pytest.importorskip("nd_torch.zoo")
    model = zoo.efficientnet_lite0().eval()
    how = model.pretrained_cfg
    taken: dict[str, list[np.ndarray]] = {layer: [] for layer in LAYERS}
    handles = [
        model.get_submodule(layer).register_forward_hook(
            lambda _, __, output, layer=layer: taken[layer].extend(output.numpy().copy())
        )
        for layer in LAYERS
    ]
    images = [
        reference.preprocess(p, SIZE, how["mean"], how["std"], how["interpolation"])
        for p in probe_set.images[:count]
    ]
    with torch.no_grad():
        for start in range(0, count, BATCH):
            batch = torch.from_numpy(np.stack(images[start : start + BATCH]))
            model(
                batch.contiguous(memory_format=torch.channels_last)
            )  # as the backend does; it decides the last bits
    for handle in handles:
        handle.remove()
    return taken


@pytest.mark.parametrize(
    ("text", "native"),
    [
        ("masks:{}/camvid", False),
        ("broden:{}/broden_camvid", True),
        ("broden:{}/broden_camvid?index=index_sparse.csv", True),
    ],
)
def test_equals_the_slow_twin(real_data: Path, text: str, native: bool) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="the extra 'demo' is not installed")
    spec = text.format(real_data)
    kind, _, rest = spec.partition(":")
    root, _, query = rest.partition("?index=")
    twin = (
        reference.read_masks(Path(root))
        if kind == "masks"
        else reference.read_broden(Path(root), query or "index.csv")
    )
    count = min(IMAGES, len(twin.images))
    dissection = LayerDissection("nd_torch.zoo:efficientnet_lite0", list(LAYERS)).dissect(
        spec, batch_size=BATCH, limit=count, workers=1
    )
    assert isinstance(dissection, list)
    activations = twin_activations(twin, count)
    annotations = [twin.annotation(image) for image in range(count)]
    for found in dissection:
        assert_equal(found, activations[found.layer], annotations, twin, native)
    assert [c.name for c in open_concepts(spec).concepts] == [name for name, _ in twin.concepts]


def assert_equal(
    found: Dissection,
    maps: list[np.ndarray],
    annotations: list[reference.Annotation],
    twin: reference.ProbeSet,
    native: bool,
) -> None:
    values = np.stack(maps, axis=1).reshape(found.units, -1)
    thresholds = np.array([reference.threshold(unit, 0.005) for unit in values])
    assert np.array_equal(found.thresholds.view(np.int64), (thresholds + 0.0).view(np.int64))
    assert np.array_equal(found.dead, reference.dead(values))
    assert np.array_equal(found.sparse, reference.sparse(values, 0.005))
    axis, mask = LAYERS[found.layer], None if native else (SIZE[0] // 2, SIZE[1] // 2)
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
    assert found.summary().detectors == int(reference.detectors(iou, 0.04).sum())
    assert found.unique_detectors == reference.unique_detectors(iou, 0.04)
    per_category = reference.unique_detectors_per_category(iou, 0.04, category_of)
    assert found.summary().unique_detectors_per_category == per_category
    assert found.intersection.sum() > 0
