"""Slow twin of nd_plugin: Network Dissection as the paper writes it, image by image, in NumPy.

Zhou, Bau, Oliva, Torralba, *Interpreting Deep Visual Representations via Network Dissection*, TPAMI
2018; its definitions are quoted in the wording of the conference version (CVPR 2017, sec. 2.1 and
2.2). Where the paper leaves a choice, docs/method.md decides, and the docstring says so.

Nothing here is fast, and no code is shared with ``nd_plugin``, so that the two can be compared bit
for bit. Axes: image, unit, row, column, concept, category, plane. A value v > 0 in a plane, or
among the labels of a whole image, means ``concepts[v - 1]``; 0 means "no label". Everywhere else a
concept is its index.
"""

from __future__ import annotations

import csv
import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

# (stride, offset) in input pixels: cell u is centred at offset + stride * u
Axis = tuple[float, float]
Geometry = tuple[Axis, Axis]  # rows, columns
Size = tuple[int, int]  # (height, width)
Plane = npt.NDArray[np.int32]  # (row, column)
Annotation = tuple[list[Plane], list[int]]  # planes, labels of the whole image
Maps = npt.NDArray[np.float32]  # (unit, row, column)
Counts = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]  # (unit, concept)

GRID = 2**20  # positions between cells are rounded to a multiple of 1 / GRID


def threshold(values: npt.NDArray[np.floating], quantile: float) -> float:
    """Compute T_k of one unit from its activations (location,) on the whole probe data set.

    "For each unit k, the top quantile level T_k is determined such that P(a_k > T_k) = 0.005 over
    every spatial location of the activation map in the data set." With v sorted descending this
    is v[floor(τ·n)]: at most floor(τ·n) values lie strictly above it. τ·n is exact: the float
    0.005 stands for 5/1000.
    """
    descending = np.sort(values)[::-1]
    return float(descending[math.floor(Fraction(str(quantile)) * len(values))])


def dead(values: npt.NDArray[np.floating]) -> Bools:
    """Return whether a unit is constant: (unit, location) -> (unit,), (location,) -> one bool."""
    return np.asarray(values.min(axis=-1) == values.max(axis=-1))


def sparse(values: npt.NDArray[np.floating], quantile: float) -> Bools:
    """Return whether a unit is 0 on more than (1 - τ)·n locations, and not dead.

    (unit, location) -> (unit,). T_k of such a unit is 0, and "≥" would light every such location.
    An integer exceeds (1 - τ)·n where it exceeds its floor.
    """
    zeros = np.count_nonzero(values == 0, axis=-1)
    limit = math.floor((1 - Fraction(str(quantile))) * values.shape[-1])
    return np.asarray((zeros > limit) & ~dead(values))


def _lerp(a: Maps, b: Maps, t: npt.NDArray[np.float32]) -> Maps:
    """Interpolate: a + t·(b - a), each operation rounded to float32."""
    return a + t * (b - a)


def _interpolants(
    j: int, axis: Axis, cells: int, image: int, mask: int
) -> tuple[int, int, np.float32]:
    """Return the two cells around mask pixel j, and the weight of the second."""
    stride, offset = axis
    x = (j + 0.5) * image / mask - 0.5
    p = min(max((x - offset) / stride, 0.0), cells - 1.0)
    p = round(p * GRID) / GRID
    i = math.floor(p)
    return i, min(i + 1, cells - 1), np.float32(p - i)


def upsample(
    activation_map: npt.NDArray[np.float32],
    geometry: Geometry,
    image_size: Size,
    mask_size: Size,
) -> npt.NDArray[np.float32]:
    """Compute S_k(x) (row, column) of one unit, pixel by pixel.

    "The activation map is scaled up to the mask resolution S_k(x) from A_k(x) using bilinear
    interpolation, anchoring interpolants at the center of each unit's receptive field." The
    centre of cell u lies at input pixel offset + stride·u, mask pixel j at input pixel (j +
    0.5)·in/mask - 0.5; positions beyond the outer centres take their values. Between rows first,
    then between columns.
    """
    height, width = activation_map.shape
    rows, columns = mask_size
    row_axis, column_axis = geometry
    upsampled = np.empty(mask_size, np.float32)
    for row in range(rows):
        top, bottom, down = _interpolants(
            row, row_axis, height, image_size[0], rows
        )
        for column in range(columns):
            left, right, across = _interpolants(
                column, column_axis, width, image_size[1], columns
            )
            top_left = activation_map[top, left]
            top_right = activation_map[top, right]
            left_value = top_left + down * (activation_map[bottom, left] - top_left)
            right_value = top_right + down * (
                activation_map[bottom, right] - top_right
            )
            upsampled[row, column] = left_value + across * (
                right_value - left_value
            )
    return upsampled


def _all_interpolants(
    axis: Axis, cells: int, image: int, mask: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Return `_interpolants` of every mask pixel along one axis."""
    stride, offset = axis
    x = (np.arange(mask, dtype=np.float64) + 0.5) * image / mask - 0.5
    p = np.clip((x - offset) / stride, 0, cells - 1)
    p = np.rint(p * GRID) / GRID
    i = np.floor(p).astype(np.intp)
    return i, np.minimum(i + 1, cells - 1), (p - i).astype(np.float32)


def upsample_all(
    maps: Maps, geometry: Geometry, image_size: Size, mask_size: Size
) -> Maps:
    """Upsample all units of one image at once: (unit, h, w) -> (unit, row, column).

    Equal to `upsample` to the last bit.
    """
    top, bottom, down = _all_interpolants(
        geometry[0], maps.shape[1], image_size[0], mask_size[0]
    )
    left, right, across = _all_interpolants(
        geometry[1], maps.shape[2], image_size[1], mask_size[1]
    )
    rows = _lerp(maps[:, top, :], maps[:, bottom, :], down[:, np.newaxis])
    return _lerp(rows[:, :, left], rows[:, :, right], across)


def resize_nearest(mask: Plane, size: Size) -> Plane:
    """Resize a plane: target pixel j takes source pixel floor((j + 0.5)·in/out), in integers."""
    rows = (2 * np.arange(size[0]) + 1) * mask.shape[0] // (2 * size[0])
    columns = (2 * np.arange(size[1]) + 1) * mask.shape[1] // (2 * size[1])
    resized: Plane = mask[rows][:, columns]
    return resized


def annotation_masks(
    planes: Sequence[Plane], labels: Sequence[int], size: Size
) -> dict[int, Bools]:
    """Return L_c(x) (row, column) of each concept c that the image has at this resolution.

    "Multiple Broden labels can apply to the same pixel", so L_c is a set of pixels: those that
    carry c in any plane. A label of the whole image covers every pixel.
    """
    resized = [resize_nearest(plane, size) for plane in planes]
    carried = {int(value) for plane in resized for value in np.unique(plane)} | set(
        labels
    )
    masks = {}
    for value in sorted(carried - {0}):
        mask = np.full(size, value in labels)
        for plane in resized:
            mask |= plane == value
        masks[value - 1] = mask
    return masks


def counts(
    maps: Iterable[Maps],
    annotations: Iterable[Annotation],
    concept_categories: Sequence[int],
    n_categories: int,
    thresholds: npt.NDArray[np.floating],
    geometry: Geometry,
    image_size: Size,
    mask_size: Size | None,
) -> tuple[Counts, Counts, Counts]:
    """Sum the areas of eq. 1: |M_k ∩ L_c| (unit, concept), |M_k| (unit, category), |L_c|.

    "S_k(x) is then thresholded into a binary segmentation […], selecting all regions for which
    the activation exceeds the threshold T_k", hence strictly. "Because the data set contains some
    types of labels which are not present on some subsets of inputs, the sums are computed only on
    the subset of images that have at least one labeled concept of the same category as c": |M_k|
    is summed once per category, over the images that have it.

    ``mask_size`` None compares masks at their native size; an image without planes is then taken
    at half its size.
    """
    intersection = np.zeros((len(thresholds), len(concept_categories)), np.int64)
    unit_area = np.zeros((len(thresholds), n_categories), np.int64)
    concept_area = np.zeros(len(concept_categories), np.int64)
    for image_maps, (planes, labels) in zip(maps, annotations, strict=True):
        size = mask_size or _native_size(planes, image_size)
        upsampled = upsample_all(image_maps, geometry, image_size, size)
        activation_masks = upsampled > thresholds[:, np.newaxis, np.newaxis]
        masks = annotation_masks(planes, labels, size)
        for concept, mask in masks.items():
            intersection[:, concept] += np.count_nonzero(
                activation_masks[:, mask], axis=1
            )
            concept_area[concept] += np.count_nonzero(mask)
        areas = np.count_nonzero(activation_masks, axis=(1, 2))
        for category in {concept_categories[concept] for concept in masks}:
            unit_area[:, category] += areas
    return intersection, unit_area, concept_area


def _native_size(planes: Sequence[Plane], image_size: Size) -> Size:
    """Return the size of the planes, or else half the image's, as Broden's."""
    if planes:
        height, width = planes[0].shape
        return height, width
    return image_size[0] // 2, image_size[1] // 2


def iou(
    intersection: Counts,
    unit_area: Counts,
    concept_area: Counts,
    concept_categories: Sequence[int],
) -> Scores:
    """Compute IoU(k, c) = Σ|M_k ∩ L_c| / Σ|M_k ∪ L_c| (unit, concept), eq. 1; 0 for no union.

    |M ∪ L| = |M| + |L| - |M ∩ L|, all over the images that have c's category.
    """
    union = unit_area[:, list(concept_categories)] + concept_area - intersection
    score: Scores = np.where(union > 0, intersection / np.maximum(union, 1), 0.0)
    return score


def labels(iou: Scores) -> npt.NDArray[np.intp]:
    """Return each unit's label (unit,): the concept with the highest IoU, ties to the lower index.

    "One unit might be the detector for multiple concepts; […] we choose the top ranked label."
    """
    best: npt.NDArray[np.intp] = np.argmax(iou, axis=1)
    return best


def detectors(iou: Scores, min_iou: float) -> Bools:
    """Return whether units are detectors (unit,): "we report a detector if IoU_{k,c} > 0.04"."""
    return np.asarray(iou.max(axis=1) > min_iou)


def unique_detectors(iou: Scores, min_iou: float) -> int:
    """Count the distinct labels of the detectors.

    "We count the number [of] unique concepts aligned with units. We call this the number of
    unique detectors."
    """
    return len(set(labels(iou)[detectors(iou, min_iou)].tolist()))


def unique_detectors_per_category(
    iou: Scores, min_iou: float, concept_categories: Sequence[int]
) -> int:
    """Count the distinct best labels with IoU > 0.04 in each category, as the authors' plots do.

    A unit may count in several categories here, with its best concept of each.
    """
    categories = np.asarray(concept_categories)
    return sum(
        unique_detectors(iou[:, categories == category], min_iou)
        for category in set(concept_categories)
    )


def preprocess(
    path: Path,
    size: Size,
    mean: Sequence[float],
    std: Sequence[float],
    interpolation: str = "bilinear",
) -> npt.NDArray[np.float32]:
    """Return a network's input (3, row, column), float32: resized, scaled to 0..1, normalised."""
    with Image.open(path) as image:
        resized = image.convert("RGB").resize(
            (size[1], size[0]), Image.Resampling[interpolation.upper()]
        )
    pixels = np.asarray(resized).astype(np.float32)
    scaled = pixels * np.float32(1 / 255)
    normalised = (scaled - np.asarray(mean, np.float32)) / np.asarray(
        std, np.float32
    )
    return np.ascontiguousarray(normalised.transpose(2, 0, 1))


@dataclass(frozen=True)
class ProbeSet:
    """Probe data set as read from disk."""

    images: list[Path]
    names: list[str]  # of the images
    concepts: list[tuple[str, str]]  # (name, category)
    categories: list[str]
    annotation: Callable[[int], Annotation]  # of the image with this index

    @property
    def concept_categories(self) -> list[int]:
        """Category index of each concept."""
        return [self.categories.index(category) for _, category in self.concepts]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def read_broden(root: Path, index: str = "index.csv") -> ProbeSet:
    """Read Broden's on-disk format.

    Concepts by ascending label number, categories in the order of category.csv. A field of the
    index holds, separated by ';', files (one label number per pixel: red + 256·green) and numbers
    (labels of the whole image). Numbers that label.csv does not name are "no label", as 0 is.
    """
    categories = [row["name"] for row in _rows(root / "category.csv")]
    coverage = {
        category: _coverage(root / f"c_{category}.csv") for category in categories
    }
    numbered = sorted(
        (int(row["number"]), row["name"], row["category"])
        for row in _rows(root / "label.csv")
    )
    numbered = [row for row in numbered if row[0] > 0]
    value_of_number = np.zeros(256 * 256, np.int32)
    value_of_number[[number for number, _, _ in numbered]] = np.arange(
        1, len(numbered) + 1
    )
    rows = _rows(root / index)

    def annotation(image: int) -> Annotation:
        fields = [rows[image].get(category) or "" for category in categories]
        entries = [entry for field in fields for entry in field.split(";") if entry]
        planes = [
            value_of_number[_label_numbers(root / "images" / entry)]
            for entry in entries
            if not entry.isdigit()
        ]
        values = [
            int(value_of_number[int(entry)]) for entry in entries if entry.isdigit()
        ]
        return planes, [value for value in values if value > 0]

    return ProbeSet(
        images=[root / "images" / row["image"] for row in rows],
        names=[row["image"] for row in rows],
        concepts=[
            (name, _primary_category(number, field, coverage, categories))
            for number, name, field in numbered
        ],
        categories=categories,
        annotation=annotation,
    )


def _label_numbers(path: Path) -> npt.NDArray[np.int64]:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(np.int64)
    return pixels[:, :, 0] + 256 * pixels[:, :, 1]


def _coverage(path: Path) -> dict[int, float]:
    """Return the pixels of each label number in one category, in images' worth."""
    rows = _rows(path) if path.exists() else []
    return {
        int(row["number"]): float(row["coverage"])
        for row in rows
        if row.get("coverage")
    }


def _primary_category(
    number: int,
    field: str,
    coverage: Mapping[str, Mapping[int, float]],
    categories: Sequence[str],
) -> str:
    """Return the category with the largest coverage, for a field such as "object(1234);part(56)".

    Ties go to the later one in category.csv. If a category's file has no coverage for the label,
    the number of images in brackets is used instead.
    """
    images = dict(re.findall(r"([^;()]+)(?:\((\d+)\))?", field))
    primary = ""
    largest = -math.inf
    for category in categories:
        covered = coverage.get(category, {}).get(
            number, float(images.get(category) or 0) if category in images else -1.0
        )
        if covered >= max(largest, 0.0):
            primary, largest = category, covered
    return primary


def read_masks(root: Path) -> ProbeSet:
    """Read ROOT/images, ROOT/masks/CATEGORY, concepts.csv, image_labels.csv (optional).

    Concepts in the order of concepts.csv, then of image_labels.csv; categories in the order in
    which the concepts name them; images by the posix path below ROOT/images, which is their name
    too. A category's planes of an image are NAME.png and NAME.1.png, NAME.2.png … as far as they
    go, unless these are the masks of another image of that name.
    """
    label_file = root / "image_labels.csv"
    concept_rows = _rows(root / "concepts.csv")
    label_rows = _rows(label_file) if label_file.exists() else []
    all_rows = concept_rows + label_rows
    concepts = list(
        dict.fromkeys((row["name"], row["category"]) for row in all_rows)
    )
    categories = list(dict.fromkeys(category for _, category in concepts))
    names = _image_names(root / "images")
    stems = [Path(name).with_suffix("").as_posix() for name in names]

    def annotation(image: int) -> Annotation:
        planes = []
        for category in categories:
            values = {
                int(row["value"]): row["name"]
                for row in concept_rows
                if row["category"] == category
            }
            for path in _plane_files(
                root / "masks" / category, stems[image], stems
            ):
                indices = _indices(path)
                plane = np.zeros(indices.shape, np.int32)
                for value, name in values.items():
                    plane[indices == value] = concepts.index((name, category)) + 1
                planes.append(plane)
        rows = [row for row in label_rows if row["image"] == names[image]]
        return planes, [
            concepts.index((row["name"], row["category"])) + 1 for row in rows
        ]

    return ProbeSet(
        [root / "images" / name for name in names],
        names,
        concepts,
        categories,
        annotation,
    )


def _image_names(folder: Path) -> list[str]:
    suffixes = Image.registered_extensions()
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes
    )


def _plane_files(folder: Path, stem: str, stems: Sequence[str]) -> list[Path]:
    numbered = (f"{stem}.{number}" for number in itertools.count(1))
    names = [stem]
    for name in numbered:
        if name in stems or not (folder / f"{name}.png").exists():
            break
        names.append(name)
    paths = [folder / f"{name}.png" for name in names]
    return [path for path in paths if path.exists()]


def _indices(path: Path) -> npt.NDArray[np.int64]:
    """Return one index per pixel: the grey value (8 or 16 bits) or the index into the palette."""
    with Image.open(path) as image:
        return np.asarray(image).astype(np.int64)
