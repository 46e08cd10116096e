"""Statistics of concept sets: table 1, coverage, sources, and what cannot be read."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nd_plugin import Annotation, Concept, Identity, open_concepts
from nd_plugin.concepts.info import texts
from nd_plugin.concepts.info.set_statistics import (
    CategoryStatistics,
    SetStatistics,
    even_choice,
    measure_set,
)
from nd_plugin.errors import ConceptSetInvalid


def plane(*values: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Return a plane of 2x2 pixels."""
    return np.array(values, np.uint8).reshape(2, 2)


DAMAGED = ValueError("the mask is damaged")


@dataclass
class Street:
    """Concept set of annotations in memory; an exception stands for one that cannot be read."""

    annotations: list[Annotation | Exception]
    names: list[str] = field(default_factory=list)
    identity = Identity("street", "street:memory", "1", "f")
    categories = ("object", "scene", "part")
    concepts = (
        Concept("road", "object"),
        Concept("car", "object"),
        Concept("day", "scene"),
        Concept("wheel", "part"),
        Concept("door", "part"),
    )
    native_masks = True

    def __len__(self) -> int:
        return len(self.annotations)

    def name(self, index: int) -> str:
        return self.names[index] if self.names else f"{index}.png"

    def image(self, index: int) -> Image.Image:
        return Image.new("RGB", (4, 4))

    def annotation(self, index: int) -> Annotation:
        annotation = self.annotations[index]
        if isinstance(annotation, Exception):
            raise annotation
        return annotation


ANNOTATIONS: list[Annotation | Exception] = [
    # two planes of one category: a pixel with two labels is one labelled pixel
    Annotation([plane(1, 1, 0, 0), plane(2, 0, 0, 0)]),
    # the same concept in two planes counts once
    Annotation([plane(2, 2, 0, 0), plane(2, 0, 2, 0)], (3,)),
    DAMAGED,
    Annotation([], (3,), remarks=("a guess",)),
    Annotation([plane(0, 0, 0, 4)]),
]


def no_progress(stage: str, done: int, total: int) -> None:
    """Show nothing."""


def measured(street: Street, **options: int) -> SetStatistics:
    return measure_set(street, no_progress, **options)


def by_name(statistics: SetStatistics) -> dict[str, CategoryStatistics]:
    return {category.name: category for category in statistics.categories}


def test_samples_and_coverage_of_concepts() -> None:
    statistics = measured(Street(ANNOTATIONS), workers=0)
    amounts = {
        item.concept.name: (item.samples, item.coverage)
        for category in statistics.categories
        for item in category.concepts
    }
    assert amounts == {
        "road": (1, 0.5),
        "car": (2, 0.25 + 0.75),
        "day": (2, 2.0),
        "wheel": (1, 0.25),
        "door": (0, 0.0),
    }


def test_rows_of_table_1() -> None:
    statistics = measured(Street(ANNOTATIONS), workers=0)
    categories = by_name(statistics)
    assert (statistics.images, statistics.images_read) == (5, 4)
    assert categories["object"].images == 2
    assert categories["object"].coverage == 0.5 + 0.75
    assert categories["object"].average_samples == 1.5
    assert categories["scene"].images == 2
    assert categories["scene"].coverage == 2
    assert categories["part"].average_samples == 0.5
    assert categories["part"].without_samples == ["door"]
    assert texts.category_row(categories["object"], 4) == [
        "object",
        "2",
        "street",
        "1.5",
        "50 %",
        "31 %",
    ]


def test_what_cannot_be_read_is_named() -> None:
    statistics = measured(Street(ANNOTATIONS), workers=0)
    assert [skipped.image for skipped in statistics.skipped] == ["2.png"]
    assert texts.statistics_notes(statistics) == [
        "1 annotation cannot be read, for example that of 2.png: the mask is damaged",
        "1 of 2 concepts of category part are in no image: door",
        "a guess (1 image: 3.png)",
    ]


def test_the_number_of_workers_changes_nothing() -> None:
    random = np.random.default_rng(0)
    annotations: list[Annotation | Exception] = [
        Annotation([random.integers(0, 6, (7, 5), np.uint8)]) for _ in range(50)
    ]
    annotations[17] = DAMAGED
    alone = measured(Street(annotations), workers=0)
    assert measured(Street(annotations), workers=2) == alone
    assert alone.images_read == 49


def test_progress_counts_every_image() -> None:
    calls: list[tuple[str, int, int]] = []
    measure_set(
        Street(ANNOTATIONS), lambda *call: calls.append(call), workers=0, limit=3
    )
    assert calls == [("annotations", done, 3) for done in (0, 1, 2, 3)]


def test_a_limit_takes_the_first_images() -> None:
    statistics = measured(Street(ANNOTATIONS), workers=0, limit=1)
    assert statistics.images_read == 1
    assert by_name(statistics)["scene"].images == 0
    assert texts.statistics_notes(statistics)[0] == (
        "only the first 1 of 5 images were read"
    )
    beyond = measured(Street(ANNOTATIONS), workers=0, limit=100)
    assert beyond == measured(Street(ANNOTATIONS), workers=0)


def test_sources_are_the_first_folders_of_names() -> None:
    names = ["ade20k/b/1.jpg", "ade20k/2.jpg", "dtd/3.jpg", "pascal/4.jpg", "5.jpg"]
    annotations: list[Annotation | Exception] = [Annotation([], (3,))] * 5
    categories = by_name(measured(Street(annotations, names), workers=0))
    assert dict(categories["scene"].sources) == {
        "ade20k": 2,
        "dtd": 1,
        "pascal": 1,
        "street": 1,
    }
    assert categories["scene"].sources[0] == ("ade20k", 2)
    assert categories["object"].sources == ()


def test_views_are_images_that_a_concept_covers_a_quarter_of() -> None:
    shares = [1, 16, 4, 9, 3, 6]  # of 16 pixels
    annotations: list[Annotation | Exception] = []
    for share in shares:
        values = np.zeros(16, np.uint8)
        values[:share] = 1
        annotations.append(Annotation([values.reshape(4, 4)]))
    road = by_name(measured(Street(annotations), workers=0))["object"].concepts[0]
    assert road.views == (2, 4, 5, 0)


def test_rarest_concepts_are_not_among_the_most_frequent() -> None:
    random = np.random.default_rng(1)
    annotations: list[Annotation | Exception] = [
        Annotation([], tuple(random.choice([1, 2, 3], 2))) for _ in range(9)
    ]
    category = by_name(measured(Street(annotations), workers=0))["object"]
    name, most_frequent, rarest = texts.frequency_row(category)
    assert name == "object"
    assert rarest == ""
    names = [item.concept.name for item in category.by_frequency]
    assert most_frequent.split()[0] == names[0]


def test_choices_are_spread_evenly_from_the_first_to_the_last() -> None:
    items = list(
        by_name(measured(Street(ANNOTATIONS), workers=0))["object"].concepts
    )
    many = items * 8
    chosen = even_choice(many, 4)
    assert len(chosen) == 4
    assert chosen[0] is many[0]
    assert chosen[-1] is many[-1]
    assert even_choice(items, 4) == items


def test_a_set_that_breaks_its_contract_stops() -> None:
    wrong: list[Annotation | Exception] = [ConceptSetInvalid("a broken table")]
    with pytest.raises(
        ConceptSetInvalid, match=r"annotation of 0\.png: a broken table"
    ):
        measured(Street(wrong), workers=0)


def test_json_is_whole() -> None:
    content = texts.statistics_content(measured(Street(ANNOTATIONS), workers=0))
    assert content["images"] == 5
    assert content["images_read"] == 4
    first = content["categories"][0]
    assert first == {
        "category": "object",
        "classes": 2,
        "sources": {"street": 2},
        "average_samples": 1.5,
        "images": 2,
        "image_share": 0.5,
        "coverage": 1.25,
        "pixel_share": 1.25 / 4,
        "concepts": [
            {"name": "road", "samples": 1, "coverage": 0.5},
            {"name": "car", "samples": 2, "coverage": 1.0},
        ],
    }
    assert content["skipped"] == [
        {"image": "2.png", "part": "annotation", "reason": "the mask is damaged"}
    ]


def table_of(path: Path) -> dict[str, tuple[int, float]]:
    """Return frequency and coverage by name from one of Broden's tables."""
    with path.open(newline="") as file:
        return {
            row["name"]: (int(row["frequency"]), float(row["coverage"]))
            for row in csv.DictReader(file)
        }


BRODENS_NAMES = {"sign": "signsymbol", "day": "day-s", "dusk": "dusk-s"}


def test_camvid_has_the_frequencies_and_coverages_of_its_broden_tables(
    real_data: Path,
) -> None:
    """The tables count masks at their full size, which are those of the masks format."""
    concepts = open_concepts(f"masks:{real_data / 'camvid'}")
    statistics = measure_set(concepts, no_progress)
    for category in statistics.categories:
        table = table_of(real_data / "broden_camvid" / f"c_{category.name}.csv")
        assert len(table) == len(category.concepts)
        for item in category.concepts:
            name = BRODENS_NAMES.get(item.concept.name, item.concept.name)
            frequency, coverage = table[name]
            assert item.samples == frequency, name
            # the tables have twelve digits behind the point, and 468 images are added up
            assert item.coverage == pytest.approx(coverage, abs=1e-9), name


def test_camvid_in_brodens_layout_is_near_its_tables(real_data: Path) -> None:
    """Its masks are 112x112: what is a pixel or two at full size may be lost in them."""
    concepts = open_concepts(f"broden:{real_data / 'broden_camvid'}")
    statistics = measure_set(concepts, no_progress)
    assert statistics.images_read == 468
    for category in statistics.categories:
        table = table_of(real_data / "broden_camvid" / f"c_{category.name}.csv")
        for item in category.concepts:
            frequency, coverage = table[item.concept.name]
            assert item.samples <= frequency
            # measured: 0.29 images' worth at most, of grey
            assert item.coverage == pytest.approx(coverage, abs=0.3)
        assert category.sources == (("camvid", 468),)
    counts = by_name(statistics)
    assert counts["scene"].coverage == 468
    assert [item.samples for item in counts["scene"].concepts] == [406, 62]
