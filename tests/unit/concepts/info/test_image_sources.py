"""Sources of images in table 1: folders that are data sets, and not splits or classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from made_sets import MadeSet, concepts_of, shown
from made_sources_a import (
    write_ade20k_2016,
    write_dtd,
    write_scene_parsing,
    write_voc,
)
from made_sources_b import (
    write_cityscapes,
    write_coco_panoptic,
    write_folders,
)

from nd_plugin import (
    ConceptSet,
    concat_concepts,
    open_concepts,
    overlay_concepts,
    select_concepts,
    with_colours,
)
from nd_plugin.concepts.info.set_statistics import measure_set


def sources(concepts: ConceptSet) -> dict[str, dict[str, int]]:
    """Return the sources of each category that has a label, with their images."""
    statistics = measure_set(concepts, lambda *_: None, workers=0)
    return {
        category.name: dict(category.sources)
        for category in statistics.categories
        if category.images
    }


def made(source: str, vocabulary: dict[str, str], *names: str) -> MadeSet:
    """Return a set whose images all show all concepts."""
    concepts = concepts_of(**vocabulary)
    empty = MadeSet(source, concepts, {})
    annotation = shown(empty, *(concept.name for concept in concepts))
    return MadeSet(source, concepts, dict.fromkeys(names, annotation))


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_ade20k_2016, "ade20k"),
        (write_cityscapes, "cityscapes"),
        (write_coco_panoptic, "coco"),
        (write_dtd, "dtd"),
        (write_folders, "folders"),
        (write_scene_parsing, "ade20k"),
        (write_voc, "voc"),
    ],
)
def test_splits_and_classes_are_no_sources(
    tmp_path: Path, write: Callable[[Path], str], name: str
) -> None:
    by_category = sources(open_concepts(write(tmp_path)))
    assert by_category
    assert {tuple(names) for names in by_category.values()} == {(name,)}


def test_a_part_has_the_sources_of_its_set(tmp_path: Path) -> None:
    texts = (f"{write_voc(tmp_path)}[split=train]", write_dtd(tmp_path))
    selected, textures = map(open_concepts, texts)
    assert sources(selected) == {"object": {"voc": 2}}
    banded = select_concepts(textures, names="banded")
    assert sources(banded) == {"texture": {"dtd": 3}}
    assert sources(with_colours(selected)) == {
        "object": {"voc": 2},
        "color": {"voc": 2},
    }


def test_a_concatenation_has_the_sources_of_its_sets() -> None:
    first = made("first", {"object": "road"}, "ade20k/a.png", "b.png")
    second = made("second", {"object": "road", "part": "wheel"}, "ade20k/c.png")
    joined = concat_concepts(first, second)
    assert sources(joined) == {
        "object": {"ade20k": 2, "made": 1},
        "part": {"ade20k": 1},
    }


def test_repeated_names_have_the_sources_of_their_sets() -> None:
    first = made("first", {"object": "road"}, "dtd/a.png")
    second = made("second", {"object": "road"}, "dtd/a.png")
    joined = concat_concepts(first, second)
    assert {joined.name(index) for index in range(2)} == {
        "1/dtd/a.png",
        "2/dtd/a.png",
    }
    assert sources(joined) == {"object": {"dtd": 2}}


def test_a_category_of_an_overlay_has_the_source_that_has_it(
    tmp_path: Path,
) -> None:
    voc = select_concepts(write_voc(tmp_path), split="train")
    names = [voc.name(index) for index in range(len(voc))]
    materials = made("materials", {"material": "wood"}, *names)
    sizes = {name: voc.image(i).size[::-1] for i, name in enumerate(names)}
    assert sources(overlay_concepts(voc, replace(materials, sizes=sizes))) == {
        "object": {"voc": 2},
        "material": {"made": 2},
    }


@pytest.mark.parametrize(
    ("folder", "split", "is_source"),
    [
        ("val", "val", False),
        ("val2017", "val", False),
        ("validation", "val", False),
        ("training", "train", False),
        ("images", "", False),
        ("road", "", False),
        ("val", "train", True),
        ("training", "", True),
        ("trains", "train", True),
        ("camvid", "train", True),
        ("2017", "", True),
    ],
)
def test_folders_that_are_sources(folder: str, split: str, is_source: bool) -> None:
    name = f"{folder}/a.png"
    concepts = made("street", {"object": "road"}, name)
    with_split = MadeSet(
        "street", concepts.concepts, concepts.annotations, {name: split}
    )
    expected = folder if is_source else "made"
    assert sources(with_split) == {"object": {expected: 1}}
