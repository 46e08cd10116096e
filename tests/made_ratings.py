"""Studies and votes made by hand, and a dissection of more units to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from made_pictures import make_pictures

from nd_plugin import Concept, Dissection
from nd_plugin.rating.study import ChosenUnit, Question, Stratum, Study
from nd_plugin.rating.votes import Vote

CONCEPTS = (
    Concept("ski_resort-s", "scene"),
    Concept("blue-c", "color"),
    Concept("door_frame", "object"),
    Concept("<b>'\"&", "object"),
)


def large_dissection(
    dissection: Dissection, units: int, seed: int = 0
) -> Dissection:
    """Return a dissection of more units, with random IoU, top images and pictures."""
    random = np.random.default_rng(seed)
    concepts = len(CONCEPTS)
    intersection = random.integers(0, 40, (units, concepts)) ** 2
    large = replace(
        dissection,
        categories=("scene", "color", "object"),
        concepts=CONCEPTS,
        thresholds=random.random(units),
        intersection=intersection,
        unit_area=np.full((units, 3), 2000),
        concept_area=np.full(concepts, 2000),
        category_images=np.full(3, 4),
        category_pixels=None,
        dead=np.zeros(units, np.bool_),
        sparse=np.zeros(units, np.bool_),
        top_images=np.array([random.permutation(4)[:3] for _ in range(units)]),
        top_activations=np.sort(random.random((units, 3)))[:, ::-1],
    )
    return replace(large, stored_pictures=make_pictures(large, 3))


def unit_questions(layer: str, unit: int, kinds: str = "ld") -> list[Question]:
    """Return questions about a unit: its label (l), its description (d)."""
    return [
        Question(
            f"{layer}/{unit}/{kind}",
            f"{layer}/{unit}",
            layer,
            unit,
            f"phrase {kind}",
            kind == "l",
            kind == "d",
        )
        for kind in kinds
    ]


def complete_study(
    categories: Sequence[str], layer: str = "conv", kinds: str = "ld"
) -> Study:
    """Return a study that asks about every unit; ``categories`` are those of the units."""
    units = [
        ChosenUnit(layer, unit, category, 0.5, 1.0)
        for unit, category in enumerate(categories)
    ]
    strata = [
        Stratum(
            layer,
            category,
            categories.count(category),
            0.5 * categories.count(category),
        )
        for category in dict.fromkeys(categories)
    ]
    questions: list[Question] = []
    for unit in units:
        questions += unit_questions(layer, unit.unit, kinds)
    return Study("fingerprint", 15, tuple(strata), tuple(units), tuple(questions))


def vote(rater: str, question: str, is_yes: bool, second: int = 0) -> Vote:
    """Return a vote cast at a second of 2026-01-01."""
    return Vote(rater, question, is_yes, f"2026-01-01T00:00:{second:02}.000+00:00")
