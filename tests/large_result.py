"""Large result made by hand: thousands of units, each with pictures, masks and a histogram."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from nd_plugin import (
    Annotation,
    Concept,
    Dissection,
    Identity,
    Provenance,
    Settings,
)
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.receptive_fields.geometry import spread_evenly
from nd_plugin.results.activation_histograms import ActivationHistograms
from nd_plugin.results.top_maps import TopMaps
from nd_plugin.results.top_pictures import TopPictures

CELLS = (7, 7)
INPUT = (224, 224)
MASKS = (112, 112)
IMAGES = 600
TOP = 15


def large_result(
    units: int, names: Sequence[str], categories: Sequence[str]
) -> Dissection:
    """Make a dissection of random numbers; concept i has category i modulo their number.

    Image i is called ``names[i]`` as far as there are names, which are those of concepts, too.
    """
    random = np.random.default_rng(1)
    concepts = tuple(
        Concept(name, categories[index % len(categories)])
        for index, name in enumerate(names)
    )
    top_images = random.integers(0, IMAGES, (units, TOP))
    activations = np.sort(random.gamma(4.0, 2.0, (units, TOP)))[:, ::-1]
    areas = np.full(len(concepts), 1_000_000)
    return Dissection(
        layer="layer4",
        categories=tuple(categories),
        concepts=concepts,
        thresholds=random.gamma(2.0, 1.0, units),
        intersection=random.integers(0, 40_000, (units, len(concepts))),
        unit_area=np.full((units, len(categories)), 100_000),
        concept_area=areas,
        category_images=np.full(len(categories), IMAGES),
        dead=np.zeros(units, np.bool_),
        sparse=np.zeros(units, np.bool_),
        locations=IMAGES * CELLS[0] * CELLS[1],
        top_images=top_images,
        top_activations=activations,
        image_names=(
            *names,
            *(f"image-{i}.jpg" for i in range(IMAGES - len(names))),
        ),
        skipped=(),
        settings=Settings(),
        provenance=_provenance(),
        stored_pictures=_pictures(random, top_images, len(concepts)),
        histograms=ActivationHistograms.of(
            random.gamma(2.0, 1.0, (2000, units)), np.full(units, 30.0)
        ),
    )


def _provenance() -> Provenance:
    return Provenance(
        model=Identity("Net", "pkg:Net", "1", "abc"),
        concept_set=Identity("made", "made", "1", "def"),
        backend="torch",
        device="cpu",
        preprocess={"size": INPUT, "source": "given"},
        geometry={"source": "cells spread evenly"},
        versions={},
        started="2026-01-01T00:00:00+00:00",
        seconds=1.0,
    )


def _pictures(
    random: np.random.Generator, top_images: np.ndarray, concepts: int
) -> TopPictures:
    images = np.unique(top_images)
    cells = CELLS[0] * CELLS[1]
    values = random.gamma(1.0, 1.0, top_images.size * cells)
    maps = TopMaps(
        spread_evenly(CELLS, INPUT),
        INPUT,
        CELLS,
        np.full(top_images.shape, cells, np.int32),
        np.tile(np.arange(cells, dtype=np.uint8), top_images.size),
        values.astype(np.float32),
    )
    return TopPictures(
        images=images,
        encoded=tuple(_picture(random) for _ in images),
        packed_labels=tuple(_labels(random, concepts) for _ in images),
        mask_sizes=np.tile(np.array(MASKS), (len(images), 1)),
        top_images=top_images,
        maps=maps,
    )


def _picture(random: np.random.Generator) -> bytes:
    colours = random.integers(0, 256, (8, 8, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(colours).resize((160, 120), Image.Resampling.BICUBIC).save(
        content, "JPEG", quality=75
    )
    return content.getvalue()


def _labels(random: np.random.Generator, concepts: int) -> bytes:
    planes = [random.integers(0, concepts + 1, (8, 8)) for _ in range(2)]
    return LabelCombinations.of(Annotation(planes), MASKS).pack()
