"""Tables of Broden's layout: the real ones, written again, are the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from broden_tables import read_rows
from PIL import Image

from nd_plugin.concepts.broden_layout.samples import IndexRow, LabelledImage
from nd_plugin.concepts.broden_layout.tables import (
    Label,
    coverage_text,
    write_tables,
)
from nd_plugin.concepts.broden_layout.tally import LabelCounts

CATEGORIES = ("color", "object", "part", "material", "scene", "texture")
SAME_BYTES = [
    "category.csv",
    "label.csv",
    "c_color.csv",
    "c_object.csv",
    "c_part.csv",
    "c_material.csv",
]
Line = Mapping[str, str]


@dataclass
class PublishedCounts(LabelCounts):
    """Counts with the coverages of published tables."""

    published: dict[tuple[int, str], float] = field(default_factory=dict)

    def coverages(self) -> dict[tuple[int, str], float]:
        return self.published


def written_again(
    tables: Path, folder: Path, rows: Sequence[IndexRow] = ()
) -> Path:
    """Write the labels and counts of published tables."""
    counts = PublishedCounts()
    categories = [line["name"] for line in read_rows(tables / "category.csv")]
    for category in categories:
        for line in read_rows(tables / f"c_{category}.csv"):
            key = int(line["number"]), category
            counts.images[key] = int(line["frequency"])
            counts.published[key] = float(line["coverage"])
    labels = []
    for line in read_rows(tables / "label.csv"):
        synonyms = tuple(filter(None, line["syns"].split(";")))
        labels.append(Label(int(line["number"]), line["name"], synonyms))
    folder.mkdir()
    write_tables(folder, labels, categories, rows, counts)
    return folder


@pytest.fixture(scope="module")
def broden(real_data: Path) -> Path:
    folder = real_data / "broden_tables"
    if not folder.is_dir():
        pytest.skip(f"no tables of Broden at {folder}")
    return folder


@pytest.fixture(scope="module")
def again(broden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_again(broden, tmp_path_factory.mktemp("tables") / "set")


@pytest.mark.parametrize("name", SAME_BYTES)
def test_broden_s_tables_are_the_same_bytes(
    broden: Path, again: Path, name: str
) -> None:
    assert (again / name).read_bytes() == (broden / name).read_bytes()


@pytest.mark.parametrize("category", ["scene", "texture"])
def test_tables_with_ties_differ_in_the_order_of_equals(
    broden: Path, again: Path, category: str
) -> None:
    """Broden has labels of the same frequency and coverage in no order."""
    name = f"c_{category}.csv"

    def sorted_lines(folder: Path) -> list[Line]:
        lines = read_rows(folder / name)
        for line in lines:
            del line["code"]
        return sorted(
            lines, key=lambda line: (-float(line["coverage"]), line["number"])
        )

    assert sorted_lines(again) == sorted_lines(broden)
    assert len((again / name).read_bytes()) == len((broden / name).read_bytes())


def test_rows_of_the_real_index_are_the_same_bytes(
    broden: Path, tmp_path: Path
) -> None:
    path = broden / "index_ade20k.csv"
    rows = []
    for line in read_rows(path):
        entries = {
            category: tuple(filter(None, line[category].split(";")))
            for category in CATEGORIES
        }
        image_size = int(line["ih"]), int(line["iw"])
        mask_size = int(line["sh"]), int(line["sw"])
        row = IndexRow(line["image"], line["split"], image_size, mask_size, entries)
        rows.append(row)
    assert len(rows) == 22_210
    write_tables(tmp_path, [], CATEGORIES, rows, LabelCounts())
    assert (tmp_path / "index.csv").read_bytes() == path.read_bytes()


def test_tables_of_the_set_of_camvid_differ_in_known_ways(
    real_data: Path, tmp_path: Path
) -> None:
    """Another script wrote them: coverage to twelve decimals, index.csv with CRLF."""
    source = real_data / "broden_camvid"
    again = written_again(source, tmp_path / "set")
    for name in ("category.csv", "label.csv"):
        assert (again / name).read_bytes() == (source / name).read_bytes()
    for category in ("color", "object", "scene"):
        name = f"c_{category}.csv"
        written, published = read_rows(again / name), read_rows(source / name)
        for line, original in zip(written, published, strict=True):
            coverage = float(original["coverage"])
            assert line == {**original, "coverage": coverage_text(coverage)}


@pytest.mark.parametrize(
    ("coverage", "text"),
    [
        (2241.0, "2241.0"),
        (3945.143380841234, "3945.14338084"),
        (0.000159738738419, "0.000159738738419"),
        (0.0, "0.0"),
        (0.5, "0.5"),
        (1.5e-05, "1.5e-05"),
        (123456789012.6, "123456789013.0"),
    ],
)
def test_coverages_are_written_as_python_2_writes_them(
    coverage: float, text: str
) -> None:
    assert coverage_text(coverage) == text


class TestCounts:
    def sample(self, number: int = 0) -> LabelledImage:
        part_1 = np.array([[1, 1], [2, 0]])
        part_2 = np.array([[1, 3], [3, number]])
        planes = {"part": [part_1, part_2], "object": [np.zeros((2, 2), np.int16)]}
        return LabelledImage(
            Image.new("RGB", (4, 4)), "a", "train", planes, {"scene": [9, 0, 9]}
        )

    def test_a_pixel_counts_once_for_a_label(self) -> None:
        counts = LabelCounts()
        counts.add(self.sample())
        # label 1 has two pixels, one of them in both planes
        assert counts.coverages() == {
            (1, "part"): 0.5,
            (2, "part"): 0.25,
            (3, "part"): 0.5,
            (9, "scene"): 1.0,
        }
        assert [counts.frequency(label, "part") for label in (1, 2, 3)] == [1, 1, 1]
        assert counts.frequency(9, "scene") == 1
        assert counts.frequency(0, "object") == 0

    def test_parts_add_up_to_the_whole_in_any_order(self) -> None:
        whole, first, second = LabelCounts(), LabelCounts(), LabelCounts()
        for number in range(6):
            whole.add(self.sample(number))
            (first if number % 2 else second).add(self.sample(number))
        forwards, backwards = LabelCounts(), LabelCounts()
        forwards.merge(first)
        forwards.merge(second)
        backwards.merge(second)
        backwards.merge(first)
        assert forwards == backwards == whole
        assert forwards.coverages() == whole.coverages()

    def test_a_label_of_the_whole_image_covers_it_however_else_it_stands_there(
        self,
    ) -> None:
        counts = LabelCounts()
        plane = np.array([[5, 0]])
        image = Image.new("RGB", (2, 1))
        sample = LabelledImage(image, "a", "", {"x": [plane]}, {"x": [5]})
        counts.add(sample)
        assert counts.coverages() == {(5, "x"): 1.0}
        assert counts.frequency(5, "x") == 1


def test_a_label_in_two_categories_has_both_counts(tmp_path: Path) -> None:
    counts = LabelCounts()
    image = Image.new("RGB", (2, 2))
    both = {"object": [np.array([[1, 0]])], "part": [np.array([[1, 1]])]}
    counts.add(LabelledImage(image, "a", "", both, {}))
    counts.add(LabelledImage(image, "b", "", {"part": [np.array([[1, 2]])]}, {}))
    labels = [
        Label(1, "door, front", ("gate", "entry")),
        Label(2, 'a "knob"'),
        Label(3, "never", category="part"),
    ]
    write_tables(tmp_path, labels, ["object", "part"], [], counts)
    assert (tmp_path / "label.csv").read_bytes().split(b"\r\n") == [
        b"number,name,category,frequency,coverage,syns",
        b'1,"door, front",part(2);object(1),3,2.000000,gate;entry',
        b'2,"a ""knob""",part(1),1,0.500000,',
        b"3,never,part(0),0,0.000000,",
        b"",
    ]
    assert (tmp_path / "category.csv").read_bytes().split(b"\r\n") == [
        b"name,first,last,count,frequency",
        b"object,1,1,1,1",
        b"part,1,3,3,3",
        b"",
    ]
    assert (tmp_path / "c_part.csv").read_text().splitlines() == [
        "code,number,name,frequency,coverage",
        '1,1,"door, front",2,1.5',
        '2,2,"a ""knob""",1,0.5',
        "3,3,never,0,0.0",
    ]
    assert (
        "image,split,ih,iw,sh,sw,object,part\n"
        in (tmp_path / "README.txt").read_text()
    )
