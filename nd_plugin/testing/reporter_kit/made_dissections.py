"""Small dissection for the checks of reporters, and pictures of its top images."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from nd_plugin.contracts.concept_sets import Annotation, Concept
from nd_plugin.contracts.provenance import Identity, Provenance, Settings, Skipped
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.receptive_fields.geometry import Axis, Geometry
from nd_plugin.results.dissection import Dissection
from nd_plugin.results.top_maps import TopMaps
from nd_plugin.results.top_pictures import TopPictures

NOTE = "the preprocessing was assumed by the makers of this report"
PICTURE_SIZE = (48, 32)  # width, height
MASK_SIZE = (16, 24)
CELLS = (4, 6)
GEOMETRY = Geometry(Axis(16.0, 8.0, 3.5), Axis(16.0, 8.0, 3.5))
INPUT_SIZE = (32, 48)
CONCEPTS = (
    Concept("cat", "object"),
    Concept("dog", "object"),
    Concept("tail", "part"),
    Concept("ear", "part"),
)


def small_dissection(layer: str) -> Dissection:
    """Return a dissection without pictures: detectors of cat, tail and cat."""
    return Dissection(
        layer=layer,
        categories=("object", "part"),
        concepts=CONCEPTS,
        thresholds=np.array([1.5, 0.25, 2.0, 0.0, 0.0]),
        intersection=np.array(
            [
                [50, 0, 2, 0],
                [1, 1, 30, 0],
                [60, 10, 5, 5],
                [0, 0, 0, 0],
                [1, 0, 0, 0],
            ]
        ),
        unit_area=np.array([[100, 90], [40, 60], [80, 80], [0, 0], [5, 5]]),
        concept_area=np.array([200, 100, 90, 80]),
        category_images=np.array([3, 2]),
        category_pixels=np.array([3 * 256, 2 * 256]),
        dead=np.array([False, False, False, True, False]),
        sparse=np.array([False, False, False, False, True]),
        locations=1000,
        top_images=np.array([[1, 0, 3]] * 5),
        top_activations=np.array([[4.0, 3.0, 0.5]] * 5),
        image_names=("a.jpg", "b.jpg", "bad.jpg", "ü.jpg"),
        skipped=(Skipped("bad.jpg", "image", "truncated"),),
        settings=Settings(),
        provenance=Provenance(
            model=Identity("Net", "package:Net", "1", "abc"),
            concept_set=Identity("street", "masks:street", "1", "def"),
            backend="torch",
            device="cpu",
            preprocess={"size": INPUT_SIZE, "source": "given"},
            geometry={"source": "receptive fields"},
            versions={"torch": "2"},
            started="2001-02-03T04:05:06+00:00",
            seconds=1.5,
            notes=(NOTE,),
            precision="float32",
        ),
    )


def first_units(dissection: Dissection, count: int) -> Dissection:
    """Return a dissection of the first units of another."""
    return replace(
        dissection,
        thresholds=dissection.thresholds[:count],
        intersection=dissection.intersection[:count],
        unit_area=dissection.unit_area[:count],
        dead=dissection.dead[:count],
        sparse=dissection.sparse[:count],
        top_images=dissection.top_images[:count],
        top_activations=dissection.top_activations[:count],
    )


def made_pictures(dissection: Dissection) -> TopPictures:
    """Return pictures of the first two top images of each unit; no unit is active everywhere."""
    top_images = dissection.top_images[:, :2]
    images = np.unique(top_images)
    cell_count = CELLS[0] * CELLS[1]
    map_count = top_images.size
    values = np.linspace(-4, 4, cell_count, dtype=np.float32)
    blocks = np.arange(4).reshape(2, 2) + 1
    labels = LabelCombinations.of(Annotation([blocks]), MASK_SIZE)
    return TopPictures(
        images=images,
        encoded=tuple(_encoded(40 * index) for index in range(len(images))),
        packed_labels=(labels.pack(),) * len(images),
        mask_sizes=np.tile(np.array(MASK_SIZE), (len(images), 1)),
        top_images=top_images,
        maps=TopMaps(
            GEOMETRY,
            INPUT_SIZE,
            CELLS,
            np.full(top_images.shape, cell_count, np.int32),
            np.tile(np.arange(cell_count, dtype=np.uint8), map_count),
            np.tile(values, map_count),
        ),
    )


def _encoded(red: int) -> bytes:
    """Return a PNG file of one colour."""
    content = io.BytesIO()
    Image.new("RGB", PICTURE_SIZE, (red % 256, 100, 200)).save(content, "PNG")
    return content.getvalue()
