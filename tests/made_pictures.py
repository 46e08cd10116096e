"""Pictures of top images made by hand: coloured rectangles, random annotations and maps."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from nd_plugin.contracts.concept_sets import Annotation
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.receptive_fields.geometry import Axis, Geometry
from nd_plugin.results import pictures_format
from nd_plugin.results.dissection import Dissection
from nd_plugin.results.top_maps import TopMaps
from nd_plugin.results.top_pictures import TopPictures

IMAGE_SIZE = (64, 64)
MASK_SIZE = (32, 32)
CELLS = (4, 4)
GEOMETRY = Geometry(Axis(31.0, 16.0, 7.5), Axis(31.0, 16.0, 7.5))


def encode_picture(colour: tuple[int, int, int], size: tuple[int, int]) -> bytes:
    """Return a JPEG file of one colour; ``size`` is (width, height)."""
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "JPEG")
    return content.getvalue()


def random_labels(random: np.random.Generator, concepts: int) -> LabelCombinations:
    """Return labels of one plane of random concepts in blocks."""
    blocks = random.integers(0, concepts + 1, (4, 4))
    return LabelCombinations.of(Annotation([blocks]), MASK_SIZE)


def pictures_as_bytes(dissection: Dissection) -> tuple[bytes, bytes, bytes]:
    """Return pictures and histograms of a run, to be compared with another's."""
    assert dissection.pictures is not None and dissection.histograms is not None
    return (
        pictures_format.pack(dissection.pictures),
        dissection.histograms.counts.tobytes(),
        dissection.histograms.ranges.tobytes(),
    )


def make_pictures(dissection: Dissection, units_top: int = 2) -> TopPictures:
    """Make pictures that fit a dissection; every map is stored in full, whatever T_k."""
    random = np.random.default_rng(0)
    top_images = dissection.top_images[:, :units_top]
    images = np.unique(top_images)
    cell_count = CELLS[0] * CELLS[1]
    map_count = top_images.size
    counts = np.full(top_images.shape, cell_count, np.int32)
    positions = np.tile(np.arange(cell_count, dtype=np.uint8), map_count)
    values = random.normal(0, 2, map_count * cell_count).astype(np.float32)
    labels = [random_labels(random, len(dissection.concepts)) for _ in images]
    return TopPictures(
        images=images,
        encoded=tuple(
            encode_picture((40 * index % 256, 100, 200), (48, 36))
            for index in range(len(images))
        ),
        packed_labels=tuple(image_labels.pack() for image_labels in labels),
        mask_sizes=np.tile(np.array(MASK_SIZE), (len(images), 1)),
        top_images=top_images,
        maps=TopMaps(GEOMETRY, IMAGE_SIZE, CELLS, counts, positions, values),
    )
