"""Dissections on combinations of real annotations: integer by integer those of the whole set."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import networks
import numpy as np
import pytest
import torch
from made_sets import MadeSet, concepts_of
from PIL import Image

from nd_plugin import (
    Annotation,
    ConceptSet,
    Dissection,
    LayerDissection,
    Preprocess,
    concat_concepts,
    open_concepts,
    overlay_concepts,
    select_concepts,
)

LAYERS = ["layer1", "layer3"]
ROWS_OF_EACH_SPLIT = 20
QUANTILE = 0.02
Row = dict[str, str]


def dissect(concepts: str | ConceptSet) -> list[Dissection]:
    torch.manual_seed(0)
    network = networks.ResNet18().eval()
    dissections = LayerDissection(network, LAYERS).dissect(
        concepts,
        quantile=QUANTILE,
        preprocess=Preprocess(size=(96, 96)),
        workers=0,
    )
    assert isinstance(dissections, list)
    return dissections


def index_of(root: Path) -> list[Row]:
    with (root / "index.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_index(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def camvid(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CamVid in Broden's layout, some images of each split: the files are those of the real set."""
    original = real_data / "broden_camvid"
    root = tmp_path_factory.mktemp("sets") / "camvid"
    root.mkdir()
    (root / "images").symlink_to(original / "images")
    for table in original.glob("*.csv"):
        (root / table.name).write_bytes(table.read_bytes())
    rows = index_of(original)
    some: list[Row] = []
    for split in ("train", "val"):
        some += [row for row in rows if row["split"] == split][-ROWS_OF_EACH_SPLIT:]
    # rows without some of the categories, as in Broden
    for number, row in enumerate(some):
        if number % 4 == 0:
            row["object"] = ""
        if number % 5 == 0:
            row["color"] = row["scene"] = ""
    write_index(root / "index.csv", some)
    return root


@pytest.fixture(scope="module")
def whole(camvid: Path) -> list[Dissection]:
    return dissect(f"broden:{camvid}")


def assert_equal(part: Dissection, whole: Dissection) -> None:
    """Compare the part's categories with those of the whole, concepts by name."""
    assert np.array_equal(part.thresholds, whole.thresholds)
    assert part.locations == whole.locations
    for name in ("unit_area", "category_images", "category_pixels"):
        part_values, whole_values = getattr(part, name), getattr(whole, name)
        columns = [whole.categories.index(category) for category in part.categories]
        assert np.array_equal(part_values, whole_values[..., columns]), name
    keys = [(concept.name, concept.category) for concept in whole.concepts]
    columns = [keys.index((c.name, c.category)) for c in part.concepts]
    assert np.array_equal(part.intersection, whole.intersection[:, columns])
    assert np.array_equal(part.concept_area, whole.concept_area[columns])
    assert np.array_equal(part.iou, whole.iou[:, columns])
    assert part.intersection.any()


def test_a_part_counts_as_in_the_whole(
    camvid: Path, whole: list[Dissection]
) -> None:
    text = f"broden:{camvid}"
    for concepts in (
        f"{text}[object]",
        f"{text}[color,scene]",
        select_concepts(text, names=["car", "road", "red-c"]),
    ):
        for part, layer in zip(dissect(concepts), whole, strict=True):
            assert_equal(part, layer)
            assert len(part.concepts) < len(layer.concepts)


def test_splits_put_together_are_the_whole(
    camvid: Path, whole: list[Dissection]
) -> None:
    text = f"broden:{camvid}"
    joined = concat_concepts(f"{text}[split=train]", f"{text}[split=val]")
    assert len(joined) == 2 * ROWS_OF_EACH_SPLIT
    for part, layer in zip(dissect(joined), whole, strict=True):
        assert_equal(part, layer)
        assert part.concepts == layer.concepts
        assert part.image_names == layer.image_names
        assert np.array_equal(part.top_images, layer.top_images)


def without(rows: Sequence[Row], *categories: str) -> list[Row]:
    return [{**row, **dict.fromkeys(categories, "")} for row in rows]


def test_categories_laid_over_each_other_are_the_whole(
    camvid: Path, whole: list[Dissection]
) -> None:
    rows = index_of(camvid)
    # in another order of images, too
    write_index(camvid / "objects.csv", without(rows, "color", "scene"))
    write_index(camvid / "others.csv", without(rows, "object")[::-1])
    text = f"broden:{camvid}?index="
    overlay = f"{text}objects.csv+{text}others.csv"
    for part, layer in zip(dissect(overlay), whole, strict=True):
        assert_equal(part, layer)
        assert part.concepts == layer.concepts
        assert np.array_equal(part.top_images, layer.top_images)


def test_categories_selected_and_laid_over_each_other_are_the_whole(
    camvid: Path, whole: list[Dissection]
) -> None:
    text = f"broden:{camvid}"
    overlay = overlay_concepts(f"{text}[scene]", f"{text}[object,color]")
    for part, layer in zip(dissect(overlay), whole, strict=True):
        assert_equal(part, layer)
        assert len(part.concepts) == len(layer.concepts)


@dataclass(frozen=True)
class Upper(MadeSet):
    """Set whose masks, of the images' size and not native, are the upper half of each image."""

    originals: Any = None  # set that has the images

    def image(self, index: int) -> Image.Image:
        return cast("Image.Image", self.originals.image(index))

    def annotation(self, index: int) -> Annotation:
        plane = np.zeros((224, 224), np.uint8)
        plane[:112] = 1
        return Annotation([plane])


@pytest.mark.parametrize("native_first", [True, False])
def test_native_masks_count_as_without_masks_that_are_not(
    camvid: Path, whole: list[Dissection], native_first: bool
) -> None:
    native = open_concepts(f"broden:{camvid}")
    names = [native.name(index) for index in range(len(native))]
    upper = Upper(
        "upper",
        concepts_of(place="upper"),
        dict.fromkeys(names, Annotation(())),
        originals=native,
    )
    sets = (native, upper) if native_first else (upper, native)
    overlay = overlay_concepts(*sets)
    assert overlay.native_masks and not upper.native_masks
    for part, layer in zip(whole, dissect(overlay), strict=True):
        assert_equal(part, layer)
        (column,) = [
            column
            for column, concept in enumerate(layer.concepts)
            if concept.name == "upper"
        ]
        # of masks of 112 x 112 pixels
        assert layer.concept_area[column] == 56 * 112 * len(native)
