"""Sanity checks of scores (NeuronEval, ICML 2025): which notice labels that are missing or extra.

Units are planted exactly: each lights the images of one concept and nothing else. Then half of
the concept's labels are taken away, or as many are added elsewhere. A score that can be trusted
falls in both cases.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from PIL import Image
from planted import HOW, IMAGES, SIZE, Planted
from torch import Tensor

from nd_plugin import Annotation, Concept, Dissection, Identity, Settings
from nd_plugin.engine.run import run
from nd_plugin.probe_data.batches import Feed

UNITS = 4
IMAGES_OF_UNIT = IMAGES // UNITS
REST = UNITS  # concept of all images, so that each has the category
PASS = {
    # score -> whether it falls where labels are missing, where there are extra ones
    "iou": (True, True),
    "f1": (True, True),
    "correlation": (True, True),
    "precision": (True, False),
    "recall": (False, True),
}


@dataclass(frozen=True)
class Labelled:
    """Images with labels of the whole image; an image is filled with its number."""

    labels: tuple[tuple[int, ...], ...]  # of each image, concepts
    identity = Identity("labelled", "labelled", "1", "0")
    native_masks = False
    categories = ("scene",)

    @property
    def concepts(self) -> tuple[Concept, ...]:
        return tuple(Concept(f"c{index}", "scene") for index in range(UNITS + 1))

    def __len__(self) -> int:
        return IMAGES

    def name(self, index: int) -> str:
        return f"{index}.png"

    def image(self, index: int) -> Image.Image:
        return Image.new("RGB", (SIZE, SIZE), (index, 0, 0))

    def annotation(self, index: int) -> Annotation:
        labels = (*self.labels[index], REST)
        values = tuple(concept + 1 for concept in labels)
        return Annotation((), values, size=(SIZE, SIZE))


def images_of(unit: int) -> range:
    return range(unit * IMAGES_OF_UNIT, (unit + 1) * IMAGES_OF_UNIT)


def labels_of(images: list[list[int]]) -> Labelled:
    """Labels where concept c is on the images ``images[c]``."""
    labels = [
        tuple(concept for concept in range(UNITS) if index in images[concept])
        for index in range(IMAGES)
    ]
    return Labelled(tuple(labels))


def planted_activations() -> Tensor:
    """(image, unit, 1, 1), 1 where the unit's concept is and 0 elsewhere"""
    activations = torch.zeros(IMAGES, UNITS, 1, 1)
    for unit in range(UNITS):
        activations[images_of(unit).start : images_of(unit).stop, unit] = 1.0
    return activations


def dissect(concepts: Labelled) -> Dissection:
    model = Planted({"layer": planted_activations()})
    settings = Settings(1 / UNITS)
    feed = Feed.of(
        concepts, HOW, settings, torch.device("cpu"), batch_size=8, workers=0
    )
    (dissection,) = run(model, ["layer"], feed)
    return dissection


@pytest.fixture(scope="module")
def exact() -> Dissection:
    return dissect(labels_of([list(images_of(unit)) for unit in range(UNITS)]))


@pytest.fixture(scope="module")
def missing() -> Dissection:
    """Every second label of each concept is missing."""
    return dissect(labels_of([list(images_of(unit))[::2] for unit in range(UNITS)]))


@pytest.fixture(scope="module")
def extra() -> Dissection:
    """Each concept is on as many images again, which belong to the next one."""
    doubled = [
        [*images_of(unit), *images_of((unit + 1) % UNITS)] for unit in range(UNITS)
    ]
    return dissect(labels_of(doubled))


@pytest.mark.parametrize("score", PASS)
def test_the_planted_units_have_the_highest_score(
    exact: Dissection, score: str
) -> None:
    # the correlation's square root rounds
    values = exact.scores(score)[:, :UNITS].diagonal()
    assert values.tolist() == pytest.approx([1.0] * UNITS, abs=1e-12)


@pytest.mark.parametrize("score", PASS)
def test_which_scores_notice_labels_that_are_missing_or_extra(
    exact: Dissection, missing: Dissection, extra: Dissection, score: str
) -> None:
    before = exact.scores(score)[:, :UNITS].diagonal()
    falls = []
    for changed in (missing, extra):
        after = changed.scores(score)[:, :UNITS].diagonal()
        difference = before - after
        assert (difference > 0.1).all() or (abs(difference) < 1e-12).all()
        falls.append(bool((difference > 0.1).all()))
    assert tuple(falls) == PASS[score]


def test_precision_cannot_tell_a_concept_from_all_images(
    exact: Dissection,
) -> None:
    """The concept of all images holds every unit's mask: precision 1, and IoU a quarter."""
    assert exact.scores("precision")[:, REST].tolist() == [1.0] * UNITS
    assert exact.iou[:, REST].tolist() == [1 / UNITS] * UNITS
    assert exact.scores("correlation")[:, REST].tolist() == [0.0] * UNITS
