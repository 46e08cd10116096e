"""Coverage of intervals: python benchmarks/coverage.py DATA [--repeats 100] [--layer NAME] …

DATA is a folder in Broden's format. EfficientNet-Lite0 is dissected with a fold for each image, and
two experiments follow without another run; thresholds are those of all images throughout:

- population: the images stand for all that there could be. Data sets as large are drawn from them
  with replacement; how often do their intervals cover the value of the population?
- halves: the images are split at random. How often does the interval of one half cover the value
  of the other half, and of all images? For a quantity with normal errors theory has 83 % and 99 %:
  the other half errs as much as the first, and all images share half of theirs with it. A statement
  on the other half is the interval of a difference, which is wider by sqrt(2): 95 %.

`--splits N` dissects the halves of N splits by themselves, each with thresholds of its own.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin import Dissection, LayerDissection, open_concepts
from nd_plugin.significance.differences import QUANTITIES, difference_interval
from nd_plugin.significance.fold_counts import FoldCounts
from nd_plugin.significance.statistics import bootstrap, intervals
from nd_plugin.significance.statistics.bootstrap import METHODS

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
FOLDS = 20
PRODUCT_METHODS = (intervals.COUNT_METHOD, intervals.IOU_METHOD)
SHARES = defaultdict[str, list[float]]


@dataclass(frozen=True)
class ImageCounts:
    """Dissection with the counts of each image."""

    dissection: Dissection
    intersection: Floats  # (image, unit x concept)
    unit_area: Floats  # (image, unit x category)
    concept_area: Floats  # (image, concept)

    @classmethod
    def of(cls, dissection: Dissection) -> ImageCounts:
        """Return the counts of a dissection with a fold for each image."""
        folds = dissection.folds
        assert folds is not None
        intersection = np.zeros(folds.folds * folds.units * folds.concepts)
        intersection[folds.pairs] = folds.pixels
        return cls(
            dissection,
            intersection.reshape(folds.folds, -1),
            folds.unit_area.reshape(folds.folds, -1).astype(float),
            folds.concept_area.astype(float),
        )

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.concept_area)

    def of_images(self, images: Integers, folds: int = FOLDS) -> Dissection:
        """Return the dissection of some images, which may be repeated, in random folds."""
        weights = np.zeros((folds, self.images))
        np.add.at(weights, (np.arange(len(images)) % folds, images), 1)
        units, categories = self.dissection.unit_area.shape
        intersection = _whole(weights @ self.intersection).reshape(folds, units, -1)
        unit_area = _whole(weights @ self.unit_area).reshape(folds, units, -1)
        concept_area = _whole(weights @ self.concept_area)
        pairs = np.flatnonzero(intersection)
        return replace(
            self.dissection,
            intersection=intersection.sum(axis=0),
            unit_area=unit_area.sum(axis=0),
            concept_area=concept_area.sum(axis=0),
            folds=FoldCounts(
                pairs,
                intersection.ravel()[pairs],
                unit_area,
                concept_area,
                np.ones((folds, categories), np.int64),
            ),
            # differences between data sets are those between other images
            image_names=tuple(map(str, images.tolist())),
        )


def _whole(values: Floats) -> Integers:
    return np.rint(values).astype(np.int64)


def counts_of(dissection: Dissection) -> dict[str, int]:
    """Return detectors and unique detectors."""
    summary = dissection.summary()
    return {name: getattr(summary, name) for name in QUANTITIES}


def iou_with(dissection: Dissection, labels: Integers) -> Floats:
    """Return each unit's IoU with a label of another data set; (unit,)."""
    return dissection.iou[np.arange(dissection.units), labels]


def population(
    counts: ImageCounts, repeats: int, resamples: int, folds: int
) -> SHARES:
    """Return how often intervals of drawn data sets cover the population, by method."""
    random = np.random.default_rng(1)
    truth = counts.dissection
    covered: SHARES = defaultdict(list)
    for _ in range(repeats):
        images = random.integers(0, counts.images, counts.images)
        drawn = counts.of_images(images, folds)
        layer = drawn.resampled(resamples)
        for method in METHODS:
            intervals.COUNT_METHOD = intervals.IOU_METHOD = method
            result = intervals.layer_intervals(layer, bootstrap.LEVEL)
            true_iou = iou_with(truth, drawn.labels)
            is_covered = (result.iou_low <= true_iou) & (
                true_iou <= result.iou_high
            )
            is_detector = drawn.iou.max(axis=1) > drawn.settings.min_iou
            covered[f"{method}: IoU"].append(float(is_covered.mean()))
            if is_detector.any():
                share = float(is_covered[is_detector].mean())
                covered[f"{method}: IoU of detectors"].append(share)
            for name, count in counts_of(truth).items():
                interval = getattr(result.counts, name)
                covered[f"{method}: {name}"].append(
                    interval.low <= count <= interval.high
                )
    return covered


def halves(counts: ImageCounts, repeats: int, resamples: int) -> SHARES:
    """Return how often the interval of a half covers the other half, and all images."""
    random = np.random.default_rng(2)
    covered: SHARES = defaultdict(list)
    for _ in range(repeats):
        order = random.permutation(counts.images)
        middle = counts.images // 2
        first = counts.of_images(order[:middle])
        second = counts.of_images(order[middle:])
        result = first.intervals(resamples=resamples)
        is_detector = first.iou.max(axis=1) > first.settings.min_iou
        if is_detector.any():
            for target, share in iou_shares(
                counts, first, second, result, is_detector
            ):
                covered[f"IoU of detectors: {target}"].append(share)
        for name in QUANTITIES:
            interval = getattr(result.counts, name)
            others = {"other half": second, "all images": counts.dissection}
            for target, other in others.items():
                count = counts_of(other)[name]
                covered[f"{name}: {target}"].append(
                    interval.low <= count <= interval.high
                )
            difference = difference_interval(
                first, second, name, resamples=resamples
            )
            low, high = difference.interval.to_list()
            covered[f"{name}: difference of the halves"].append(low <= 0 <= high)
    return covered


def iou_shares(
    counts: ImageCounts,
    first: Dissection,
    second: Dissection,
    result: intervals.LayerIntervals,
    is_detector: npt.NDArray[np.bool_],
) -> Iterator[tuple[str, float]]:
    """Yield the share of a half's detectors whose interval covers the IoU of other images."""
    iou = first.iou.max(axis=1)
    low, high = result.iou_low, result.iou_high
    wide_low = iou - np.sqrt(2) * (iou - low)
    wide_high = iou + np.sqrt(2) * (high - iou)
    of_second = iou_with(second, first.labels)
    of_all = iou_with(counts.dissection, first.labels)
    cases = {
        "other half": (low, of_second, high),
        "all images": (low, of_all, high),
        "other half, sqrt(2) wider": (wide_low, of_second, wide_high),
    }
    for target, (lower, value, upper) in cases.items():
        is_covered = (lower <= value) & (value <= upper)
        yield target, float(is_covered[is_detector].mean())


@dataclass(frozen=True)
class SomeImages:
    """Part of a concept set."""

    whole: Any
    images: tuple[int, ...]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # as pickle asks for before there is a set
            raise AttributeError(name)
        return getattr(self.whole, name)

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        """Return the name of an image."""
        return str(self.whole.name(self.images[index]))

    def image(self, index: int) -> Any:
        """Return an image."""
        return self.whole.image(self.images[index])

    def annotation(self, index: int) -> Any:
        """Return the annotation of an image."""
        return self.whole.annotation(self.images[index])


def own_thresholds(
    dissect: Callable[[Any, int], Dissection],
    concept_set: Any,
    counts: ImageCounts,
    splits: int,
) -> SHARES:
    """Return how often the interval of a half covers the other one, dissected by itself."""
    covered: SHARES = defaultdict(list)
    for split in range(splits):
        order = np.random.default_rng(split).permutation(len(concept_set)).tolist()
        middle = len(order) // 2
        parts = [
            SomeImages(concept_set, tuple(half))
            for half in (order[:middle], order[middle:])
        ]
        first, second = (dissect(part, FOLDS) for part in parts)
        for half, other in ((first, second), (second, first)):
            is_detector = half.iou.max(axis=1) > half.settings.min_iou
            result = half.intervals()
            for target, share in iou_shares(
                counts, half, other, result, is_detector
            ):
                covered[f"IoU of detectors: {target}"].append(share)
            for name in QUANTITIES:
                interval = getattr(result.counts, name)
                count = counts_of(other)[name]
                covered[f"{name}: other half"].append(
                    interval.low <= count <= interval.high
                )
    return covered


def show(title: str, covered: SHARES) -> None:
    """Print mean shares."""
    print(title)
    for name, shares in covered.items():
        print(f"  {name:50s} {100 * float(np.mean(shares)):5.1f} %")


def main() -> None:
    """Dissect, and print both experiments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--layer", default="_blocks.10")
    parser.add_argument("--quantile", type=float, default=0.04)
    parser.add_argument("--min-iou", type=float, default=0.04)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--splits", type=int, default=0)
    parser.add_argument("--folds", type=int, default=FOLDS)
    options = parser.parse_args()

    from nd_torch.zoo import efficientnet_lite0

    concept_set = open_concepts(f"broden:{options.data}")
    layer = LayerDissection(efficientnet_lite0().eval(), options.layer)

    def dissect(images: Any, folds: int) -> Dissection:
        result = layer.dissect(
            images,
            quantile=options.quantile,
            min_iou=options.min_iou,
            folds=folds,
            pictures=False,
        )
        assert isinstance(result, Dissection)
        return result

    dissection = dissect(concept_set, len(concept_set))
    print(dissection)
    counts = ImageCounts.of(dissection)
    experiments: dict[str, Callable[[ImageCounts, int, int], SHARES]] = {
        "halves: the interval of a half covers": halves,
        "population: intervals cover its value": partial(
            population, folds=options.folds
        ),
    }
    for title, experiment in experiments.items():
        show(title, experiment(counts, options.repeats, options.resamples))
        intervals.COUNT_METHOD, intervals.IOU_METHOD = PRODUCT_METHODS
    if options.splits:
        title = (
            "halves, each with its own thresholds: the interval of a half covers"
        )
        show(title, own_thresholds(dissect, concept_set, counts, options.splits))


if __name__ == "__main__":
    main()
