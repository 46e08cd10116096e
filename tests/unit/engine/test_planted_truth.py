"""A network whose units are built to be exact detectors of concepts of the shapes set."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch
from torch import Tensor, nn

from nd_plugin import (
    Annotation,
    ConceptSet,
    Dissection,
    LayerDissection,
    Preprocess,
    open_concepts,
    open_model,
)
from nd_plugin.candidates import layer_candidates as candidates
from nd_plugin.method.annotations import LabelCombinations

IMAGES, SIZE, MASK = 24, 64, 32
QUANTILE = 0.4  # a detector's concept may cover no more than this
HOW = Preprocess((SIZE, SIZE), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class Planted(nn.Module):
    """Network that recognises an image and lights, in each unit, the pixels of one concept."""

    def __init__(self, images: Tensor, truth: Tensor, rotated: bool) -> None:
        super().__init__()
        self.register_buffer("images", images.flatten(1))
        self.register_buffer("truth", truth)
        self.units = nn.Identity()
        units = truth.shape[1]
        self.mix = nn.Conv2d(units, units, 1, bias=False)
        turn = torch.linalg.qr(
            torch.randn(units, units, generator=torch.Generator().manual_seed(0))
        )[0]
        self.mix.weight.data = (turn if rotated else torch.eye(units))[
            :, :, None, None
        ]

    def forward(self, x: Tensor) -> Tensor:
        nearest = torch.cdist(x.flatten(1), self.images).argmin(1)
        return self.mix(self.units(self.truth[nearest]))


def truth_of(concepts: ConceptSet) -> Tensor:
    """(image, concept, row, column)"""
    truth = torch.zeros(len(concepts), len(concepts.concepts), MASK, MASK)
    for index in range(len(concepts)):
        annotation = concepts.annotation(index)
        masks = reference.annotation_masks(
            list(annotation.planes), annotation.labels, (MASK, MASK)
        )
        for concept, mask in masks.items():
            truth[index, concept] = torch.from_numpy(mask)
    return truth


@pytest.fixture(scope="module")
def planted() -> tuple[ConceptSet, Tensor, Tensor, np.ndarray]:
    """The set, its images, its truth, and the concepts that can be planted."""
    concepts = open_concepts(f"shapes?images={IMAGES}&size={SIZE}&seed=3")
    images = HOW.normalise(
        torch.stack([HOW.resize(concepts.image(index)) for index in range(IMAGES)])
    )
    truth = truth_of(concepts)
    coverage = truth.mean((0, 2, 3))
    possible = ((coverage > 0) & (coverage < QUANTILE)).nonzero()[:, 0].numpy()
    return concepts, images, truth, possible


def dissected(
    model: nn.Module,
    concepts: ConceptSet,
    layer: str = "mix@nchw",
    **settings: object,
) -> Dissection:
    given = {"quantile": QUANTILE, "preprocess": HOW, **settings}
    found = LayerDissection(model, layer).dissect(concepts, **given)  # type: ignore[arg-type]
    assert isinstance(found, Dissection)
    return found


def test_exact_detectors_score_one(
    planted: tuple[ConceptSet, Tensor, Tensor, np.ndarray],
) -> None:
    concepts, images, truth, possible = planted
    categories = {concepts.concepts[index].category for index in possible}
    assert categories == {"object", "part", "scene", "material", "texture", "color"}
    found = dissected(Planted(images, truth[:, possible], rotated=False), concepts)
    assert np.array_equal(
        found.iou[np.arange(len(possible)), possible], np.ones(len(possible))
    )
    twins = {
        tuple(column)
        for column in truth[:, possible]
        .transpose(0, 1)
        .flatten(1)
        .numpy()
        .astype(bool)
    }
    exact = found.iou[np.arange(len(possible)), found.labels]
    assert np.array_equal(exact, np.ones(len(possible)))
    differing = [
        unit
        for unit, concept in enumerate(possible)
        if found.labels[unit] != concept
    ]
    # two concepts with the same pixels everywhere: the lower index is the label
    for unit in differing:
        assert (
            found.labels[unit] < possible[unit]
            and found.iou[unit, found.labels[unit]] == 1
        )
    assert found.unique_detectors == len(twins)


def test_a_rotated_copy_does_not(
    planted: tuple[ConceptSet, Tensor, Tensor, np.ndarray],
) -> None:
    concepts, images, truth, possible = planted
    straight = dissected(
        Planted(images, truth[:, possible], rotated=False), concepts
    )
    rotated = dissected(Planted(images, truth[:, possible], rotated=True), concepts)
    assert rotated.iou.max() < 1
    assert rotated.iou.max(1).mean() < 0.7 * straight.iou.max(1).mean()


def test_dead_constant_and_sparse_units_are_marked(
    planted: tuple[ConceptSet, Tensor, Tensor, np.ndarray],
) -> None:
    concepts, images, truth, possible = planted
    units = torch.stack(
        [
            torch.zeros_like(truth[:, 0]),
            torch.full_like(truth[:, 0], 3.5),
            truth[:, possible[0]],
            torch.rand(
                truth[:, 0].shape, generator=torch.Generator().manual_seed(1)
            )
            + 1,
        ],
        dim=1,
    )
    found = dissected(Planted(images, units, rotated=False), concepts)
    assert [score.state for score in found.unit_scores()] == [
        "dead",
        "dead",
        "sparse",
        "live",
    ]
    assert found.summary().dead == 2 and found.summary().sparse == 1
    assert found.unit_area[:2].sum() == 0, (
        "a constant unit exceeds its threshold nowhere"
    )
    assert not any(
        score.detector for score in found.unit_scores() if score.state == "dead"
    )


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (7, 2), (64, 0)])
def test_nothing_depends_on_batches_or_workers(
    planted: tuple[ConceptSet, Tensor, Tensor, np.ndarray],
    batch_size: int,
    workers: int,
) -> None:
    concepts, images, truth, possible = planted
    model = Planted(images, truth[:, possible], rotated=False)
    one = dissected(model, concepts, "units@nchw", batch_size=5, workers=0)
    other = dissected(
        model, concepts, "units@nchw", batch_size=batch_size, workers=workers
    )
    for name in (
        "thresholds",
        "intersection",
        "unit_area",
        "concept_area",
        "top_images",
        "top_activations",
        "sparse",
    ):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_top_images_are_those_with_the_largest_activation(
    planted: tuple[ConceptSet, Tensor, Tensor, np.ndarray],
) -> None:
    concepts, images, truth, possible = planted
    strength = torch.linspace(1, 2, IMAGES)[
        torch.randperm(IMAGES, generator=torch.Generator().manual_seed(2))
    ]
    found = dissected(
        Planted(
            images, truth[:, possible] * strength.view(-1, 1, 1, 1), rotated=False
        ),
        concepts,
        "units@nchw",  # not behind a convolution, which may round differently on another machine
    )
    peaks = (truth[:, possible] * strength.view(-1, 1, 1, 1)).amax((2, 3)).T
    for unit, values in enumerate(peaks):
        expected = sorted(
            range(IMAGES), key=lambda image: (-float(values[image]), image)
        )
        assert found.top_images[unit].tolist() == expected
        assert found.top(unit, 1) == [
            (concepts.name(expected[0]), float(values.max()))
        ]


def test_a_label_in_any_plane_counts_and_twice_is_once() -> None:
    plane = np.array([[1, 0], [2, 1]])
    found = LabelCombinations.of(Annotation([plane, plane], labels=(3,)), (2, 2))
    assert found.concepts.tolist() == [0, 1, 2]
    assert found.areas.tolist() == [2, 1, 4]


@pytest.mark.parametrize("memory", [0, 300_000])
def test_candidates_over_the_memory_go_to_a_file_and_the_images_through_the_model_once(
    planted: tuple[ConceptSet, Tensor, Tensor, np.ndarray],
    memory: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # whatever disk is here
    monkeypatch.setattr(candidates, "free_bytes", lambda folder: 2**40)
    concepts, images, truth, possible = planted
    noise = torch.rand(
        truth[:, possible].shape, generator=torch.Generator().manual_seed(6)
    )
    model = Planted(
        images, (truth[:, possible] + noise).round(decimals=2), rotated=False
    )
    passes: list[int] = []
    model.units.register_forward_hook(
        lambda _, __, output: passes.append(len(output))
    )
    how = {"layer": "units@nchw", "quantile": 0.01, "workers": 0}
    one = dissected(model, concepts, **how)  # type: ignore[arg-type]
    once = sum(passes)
    with open_model(model).probe(["units@nchw"], (SIZE, SIZE)):
        pass
    opening = sum(passes) - once
    # two images are surveyed, then run together, then alone; more are perturbed
    assert opening >= 6
    assert once == opening + IMAGES
    passes.clear()
    two = dissected(model, concepts, memory=memory, **how)  # type: ignore[arg-type]
    assert sum(passes) == opening + IMAGES
    assert not any(
        "second forward pass" in note
        for found in (one, two)
        for note in found.report().notes
    )
    for name in (
        "thresholds",
        "intersection",
        "unit_area",
        "concept_area",
        "top_images",
        "sparse",
    ):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    assert one.intersection.sum() > 0


def test_planted_detectors_have_the_lowest_p_value(
    planted: tuple[ConceptSet, Tensor, Tensor, np.ndarray],
) -> None:
    """A concept in many images is matched by no permutation as it is by its detector."""
    concepts, images, truth, possible = planted
    occurrences = truth.flatten(2).any(2).sum(0).numpy()
    common = possible[occurrences[possible] >= IMAGES // 4]
    assert len(common) > 10
    model = Planted(images, truth[:, common], rotated=False)
    result = dissected(model, concepts, permutations=19)
    assert result.chance is not None
    as_good = (result.chance.iou >= result.iou.max(axis=1)).sum(axis=0)
    p_values = (1 + as_good) / (1 + result.chance.permutations)
    assert p_values.tolist() == [1 / 20] * len(common)
