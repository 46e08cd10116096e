"""Counts by fold and the level of chance, against the slow twin and in every way of running."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import reference
import torch
from PIL import Image
from planted import HOW, IMAGES, SIZE, Numbered, Planted, drawn
from random_data import random_planes

from nd_plugin import (
    Annotation,
    Concept,
    Dissection,
    Identity,
    RunFailed,
    Settings,
    open_concepts,
)
from nd_plugin.candidates import layer_candidates
from nd_plugin.engine.chance import level
from nd_plugin.engine.run import run
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.parts import Part
from nd_plugin.significance.exchange import Strata
from nd_plugin.significance.image_concepts import ImageConcepts

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*multi-threaded, use of fork:DeprecationWarning"
)

FOLDS, PERMUTATIONS, SEED = 5, 6, 3
SETTINGS = Settings(
    quantiles=(0.05, 0.3),
    mask_size="native",
    folds=FOLDS,
    permutations=PERMUTATIONS,
    seed=SEED,
    pictures=0,
)
AXES = ((4.5, 2.0), (6.5, -1.0))  # planted.GEOMETRY


def with_odd_units(maps: torch.Tensor) -> torch.Tensor:
    """Maps whose first units are dead, sparse, and saturated: 1 on half of all cells."""
    maps[:, 0] = 2.5
    maps[:, 1] = (maps[:, 1] - 1.8).relu()
    maps[:, 2] = maps[:, 2].clamp(max=0)
    return maps


ACTIVATIONS = {
    "plain": with_odd_units(drawn(1)),
    "double": drawn(3, cells=(3, 7), dtype=torch.float64),
}


@dataclass(frozen=True)
class ManyLabels:
    """Planes of two sizes, several of them or none, labels of whole images; some are unreadable.

    Of two more sizes there is a single image, which nothing can be exchanged with.
    """

    original: Numbered
    identity = Identity("many", "many", "1", "0")
    native_masks = False
    categories = ("object", "scene")
    concepts = (
        *(Concept(f"thing {number}", "object") for number in range(5)),
        Concept("indoors", "scene"),
        Concept("outdoors", "scene"),
        Concept("never", "scene"),
    )

    def __len__(self) -> int:
        return IMAGES

    def name(self, index: int) -> str:
        return f"{index}.png"

    def image(self, index: int) -> Image.Image:
        if index in (7, 20):
            raise OSError("an image that cannot be read")
        return self.original.image(index)

    def annotation(self, index: int) -> Annotation:
        if index % 11 == 3:
            raise ValueError("an annotation that cannot be read")
        return self.readable_annotation(index)

    def readable_annotation(self, index: int) -> Annotation:
        size = (16, 16) if index % 2 else (11, 19)
        size = (9, index) if index in (8, 9) else size
        planes = random_planes(index, size, index % 4, 5)
        labels = (6 + index % 2,) if index % 3 else ()
        return Annotation(planes, labels, size=size)


@pytest.fixture(scope="module")
def concepts() -> ManyLabels:
    return ManyLabels(
        Numbered(open_concepts(f"shapes?images={IMAGES}&size=40&seed=3"))
    )


def feed_of(concepts: Any, **options: Any) -> Feed:
    options = {"batch_size": 5, "workers": 0, **options}
    settings = replace(SETTINGS, **options.pop("settings", {}))
    return Feed.of(concepts, HOW, settings, torch.device("cpu"), **options)


def dissect(
    concepts: Any,
    strategy: str = "host",
    *,
    model: Planted | None = None,
    group: SingleProcess | None = None,
    **options: Any,
) -> list[Dissection]:
    model = model or Planted(ACTIVATIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ND_STRATEGY", strategy)
        feed = feed_of(concepts, **options)
        return run(model, list(model.activations), feed, group=group)


@pytest.fixture(scope="module")
def expected(concepts: ManyLabels) -> list[Dissection]:
    return dissect(concepts)


def arrays_of(dissection: Dissection) -> dict[str, npt.NDArray[Any]]:
    assert dissection.folds is not None and dissection.chance is not None
    counts = {
        "intersection": dissection.intersection,
        "unit_area": dissection.unit_area,
        "concept_area": dissection.concept_area,
        "category_images": dissection.category_images,
        "thresholds": dissection.thresholds,
        "fixed": np.array(dissection.chance.fixed_images),
        "chance iou": dissection.chance.iou,
        "chance labels": dissection.chance.labels,
    }
    folds = {
        f"fold {name}": array for name, array in vars(dissection.folds).items()
    }
    return counts | folds


def assert_same(
    dissections: Sequence[Dissection], expected: Sequence[Dissection]
) -> None:
    assert len(dissections) == len(expected)
    for one, other in zip(dissections, expected, strict=True):
        other_arrays = arrays_of(other)
        for name, array in arrays_of(one).items():
            assert array.dtype == other_arrays[name].dtype, name
            assert np.array_equal(array, other_arrays[name]), name


class Twin:
    """The slow twin, image by image: counts of any images with the annotations of others."""

    def __init__(self, concepts: ManyLabels, dissection: Dissection) -> None:
        self.concepts = concepts
        self.category_of = dissection.category_of.tolist()
        self.maps = ACTIVATIONS[dissection.layer].numpy()
        self.thresholds = dissection.thresholds.astype(self.maps.dtype)
        skipped = {item.image for item in dissection.skipped}
        self.images = [
            image
            for image in range(IMAGES)
            if self.concepts.name(image) not in skipped
        ]

    def stratum(self, image: int) -> tuple[Any, ...]:
        """Size of the masks and set of categories of an image."""
        annotation = self.concepts.annotation(image)
        values = {int(value) for plane in annotation.planes for value in plane.flat}
        labels = (values | set(annotation.labels)) - {0}
        return annotation.size, {self.category_of[label - 1] for label in labels}

    def counts(
        self, partner_of: dict[int, int]
    ) -> tuple[reference.Counts, reference.Counts, reference.Counts]:
        """Counts of images (keys) with the annotations of their partners."""
        totals: list[Any] = [0, 0, 0]
        for image, partner in partner_of.items():
            annotation = self.concepts.annotation(partner)
            planes = [np.asarray(plane, np.int32) for plane in annotation.planes]
            counts = reference.counts(
                [self.maps[image]],
                [(planes, list(annotation.labels))],
                self.category_of,
                2,
                self.thresholds,
                AXES,
                (SIZE, SIZE),
                annotation.size,
            )
            for index, count in enumerate(counts):
                totals[index] = totals[index] + count
        return totals[0], totals[1], totals[2]


def test_folds_are_the_twins(
    concepts: ManyLabels, expected: list[Dissection]
) -> None:
    fold_of = feed_of(concepts).fold_of
    assert fold_of is not None
    for dissection in expected:
        twin = Twin(concepts, dissection)
        folds = dissection.folds
        assert folds is not None and len(twin.images) == IMAGES - 2 - 5
        for fold in range(FOLDS):
            images = [image for image in twin.images if fold_of[image] == fold]
            weights = [int(number == fold) for number in range(FOLDS)]
            counts = twin.counts({image: image for image in images})
            for count, of_twin in zip(folds.weighted(weights), counts, strict=True):
                assert np.array_equal(count, of_twin)
            present = [twin.stratum(image)[1] for image in images]
            category_images = [
                sum(category in categories for categories in present)
                for category in range(2)
            ]
            assert folds.category_images[fold].tolist() == category_images
        assert (folds.pixels > 0).all() and (np.diff(folds.pairs) > 0).all()


def partners_of(concepts: ManyLabels, number: int) -> dict[int, int]:
    """Partner of each image in a permutation, as the product draws it."""
    images, sizes, counts, concepts_of_images = [], [], [], []
    for image in range(IMAGES):
        if image in (7, 20) or image % 11 == 3:
            continue
        annotation = concepts.annotation(image)
        values = {int(value) for plane in annotation.planes for value in plane.flat}
        labels = sorted((values | set(annotation.labels)) - {0})
        images.append(image)
        sizes.append(annotation.size)
        counts.append(len(labels))
        concepts_of_images += [label - 1 for label in labels]
    by_image = ImageConcepts(
        np.array(images),
        np.array(sizes),
        np.array(counts),
        np.array(concepts_of_images),
        np.ones(len(concepts_of_images), np.int64),
    )
    category_of = np.array([0] * 5 + [1] * 3)
    strata = Strata.of(by_image, category_of, 2)
    partners = strata.images[strata.permute(SEED, number)]
    return dict(zip(strata.images.tolist(), partners.tolist(), strict=True))


def test_the_level_of_chance_is_the_twins(
    concepts: ManyLabels, expected: list[Dissection]
) -> None:
    for number in range(PERMUTATIONS):
        partner_of = partners_of(concepts, number)
        assert sorted(partner_of) == sorted(partner_of.values())
        for dissection in expected:
            twin = Twin(concepts, dissection)
            assert all(
                twin.stratum(image) == twin.stratum(partner)
                for image, partner in partner_of.items()
            )
            intersection, unit_area, concept_area = twin.counts(partner_of)
            # the areas of equation 1 stay what they are
            assert np.array_equal(unit_area, dissection.unit_area)
            assert np.array_equal(concept_area, dissection.concept_area)
            iou = reference.iou(
                intersection, unit_area, concept_area, twin.category_of
            )
            chance = dissection.chance
            assert chance is not None
            assert chance.labels[number].tolist() == reference.labels(iou).tolist()
            # the same two integers divided
            assert chance.iou[number].tolist() == iou.max(axis=1).tolist()


def test_images_without_partners_are_counted(
    concepts: ManyLabels, expected: list[Dissection]
) -> None:
    chance = expected[0].chance
    assert chance is not None
    twin = Twin(concepts, expected[0])
    strata = [twin.stratum(image) for image in twin.images]
    alone = [
        stratum for stratum in strata if stratum[1] and strata.count(stratum) == 1
    ]
    assert chance.fixed_images == len(alone) > 0
    note = f"{len(alone)} of {len(partners_of(concepts, 0))} images keep their"
    assert any(text.startswith(note) for text in expected[0].notes)


def test_plain_runs_have_neither(
    concepts: ManyLabels, expected: list[Dissection]
) -> None:
    plain = dissect(concepts, settings={"folds": 0, "permutations": 0})
    for one, other in zip(plain, expected, strict=True):
        assert one.folds is None and one.chance is None
        assert np.array_equal(one.intersection, other.intersection)
        assert np.array_equal(one.unit_area, other.unit_area)


@pytest.mark.parametrize("strategy", ["host", "device"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 16},
        {"workers": 2},
        # maps and annotations go to files; many steps on the device
        {"memory": 1000, "device_memory": 2**12},
    ],
    ids=str,
)
def test_the_bits_do_not_depend_on_how_it_is_run(
    concepts: ManyLabels,
    expected: list[Dissection],
    strategy: str,
    options: dict[str, Any],
) -> None:
    assert_same(dissect(concepts, strategy, **options), expected)


def test_blocks_of_single_units(
    concepts: ManyLabels,
    expected: list[Dissection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nd_plugin.engine.host_strategy.BLOCK_BYTES", 1)
    monkeypatch.setattr("nd_plugin.engine.batch_counter.COUNTS_AT_ONCE", 1)
    monkeypatch.setattr("nd_plugin.engine.chance.host_counter.PIXELS_AT_ONCE", 1)
    assert_same(dissect(concepts), expected)


@pytest.mark.parametrize("strategy", ["host", "device"])
def test_folds_or_permutations_alone(
    concepts: ManyLabels, expected: list[Dissection], strategy: str
) -> None:
    folds = dissect(concepts, strategy, settings={"permutations": 0})
    chance = dissect(concepts, strategy, settings={"folds": 0})
    for one, other, both in zip(folds, chance, expected, strict=True):
        assert one.chance is None and other.folds is None
        assert_same([replace(one, chance=other.chance)], [both])


def test_another_seed_is_another_draw(
    concepts: ManyLabels, expected: list[Dissection]
) -> None:
    other = dissect(concepts, settings={"seed": SEED + 1})
    assert other[0].chance is not None and expected[0].chance is not None
    assert not np.array_equal(other[0].chance.iou, expected[0].chance.iou)
    assert other[0].folds is not None and expected[0].folds is not None
    assert not np.array_equal(other[0].folds.pairs, expected[0].folds.pairs)


class ThreadGroup(SingleProcess):
    """Threads that share a run as processes do."""

    def __init__(self, rank: int, size: int, board: dict[str, Any]) -> None:
        self.rank = rank
        self.size = size
        self.board = board

    def gather(self, item: Any) -> list[Any]:
        self.board["items"][self.rank] = item
        self.board["barrier"].wait()
        items = list(self.board["items"])
        self.board["barrier"].wait()
        return items

    def total(self, counts: torch.Tensor) -> torch.Tensor:
        return torch.stack(self.gather(counts)).sum(0)


def run_in_threads(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    results: list[Any] = [None] * len(jobs)

    def work(index: int) -> None:
        results[index] = jobs[index]()

    threads = [
        threading.Thread(target=work, args=(index,)) for index in range(len(jobs))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_processes_that_share_a_run(
    concepts: ManyLabels, expected: list[Dissection]
) -> None:
    size = 3
    board = {
        "items": [None] * size,
        "barrier": threading.Barrier(size, timeout=600),
    }

    def job(rank: int) -> list[Dissection]:
        # torch's gradient mode is a thread's own
        return run(
            Planted(ACTIVATIONS),
            list(ACTIVATIONS),
            feed_of(concepts, part=Part(rank, size)),
            group=ThreadGroup(rank, size, board),
        )

    def start(rank: int) -> Callable[[], list[Dissection]]:
        return lambda: job(rank)

    for dissections in run_in_threads([start(rank) for rank in range(size)]):
        assert_same(dissections, expected)


def test_a_layer_without_stored_maps_says_so(
    concepts: ManyLabels,
    expected: list[Dissection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layer_candidates, "free_bytes", lambda folder: 0)
    reduced = dissect(concepts, memory=1000)
    for one, other in zip(reduced, expected, strict=True):
        assert one.chance is None and level.NO_MAPS in one.notes
        assert_same([replace(one, chance=other.chance)], [other])


class Forgetful:
    """Concept set whose annotation of one image is lost after it was read once."""

    def __init__(self, original: ManyLabels, image: int) -> None:
        self.original = original
        self.lost = image
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def __len__(self) -> int:
        return IMAGES

    def annotation(self, index: int) -> Annotation:
        self.reads += index == self.lost
        if index == self.lost and self.reads > 1:
            raise OSError("gone")
        return self.original.annotation(index)


def test_an_annotation_that_is_lost_meanwhile_stops_the_run(
    concepts: ManyLabels,
) -> None:
    with pytest.raises(RunFailed, match=r"annotation of 5\.png .* restore it"):
        dissect(Forgetful(concepts, 5))


def test_nothing_is_annotated(concepts: ManyLabels) -> None:
    class Blank(ManyLabels):
        def annotation(self, index: int) -> Annotation:
            return Annotation([np.zeros((8, 8), np.int32)])

    for strategy in ("host", "device"):
        (one, *_) = dissect(Blank(concepts.original), strategy)
        assert one.chance is not None and one.folds is not None
        assert one.chance.fixed_images == 0 and not one.chance.iou.any()
        assert not len(one.folds.pairs)


def test_units_of_noise_have_uniform_p_values() -> None:
    """Under the null a unit's rank among its permutations is any with the same probability.

    Noise knows nothing of the annotations, so the arrangement of the run is as likely as each of
    the permutations. 5 ranks of 600 units: the chi-square statistic has 4 degrees of freedom, and
    exceeds 18.5 in one of 1000 such tests. The seeds are fixed, and this one does not.
    """
    shapes = Numbered(open_concepts(f"shapes?images={IMAGES}&size=40&seed=3"))
    ranks = np.zeros(5, np.int64)
    for seed in range(6):
        model = Planted({"noise": drawn(100 + seed, units=100)})
        settings = {"permutations": 4, "folds": 0, "seed": seed, "quantiles": ()}
        (noise,) = dissect(shapes, model=model, settings=settings)
        assert noise.chance is not None and noise.chance.fixed_images == 0
        as_good = (noise.chance.iou >= noise.iou.max(axis=1)).sum(axis=0)
        ranks += np.bincount(as_good, minlength=5)
    expected = ranks.sum() / 5
    assert float(((ranks - expected) ** 2 / expected).sum()) < 18.5, ranks
