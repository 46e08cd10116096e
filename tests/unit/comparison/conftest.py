"""Pair of dissections that differ: a run, and a second one with other concepts and images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nd_plugin import Concept, Dissection


@pytest.fixture
def second(dissection: Dissection) -> Dissection:
    """Dissection of three units: detectors of dog and ear; ``ear`` is an object in its set.

    It knows ``cat``, which its first unit overlaps by an IoU of 10 / 290, and ``tail``, which
    labels no pixel of its images.
    """
    concepts = (
        Concept("cat", "object"),
        Concept("dog", "object"),
        Concept("ear", "object"),
        Concept("tail", "part"),
    )
    return replace(
        dissection,
        layer="features",
        concepts=concepts,
        thresholds=np.array([1.0, 2.0, 3.0]),
        intersection=np.array([[10, 50, 0, 0], [0, 60, 0, 0], [0, 0, 20, 0]]),
        unit_area=np.array([[100, 90], [80, 60], [40, 10]]),
        concept_area=np.array([200, 100, 50, 0]),
        dead=np.zeros(3, bool),
        sparse=np.zeros(3, bool),
        top_images=np.array([[1, 0, 3]] * 3),
        top_activations=np.array([[2.0, 1.0, 0.5]] * 3),
        image_names=("c.jpg", "d.jpg", "e.jpg", "f.jpg"),
        skipped=(),
    )
