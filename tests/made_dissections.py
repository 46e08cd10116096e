"""Small dissection, made by hand."""

from __future__ import annotations

import numpy as np

from nd_plugin import Concept, Dissection, Identity, Provenance, Settings, Skipped


def plain_dissection(layer: str) -> Dissection:
    """Return a dissection of five units: detectors of cat, tail and cat, a dead and a sparse one.

    Four concepts in two categories; no pictures and no histograms.
    """
    concepts = (
        Concept("cat", "object", ("puss",)),
        Concept("dog", "object"),
        Concept("tail", "part"),
        Concept("ear", "part"),
    )
    return Dissection(
        layer=layer,
        categories=("object", "part"),
        concepts=concepts,
        thresholds=np.array([1.5, 0.1 + 0.2, 7e-300, 0.0, 0.0]),
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
        top_activations=np.array([[2.0, 1.0, 0.5]] * 5),
        image_names=("a.jpg", "b.jpg", "bad.jpg", "ü.jpg"),
        skipped=(Skipped("bad.jpg", "image", "truncated"),),
        settings=Settings(),
        provenance=Provenance(
            model=Identity("Net", "pkg:Net", "1", "abc"),
            concept_set=Identity("masks", "masks:here", "1", "def"),
            backend="torch",
            device="cpu",
            preprocess={"size": (64, 64), "source": "given"},
            geometry={"source": "receptive fields"},
            versions={"torch": "2"},
            started="2026-01-01T00:00:00+00:00",
            seconds=1.5,
            notes=("it was slow",),
            precision="float32",
        ),
    )
