"""Pictures of a real network's top images: every mask is the slow twin's, pixel by pixel.

The twin upsamples the activations of the run itself, recorded by plain hooks (see `recording`).
Its interpolants and its interpolation are applied to whole arrays here, the same steps on the same
float32 numbers; that this is what it computes pixel by pixel is seen in some maps.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import recording
import reference

from nd_plugin import Dissection, LayerDissection, Originals, open_concepts
from nd_plugin.method.annotations import LabelCombinations

IMAGES, BATCH, SIZE = 40, 8, (224, 224)
LAYER, AXIS = "_bn1", (32.0, 31.0)  # stride and offset, worked out by hand
CELLS, MASK = 7, 112
UNITS_PIXEL_BY_PIXEL = (0, 500, 1279)


def test_masks_of_top_images_are_the_twins(real_data: Path, tmp_path: Path) -> None:
    pytest.importorskip(
        "efficientnet_lite_pytorch", reason="the extra 'demo' is not installed"
    )
    zoo = pytest.importorskip("nd_torch.zoo")
    model = zoo.efficientnet_lite0().eval()
    twin = reference.read_masks(real_data / "camvid")
    how = model.pretrained_cfg
    images = [
        reference.preprocess(
            path, SIZE, how["mean"], how["std"], how["interpolation"]
        )
        for path in twin.images[:IMAGES]
    ]
    recorder = recording.Recorder(np.stack(images))
    recording.record_module(recorder, model, [LAYER])
    spec = f"masks:{real_data}/camvid"
    dissection = LayerDissection(model, LAYER).dissect(
        spec, batch_size=BATCH, limit=IMAGES, workers=1
    )
    assert isinstance(dissection, Dissection)
    found = Dissection.load(dissection.save(tmp_path / "layer"))
    maps = recorder.maps(LAYER)
    assert_masks(found, maps)
    assert_pictures(found, spec)


def assert_masks(found: Dissection, maps: list[recording.Array]) -> None:
    lit = 0
    for unit in range(found.units):
        top_images = found.top_images[unit, :15].tolist()
        unit_maps = np.stack([maps[image][unit] for image in top_images])
        upsampled = twin_upsample(unit_maps)
        if unit in UNITS_PIXEL_BY_PIXEL:
            one = reference.upsample(unit_maps[3], (AXIS, AXIS), SIZE, (MASK, MASK))
            assert np.array_equal(one, upsampled[3])
        masks = found.activation_masks(unit)
        expected = upsampled > found.thresholds[unit]
        assert len(masks) == 15 and np.array_equal(np.array(masks), expected), unit
        lit += int(expected.sum())
    assert lit > 0


def twin_upsample(maps: recording.Array) -> recording.Array:
    """The twin's S_k of several maps (map, row, column)."""
    interpolants = [
        reference._interpolants(pixel, AXIS, CELLS, SIZE[0], MASK)
        for pixel in range(MASK)
    ]
    first, second, weight = (
        np.array(values) for values in zip(*interpolants, strict=True)
    )
    tall = reference._lerp(maps[:, first], maps[:, second], weight[:, None])
    return reference._lerp(tall[:, :, first], tall[:, :, second], weight)


def assert_pictures(found: Dissection, spec: str) -> None:
    """Pictures look like the images, and annotations are those of the concept set."""
    concepts = open_concepts(spec)
    originals = Originals(concepts, found.image_names)
    pictures = found.pictures
    assert pictures is not None and len(pictures) == IMAGES
    sizes = []
    for image in pictures.images.tolist():
        small = pictures.picture(image)
        assert small.size == (224, 168)
        original = originals.picture(image).resize(small.size)
        difference = np.asarray(small, np.int64) - np.asarray(original, np.int64)
        assert np.abs(difference).mean() < 8
        sizes.append(len(pictures.encoded_picture(image)))
        expected = LabelCombinations.of(concepts.annotation(image), (112, 112))
        labels = pictures.annotation(image)
        assert labels is not None
        assert np.array_equal(labels.combinations, expected.combinations)
        assert np.array_equal(labels.members, expected.members)
    assert 4_000 < np.mean(sizes) < 10_000
