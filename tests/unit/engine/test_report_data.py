"""Pictures, masks and histograms that a run takes: exact, and the same in any case."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import reference
import torch
from made_pictures import pictures_as_bytes
from PIL import Image
from planted import HOW, IMAGES, MASK, SIZE, Numbered, Planted, drawn
from torch import Tensor

from nd_plugin import Annotation, Dissection, Settings, open_concepts
from nd_plugin.candidates import layer_candidates as candidates
from nd_plugin.engine.report_data import collected
from nd_plugin.engine.run import run as run_engine
from nd_plugin.method import lower_bound
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results.npz_format import ARRAYS
from nd_plugin.results.top_pictures import TopPictures

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:.*multi-threaded, use of fork:DeprecationWarning"
    ),
    # more workers than processors
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]

TAU = 0.05
AXES = ((4.5, 2.0), (6.5, -1.0))  # of planted.GEOMETRY: stride and offset


def with_dead_and_sparse_units(maps: Tensor) -> Tensor:
    """Make the first unit constant, and the second one 0 almost everywhere."""
    maps = maps.clone()
    maps[:, 0] = 1.5
    maps[:, 1] = 0.0
    maps[7, 1, 0, 0] = 2.0
    return maps


LAYERS = {
    "plain": drawn(1),
    "rectified": with_dead_and_sparse_units(drawn(2, cells=(3, 7)).relu()),
    "a token": drawn(3, cells=(1, 1)),
    "double": drawn(4, cells=(6, 5), dtype=torch.float64),
}


@pytest.fixture(scope="module")
def concepts() -> Numbered:
    return Numbered(open_concepts(f"shapes?images={IMAGES}&size=40&seed=3"))


def run(
    concepts: Any,
    layers: Mapping[str, Tensor] = LAYERS,
    batch_size: int = 5,
    workers: int = 0,
    memory: int | None = None,
    **settings: Any,
) -> list[Dissection]:
    chosen = {"quantile": TAU, "top_images": 6, "pictures": 4, **settings}
    feed = Feed.of(
        concepts,
        HOW,
        Settings(**chosen),
        torch.device("cpu"),
        batch_size,
        workers,
        memory,
    )
    return run_engine(Planted(layers), list(layers), feed)


def pictures_of(found: Dissection) -> TopPictures:
    assert found.pictures is not None
    return found.pictures


def packed(dissections: Sequence[Dissection]) -> list[bytes]:
    """The files of pictures, and the histograms."""
    return [
        content for found in dissections for content in pictures_as_bytes(found)
    ]


def notes_on_pictures(found: Dissection) -> list[str]:
    words = ("picture", "masks in top images", "annotations of")
    return [note for note in found.notes if any(word in note for word in words)]


def assert_masks_are_the_twins(found: Dissection, maps: Tensor) -> None:
    """Each mask of a top image is the slow twin's S_k > T_k, pixel by pixel."""
    pictures = pictures_of(found)
    assert pictures.units_top == 4
    for unit in range(found.units):
        drawn_masks = found.activation_masks(unit)
        assert len(drawn_masks) == 4
        for rank in range(4):
            image = int(found.top_images[unit, rank])
            mask = found.activation_mask(unit, rank)
            upsampled = twin_upsample(maps[image, unit].numpy())
            expected = upsampled > found.thresholds[unit]
            assert mask is not None and np.array_equal(mask, expected)
            assert np.array_equal(drawn_masks[rank], expected)


def twin_upsample(activation_map: Any) -> Any:
    """Upsample by the slow twin, which is written for float32, in the map's own precision."""
    size, mask = (SIZE, SIZE), (MASK, MASK)
    if activation_map.dtype == np.float32:
        return reference.upsample(activation_map, AXES, size, mask)
    return double_upsample(activation_map)


def double_upsample(activation_map: Any) -> Any:
    """The twin's interpolation in float64."""
    upsampled = np.empty((MASK, MASK))
    for row, column in np.ndindex(MASK, MASK):
        top, bottom, down = reference._interpolants(
            row, AXES[0], activation_map.shape[0], SIZE, MASK
        )
        left, right, across = reference._interpolants(
            column, AXES[1], activation_map.shape[1], SIZE, MASK
        )
        corners = activation_map[[top, bottom]][:, [left, right]]
        edges = corners[0] + float(down) * (corners[1] - corners[0])
        upsampled[row, column] = edges[0] + float(across) * (edges[1] - edges[0])
    return upsampled


@pytest.fixture(
    params=["as it is", "no room", "passed bounds", "nothing collected"]
)
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a run meets."""
    if request.param == "no room":
        monkeypatch.setattr(candidates, "free_bytes", lambda folder: 0)
    elif request.param == "passed bounds":
        monkeypatch.setattr(lower_bound, "poisson_upper_bound", lambda mean: 1)
    elif request.param == "nothing collected":
        monkeypatch.setattr(collected, "MOST_COLLECTED", 0)
    return str(request.param)


@pytest.mark.usefixtures("how")
@pytest.mark.parametrize(
    ("batch_size", "workers", "memory"),
    [(1, 0, None), (5, 0, 0), (7, 2, 9000), (48, 2, 0), (100, 0, None)],
)
def test_masks_are_the_twins_however_it_is_run(
    concepts: Numbered, batch_size: int, workers: int, memory: int | None
) -> None:
    dissections = run(concepts, LAYERS, batch_size, workers, memory)
    for found in dissections:
        assert_masks_are_the_twins(found, LAYERS[found.layer])
        assert notes_on_pictures(found) == []
    dead, sparse = dissections[1].dead, dissections[1].sparse
    assert dead[0] and sparse[1]


@pytest.mark.usefixtures("how")
def test_everything_is_the_same_however_it_is_run(concepts: Numbered) -> None:
    plain = run(concepts, batch_size=48)
    assert packed(run(concepts, batch_size=5, workers=2, memory=0)) == packed(plain)


def test_the_same_whatever_was_collected(
    concepts: Numbered, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = packed(run(concepts))
    for most_collected in (0, 20, 47):
        monkeypatch.setattr(collected, "MOST_COLLECTED", most_collected)
        assert packed(run(concepts, workers=2)) == expected


def test_pictures_and_annotations_are_those_of_the_images(
    concepts: Numbered,
) -> None:
    found = run(concepts)[0]
    pictures = pictures_of(found)
    assert pictures.images.tolist() == np.unique(found.top_images[:, :4]).tolist()
    for image in pictures.images.tolist():
        picture = pictures.picture(image)
        assert (picture.size, picture.getpixel((3, 3))) == ((32, 32), (image, 0, 0))
        annotation = concepts.annotation(image)
        expected = LabelCombinations.of(annotation, (MASK, MASK))
        assert np.array_equal(pictures.concepts(image), expected.concepts)
        for concept, area in zip(expected.concepts, expected.areas, strict=True):
            mask = pictures.concept_mask(image, int(concept))
            assert mask.shape == (MASK, MASK) and mask.sum() == area


def test_several_quantiles_have_their_own_masks(concepts: Numbered) -> None:
    dissections = run(concepts, quantile=0.02, quantiles=(0.02, 0.3))
    for found in dissections:
        assert_masks_are_the_twins(found, LAYERS[found.layer])
    assert dissections[0].thresholds[0] != dissections[1].thresholds[0]


def test_native_masks_have_the_sizes_of_the_annotations(concepts: Numbered) -> None:
    @dataclass(frozen=True)
    class Native(Numbered):
        native_masks = True

        def annotation(self, index: int) -> Annotation:
            annotation = super().annotation(index)
            rows = 10 + index % 3
            planes = [np.asarray(plane)[:rows] for plane in annotation.planes]
            return Annotation(planes, annotation.labels)

    found = run(Native(concepts.shapes))[0]
    for unit in range(found.units):
        for rank, mask in enumerate(found.activation_masks(unit)):
            image = int(found.top_images[unit, rank])
            size = (10 + image % 3, 40)
            upsampled = reference.upsample(
                LAYERS["plain"][image, unit].numpy(), AXES, (SIZE, SIZE), size
            )
            assert np.array_equal(mask, upsampled > found.thresholds[unit])


@dataclass(frozen=True)
class Counted(Numbered):
    """Counts how often images and annotations are decoded, in this process."""

    decoded: Counter[tuple[str, int]] = field(default_factory=Counter)

    def image(self, index: int) -> Image.Image:
        self.decoded["image", index] += 1
        return super().image(index)

    def annotation(self, index: int) -> Annotation:
        self.decoded["annotation", index] += 1
        return super().annotation(index)


def test_nothing_is_decoded_twice(concepts: Numbered) -> None:
    counted = Counted(concepts.shapes)
    assert pictures_of(run(counted)[0]).units_top == 4
    assert set(counted.decoded.values()) == {1}


def test_of_a_large_set_only_top_images_are_decoded_again(
    concepts: Numbered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collected, "MOST_COLLECTED", 47)
    counted = Counted(concepts.shapes)
    layers = {"plain": LAYERS["plain"], "a token": LAYERS["a token"]}
    dissections = run(counted, layers)
    images = np.union1d(*(pictures_of(found).images for found in dissections))
    assert 0 < len(images) < IMAGES
    for image in range(IMAGES):
        assert counted.decoded["image", image] == 1 + (image in images)
        assert counted.decoded["annotation", image] == 1


class TestSettings:
    def test_without_pictures_the_numbers_are_the_same(
        self, concepts: Numbered
    ) -> None:
        for found, without in zip(
            run(concepts), run(concepts, pictures=False), strict=True
        ):
            assert without.pictures is None and notes_on_pictures(without) == []
            for name in ARRAYS:
                assert np.array_equal(getattr(found, name), getattr(without, name))

    def test_as_many_as_there_are(self, concepts: Numbered) -> None:
        found = run(concepts, top_images=3, pictures=15)[0]
        assert pictures_of(found).units_top == 3 and notes_on_pictures(found) == []
        found = run(concepts, top_images=100, pictures=100)[0]
        assert pictures_of(found).units_top == IMAGES == len(pictures_of(found))

    @pytest.mark.parametrize("most_collected", [8192, 0])
    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_budget_leaves_the_first_ranks(
        self,
        concepts: Numbered,
        monkeypatch: pytest.MonkeyPatch,
        most_collected: int,
        workers: int,
    ) -> None:
        monkeypatch.setattr(collected, "MOST_COLLECTED", most_collected)
        layers = {"plain": LAYERS["plain"]}
        whole = pictures_of(run(concepts, layers)[0])
        size_of_rank = []
        for ranks in range(1, 5):
            smaller = run(concepts, layers, pictures=ranks)[0]
            size_of_rank.append(pictures_of(smaller).nbytes)
        assert size_of_rank[-1] == whole.nbytes
        for ranks, size in enumerate(size_of_rank, start=1):
            for budget in (size, size + 1):
                found = run(
                    concepts, layers, workers=workers, picture_budget=budget
                )[0]
                pictures = pictures_of(found)
                assert (pictures.units_top, pictures.nbytes) == (ranks, size)
                for unit in range(found.units):
                    expected = whole.masks(unit, found.thresholds[unit])[:ranks]
                    masks = found.activation_masks(unit)
                    assert np.array_equal(np.array(masks), np.array(expected))
            if ranks < 4:
                assert notes_on_pictures(found) == [
                    f"pictures are of the first {ranks} of 4 top images of each unit: more "
                    f"would exceed {(size + 1) / 2**20:g} MiB "
                    "(--picture-budget; picture_budget= in Python)"
                ]

    def test_a_budget_for_none(self, concepts: Numbered) -> None:
        found = run(concepts, picture_budget=100)[0]
        assert found.pictures is None
        (note,) = notes_on_pictures(found)
        assert note.startswith("pictures are not saved: more would exceed")


@dataclass(frozen=True)
class OnlyOnce(Counted):
    """Some images can be read once, and no second time."""

    def image(self, index: int) -> Image.Image:
        image = super().image(index)
        if index % 3 == 0 and self.decoded["image", index] > 1:
            raise OSError("the disk was taken away")
        return image


@dataclass(frozen=True)
class Crashing(Numbered):
    """Images whose decoding ends a worker process, once the first pass is over."""

    state: dict[str, bool] = field(default_factory=dict)

    def image(self, index: int) -> Image.Image:
        if self.state and multiprocessing.parent_process() is not None:
            os._exit(3)
        return super().image(index)


class TestFailures:
    def test_an_image_that_disappears_is_a_note(
        self, concepts: Numbered, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = run(concepts)
        monkeypatch.setattr(collected, "MOST_COLLECTED", 0)
        dissections = run(OnlyOnce(concepts.shapes))
        for found, whole in zip(dissections, expected, strict=True):
            pictures = pictures_of(found)
            assert pictures.images.tolist() == [
                image for image in pictures_of(whole).images.tolist() if image % 3
            ]
            (note,) = notes_on_pictures(found)
            missing = len(pictures_of(whole)) - len(pictures)
            assert note.startswith(f"{missing} of the top images have no picture, ")
            assert note.endswith(": the disk was taken away")
            for unit in range(found.units):
                for rank, image in enumerate(found.top_images[unit, :4].tolist()):
                    mask = found.activation_mask(unit, rank)
                    assert (mask is None) == (image % 3 == 0)
            for name in ARRAYS:
                assert np.array_equal(getattr(found, name), getattr(whole, name))

    def test_a_worker_that_crashes_is_a_note(
        self, concepts: Numbered, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        crashing = Crashing(concepts.shapes)
        monkeypatch.setattr(collected, "MOST_COLLECTED", 0)
        layers = {"plain": LAYERS["plain"]}
        feed = Feed.of(
            crashing,
            HOW,
            Settings(TAU, top_images=6, pictures=4),
            torch.device("cpu"),
            5,
            2,
        )

        def progress(stage: str, done: int, total: int) -> None:
            if stage == "masks":
                crashing.state["armed"] = True

        (found,) = run_engine(Planted(layers), ["plain"], feed, progress)
        (note,) = notes_on_pictures(found)
        assert "a worker process crashed (exit code 3)" in note
        (whole,) = run(concepts, layers)
        for name in ARRAYS:
            assert np.array_equal(getattr(found, name), getattr(whole, name))

    @pytest.mark.parametrize("most_collected", [0, 8192])
    def test_an_annotation_that_cannot_be_read_leaves_the_picture(
        self,
        concepts: Numbered,
        monkeypatch: pytest.MonkeyPatch,
        most_collected: int,
    ) -> None:
        monkeypatch.setattr(collected, "MOST_COLLECTED", most_collected)

        @dataclass(frozen=True)
        class Unannotated(Counted):
            def annotation(self, index: int) -> Annotation:
                annotation = super().annotation(index)
                if index % 2:
                    raise ValueError("of another aspect")
                return annotation

        unannotated = Unannotated(concepts.shapes)
        found = run(unannotated)[0]
        assert_masks_are_the_twins(found, LAYERS["plain"])
        pictures = pictures_of(found)
        for image in pictures.images.tolist():
            assert (pictures.annotation(image) is None) == bool(image % 2)
            assert unannotated.decoded["annotation", image] in (1, 2 - image % 2)
        assert notes_on_pictures(found) == []


class TestHistograms:
    def test_a_small_set_is_counted_whole(self, concepts: Numbered) -> None:
        for found in run(concepts):
            maps = LAYERS[found.layer]
            for unit in range(found.units):
                values = maps[:, unit].double().numpy()
                counts, edges = found.histogram(unit) or (np.zeros(0), np.zeros(0))
                assert counts.sum() == values.size
                expected, _ = np.histogram(values, edges)
                # values at an edge may be rounded into the bin beside it
                assert np.abs(counts - expected).sum() <= 2
                assert edges[0] == values.min()
                assert found.dead[unit] or edges[-1] == values.max()
                assert edges[0] <= found.thresholds[unit] <= edges[-1]

    def test_a_sample_of_a_large_set_is_fair(self) -> None:
        from nd_plugin.engine.report_data.activation_sample import ActivationSample

        images, units, cells = 9000, 2, 16
        sample = ActivationSample.empty(units, images)
        generator = torch.Generator().manual_seed(0)
        maps = torch.rand(images, units, 4, 4, generator=generator)
        # every cell of a map has its own level
        maps[:, 1] = torch.arange(cells).view(4, 4) / cells
        for start in range(0, images, 500):
            batch = torch.arange(start, start + 500)
            sample.update(maps[batch], batch)
        histograms = sample.histograms(maps.amax((0, 2, 3)))
        assert histograms is not None
        for unit in range(units):
            counts, _ = histograms.histogram(unit)
            assert counts.sum() == 4096
        # each of 16 levels about equally often: 256 ± 6 standard deviations
        counts, _ = histograms.histogram(1)
        levels = counts[counts > 0]
        assert len(levels) == cells and np.abs(levels - 256).max() < 6 * 16
