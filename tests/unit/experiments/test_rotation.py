"""Rotation studies: planted detectors vanish, α = 0 is the plain dissection."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import reference
import torch
from matplotlib import pyplot as plt
from scipy import stats
from torch import Tensor, nn

from nd_plugin import (
    BadInput,
    ConceptSet,
    Dissection,
    Model,
    Preprocess,
    RunInvalid,
    Settings,
    open_concepts,
    open_model,
)
from nd_plugin.bases.encoder import Encoder
from nd_plugin.bases.opening import open_basis
from nd_plugin.bases.rotations import random_rotation
from nd_plugin.engine.run import run
from nd_plugin.experiments.rotation.folder import load_study, save_study
from nd_plugin.experiments.rotation.rotate import (
    RotationPlan,
    RotationRun,
    rotate,
)
from nd_plugin.experiments.rotation.study import RotationStudy
from nd_plugin.experiments.rotation.text import render
from nd_plugin.experiments.spread import Spread
from nd_plugin.plots.experiments.rotations import draw
from nd_plugin.probe_data.batches import Feed
from nd_plugin.report.terminal import plain_text
from nd_plugin.results.run_folder import load_run

IMAGES, SIZE, MASK = 24, 64, 32
QUANTILE = 0.4  # a detector's concept may cover no more than this
# of masks that have a concept's pixels and no others, but for rounding
MIN_IOU = 0.9
HOW = Preprocess((SIZE, SIZE), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
MIXED_BY = 5  # seed
ARRAYS = (
    "thresholds",
    "intersection",
    "unit_area",
    "concept_area",
    "category_images",
    "dead",
    "sparse",
    "top_images",
    "top_activations",
)


class Detectors(nn.Module):
    """Network that recognises an image; each of its units lights the pixels of one concept."""

    def __init__(self, images: Tensor, truth: Tensor) -> None:
        super().__init__()
        self.register_buffer("images", images.flatten(1))
        self.register_buffer("truth", truth)
        self.units = nn.Identity()
        count = truth.shape[1]
        self.mixed = nn.Conv2d(count, count, 1, bias=False)
        rotation = torch.from_numpy(random_rotation(count, MIXED_BY)).float()
        self.mixed.weight.data = rotation[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        nearest = torch.cdist(x.flatten(1), self.images).argmin(1)
        return self.mixed(self.units(self.truth[nearest]))


@pytest.fixture(scope="module")
def concepts() -> ConceptSet:
    return open_concepts(f"shapes?images={IMAGES}&size={SIZE}&seed=3")


@pytest.fixture(scope="module")
def model(concepts: ConceptSet) -> Model:
    pixels = [HOW.resize(concepts.image(index)) for index in range(IMAGES)]
    truth = torch.zeros(IMAGES, len(concepts.concepts), MASK, MASK)
    for index in range(IMAGES):
        annotation = concepts.annotation(index)
        masks = reference.annotation_masks(
            list(annotation.planes), annotation.labels, (MASK, MASK)
        )
        for concept, mask in masks.items():
            truth[index, concept] = torch.from_numpy(mask)
    coverage = truth.mean((0, 2, 3))
    can_be_planted = (coverage > 0) & (coverage < QUANTILE)
    images = HOW.normalise(torch.stack(pixels))
    return open_model(Detectors(images, truth[:, can_be_planted]).eval())


@pytest.fixture(scope="module")
def feed(concepts: ConceptSet) -> Feed:
    settings = Settings(quantile=QUANTILE, min_iou=MIN_IOU, pictures=4)
    return Feed.of(concepts, HOW, settings, torch.device("cpu"), 8, 0)


PLAN = RotationPlan((1, 0, 0.3, 0.3), repeats=3, seed=7)


@pytest.fixture(scope="module")
def study(model: Model, feed: Feed) -> RotationStudy:
    units = len(rotate(model, "units@nchw", feed, RotationPlan((0,))).own.labels)
    back = random_rotation(units, MIXED_BY)
    plan = replace(PLAN, bases=(open_basis(back, name="mixed"),))
    return rotate(model, "units@nchw", feed, plan)


def test_planted_detectors_vanish_under_rotation(study: RotationStudy) -> None:
    assert study.alphas == (0, 0.3, 1) and study.seeds == (7, 8, 9)
    points = study.points
    distinct = len(set(study.own.labels.tolist()))
    assert points[0].unique_detectors == Spread((distinct,))
    assert points[0].detectors == Spread((study.own.units,))
    assert points[2].unique_detectors == Spread((0, 0, 0))
    assert points[1].unique_detectors.mean < distinct
    for point in points:
        by_category = sum(s.mean for s in point.by_category.values())
        assert np.isclose(by_category, point.unique_detectors.mean)


@pytest.mark.parametrize("strategy", ["host", "device"])
def test_alpha_0_is_the_plain_dissection(
    model: Model, feed: Feed, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ND_STRATEGY", strategy)
    study = rotate(model, "units@nchw", feed, replace(PLAN, repeats=1))
    (plain,) = run(model, ["units@nchw"], feed)
    own = study.own
    for name in ARRAYS:
        assert np.array_equal(getattr(own, name), getattr(plain, name)), name
    assert own.layer == plain.layer == study.layer
    assert own.provenance.model == plain.provenance.model
    assert own.summary() == plain.summary()
    rotated = study.rotated[1, 7].provenance
    assert rotated.model == plain.provenance.model
    assert rotated.extra["basis"]["alpha"] == 1
    assert rotated.extra["basis"]["seed"] == 7


def test_the_inverse_basis_recovers_planted_detectors(
    model: Model, feed: Feed, study: RotationStudy
) -> None:
    """A layer that mixes the detectors, seen in the basis that takes the mixture apart."""
    inverse = torch.from_numpy(random_rotation(study.own.units, MIXED_BY).T)
    # masks are 0 and 1: rounding leaves no other values above the threshold
    encoder = Encoder(
        inverse, activation="jumprelu", threshold=torch.full((len(inverse),), 0.5)
    )
    basis = open_basis(encoder, name="inverse")
    plan = RotationPlan((0,), bases=(basis,))
    mixed = rotate(model, "mixed@nchw", feed, plan)
    assert mixed.own.unique_detectors == 0
    recovered = mixed.bases["inverse"]
    assert recovered.unique_detectors == study.own.unique_detectors
    # and the other way round: the mixture is what the study saw in the basis "mixed"
    assert study.bases["mixed"].unique_detectors == 0


def test_best_by_concept_against_the_plain_version(study: RotationStudy) -> None:
    own = study.own
    rotated = [study.rotated[1, seed] for seed in (7, 8, 9)]
    expected = []
    for concept in range(len(own.concepts)):
        peaks = [d.iou[:, concept].max() for d in [own, *rotated]]
        if max(peaks) > MIN_IOU:
            unit = int(np.flatnonzero(own.iou[:, concept] == peaks[0])[0])
            expected.append((own.concepts[concept].name, unit, peaks[0], peaks[1:]))
    expected.sort(key=lambda entry: -entry[2])
    seen = [
        (best.concept, best.unit, best.iou, list(best.rotated.values))
        for best in study.best
    ]
    assert seen == expected and seen
    first = study.best[0]
    assert first.best.iou == max(first.rotated.values)
    direction = study.rotated[1, first.best.seed]
    concept = [c.name for c in own.concepts].index(first.concept)
    assert direction.iou[first.best.direction, concept] == first.best.iou


def test_saved_studies_are_the_same_without_the_model(
    study: RotationStudy, tmp_path: Path
) -> None:
    folder = save_study(study, tmp_path / "study")
    loaded = load_study(folder)
    assert loaded.to_dict() == study.to_dict()
    assert list(loaded.rotated) == list(study.rotated)
    dissections = load_run(folder / "run")
    assert len(dissections) == 1 + 2 * 3 + 1
    assert [d.layer for d in dissections] == [d.layer for d in study.dissections]
    content = json.loads((folder / "rotation.json").read_text())
    assert content["points"] == study.to_dict()["points"]
    assert json.loads(study.to_json(tmp_path / "a.json"))["layer"] == study.layer
    lenient = load_study(folder, min_iou=0.1)
    assert lenient.own.settings.min_iou == 0.1
    assert lenient.points[2].unique_detectors.mean > 0
    # replaced as a whole
    save_study(replace(study, bases={}), folder)
    assert load_study(folder).bases == {}


def test_damaged_studies(study: RotationStudy, tmp_path: Path) -> None:
    with pytest.raises(RunInvalid, match=r"it has no rotation\.json"):
        load_study(tmp_path)
    folder = save_study(replace(study, bases={}), tmp_path / "study")
    path = folder / "rotation.json"
    content = json.loads(path.read_text())
    for change, message in (
        ({"own_layer": "none"}, "damaged: none is missing"),
        ({"format": 9}, "of format 9"),
        ({"rotated_layers": 3}, "damaged: TypeError"),
    ):
        path.write_text(json.dumps({**content, **change}))
        with pytest.raises(RunInvalid, match=message):
            load_study(folder)
    path.write_text("{")
    with pytest.raises(RunInvalid, match="is damaged"):
        load_study(folder)


def test_spread() -> None:
    values = (3.0, 5.0, 10.0, 4.0)
    spread = Spread.of(values)
    assert spread.mean == 5.5
    assert spread.deviation == pytest.approx(np.std(values, ddof=1))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert spread.interval == pytest.approx((expected.low, expected.high))
    single = Spread.of([3])
    assert single.deviation is None and single.interval is None
    assert Spread.of([2, 2]).interval == (2, 2)
    low, high = Spread.of([0, 1]).interval or (1, 1)
    assert low == 0 and high > 1
    # a difference below 0 has its whole interval there
    below = Spread.of([-3, -5, -10, -4], is_signed=True)
    assert below.interval == pytest.approx((-expected.high, -expected.low))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"alphas": (0, 1.5)}, "α 1.5 is not between 0"),
        ({"alphas": (float("nan"),)}, "α nan is not between 0"),
        ({"repeats": 0}, "at least 1 rotation"),
        ({"seed": -1}, "seed -1 is negative"),
    ],
)
def test_plans_that_make_no_sense(values: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        RotationPlan(**values)  # type: ignore[arg-type]


def test_what_cannot_be_rotated(
    model: Model, feed: Feed, concepts: ConceptSet
) -> None:
    single = open_model(nn.Sequential(nn.Conv2d(3, 1, 3, 2, 1)).eval())
    with pytest.raises(BadInput, match="single unit, which cannot be rotated"):
        rotate(single, "0", feed)
    several = replace(feed, settings=Settings(quantiles=(0.1, 0.2)))
    with pytest.raises(BadInput, match="takes one quantile"):
        rotate(model, "units@nchw", several)


def test_batches_are_as_small_as_the_memory_asks_for(
    model: Model, feed: Feed, study: RotationStudy
) -> None:
    """And nothing changes by it."""
    units = study.own.units
    image_bytes = 7 * units * MASK * MASK * 4
    small = replace(feed, memory=3 * 8 * image_bytes)
    prepared = RotationRun.of(model, "units@nchw", small, PLAN)
    assert prepared.feed.batch_size == 3
    assert "batches of 3, not 8 images" in prepared.batch_note
    again = prepared.run()
    assert again.to_dict()["points"] == study.to_dict()["points"]
    assert RotationRun.of(model, "units@nchw", feed, PLAN).batch_note == ""


def test_text(study: RotationStudy) -> None:
    text = plain_text([render(study)])
    points = study.points
    count = int(points[0].unique_detectors.mean)
    assert f"{count} unique detectors among {study.own.units} units" in text
    assert "0 ± 0.0 at α = 1" in text and "3 rotations" in text
    assert "mixed" in text
    assert f"the unit is better for {len(study.best)} of" in text
    assert study.best[0].concept in text


def test_figures(study: RotationStudy) -> None:
    try:
        axes = study.plot()
        total = next(line for line in axes.lines if line.get_label() == "all")
        means = [point.unique_detectors.mean for point in study.points]
        assert list(total.get_xdata()) == [0, 0.3, 1]
        assert np.allclose(total.get_ydata(), means)
        assert "mixed" in [text.get_text() for text in axes.texts]
        axes = study.plot("concepts")
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names == [best.concept for best in study.best[:15]]
        ious = [best.iou for best in study.best[:15]]
        own = axes.lines[-1]
        assert np.allclose(own.get_xdata(), ious)
        axes = study.plot("complete")
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names == ["own basis", "rotated, α = 1", "mixed"]
        widths = sum(patch.get_width() for patch in axes.patches)
        assert np.isclose(widths, means[0])
        axes = study.plot("pictures")
        shown = axes.child_axes
        assert len(shown) == 2 * min(5, len(study.best))
        assert shown[0].get_title(loc="left").startswith(study.best[0].concept)
        with pytest.raises(BadInput, match="no kind of plot 'bars'"):
            study.plot("bars")
    finally:
        plt.close("all")


def test_studies_of_different_concept_sets_in_one_figure(
    study: RotationStudy,
) -> None:
    """All categories are drawn, though the first study does not know them all."""
    categories = tuple(f"other {name}" for name in study.own.categories)
    own = replace(study, rotated={}, bases={})
    concepts = tuple(
        replace(concept, category=f"other {concept.category}")
        for concept in own.own.concepts
    )
    renamed = replace(own.own, categories=categories, concepts=concepts)
    other = replace(own, own=renamed)
    try:
        axes = draw("complete", [own, other])
        unique = own.own.unique_detectors
        lengths = [0.0, 0.0]
        for bars in axes.containers:
            for row, bar in enumerate(bars):
                lengths[row] += bar.get_width()
        assert lengths == [unique, unique]
        legend = axes.get_legend()
        assert legend is not None
        names = {text.get_text() for text in legend.get_texts()}
        counts = own.own.summary().unique_detectors_by_category
        present = {name for name, count in counts.items() if count}
        assert names == present | {f"other {name}" for name in present}
    finally:
        plt.close("all")


def test_a_study_without_rotations_has_figures(
    study: RotationStudy,
) -> None:
    own = replace(study, rotated={}, bases={})
    assert own.best == () and own.alphas == (0,)
    assert isinstance(own.own, Dissection)
    try:
        for kind in ("rotation", "concepts", "complete", "pictures"):
            assert own.plot(kind).get_figure() is not None
    finally:
        plt.close("all")
