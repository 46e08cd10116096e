"""Unions of small concept sets, built and read back."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broden_tables import read_rows
from killing import contents
from made_sets import names_in
from PIL import Image
from union_sets import MadeSet, made_set, objects

from nd_broden.reader import Broden
from nd_plugin.concepts.colours.colour_table import ColourTable
from nd_plugin.concepts.union.construction import build_union
from nd_plugin.concepts.union.passes import workspace as workspace_module
from nd_plugin.concepts.union.report import UnionReport
from nd_plugin.concepts.union.settings import BuildRun, BuildSettings
from nd_plugin.contracts.concept_sets import Annotation, Concept, ConceptSet
from nd_plugin.errors import (
    BadInput,
    ConceptSetInvalid,
    ProcessLost,
    RunInvalid,
    Unreadable,
)
from nd_plugin.machine.forked_workers import can_fork

SMALL = BuildSettings(size=(16, 16), mask_size=(8, 8), min_samples=1)


def say_nothing(stage: str, done: int, total: int) -> None:
    """Show no progress."""


def unite(
    output: Path,
    *sets: ConceptSet,
    settings: BuildSettings = SMALL,
    colors: ColourTable | None = None,
    **run: Any,
) -> UnionReport:
    named = [("", item) for item in sets]
    return build_union(
        output, named, settings, BuildRun(**run), colors, say_nothing
    )


def carried(broden: Broden, index: int) -> set[str]:
    """Return the names of the labels that an image carries."""
    return names_in(broden.concepts, broden.annotation(index))


STREET = made_set(
    "made:street",
    [
        Concept("Car", "object", ("auto", "machine")),
        Concept("left wheel", "part"),
        Concept("right wheel", "part"),
        Concept("day", "scene"),
    ],
    3,
)
ROOM = made_set("made:room", objects("auto", "machine", "sofa;couch"), 4)


def test_a_union_is_a_set_of_brodens_layout(tmp_path: Path) -> None:
    output = tmp_path / "union"
    report = unite(output, STREET, ROOM)
    broden = Broden(str(output))
    names = {concept.name: concept.category for concept in broden.concepts}
    assert names == {
        "auto": "object",
        "machine": "object",
        "sofa": "object",
        "wheel": "part",
        "day-s": "scene",
    }
    for index in range(len(broden)):
        is_street = broden.name(index).startswith("street/")
        assert carried(broden, index) == (
            {"auto", "wheel", "day-s"} if is_street else {"auto", "machine", "sofa"}
        )
    assert report.images == len(broden) == 7


def test_label_csv_has_numbers_counts_and_synonyms_as_broden(
    tmp_path: Path,
) -> None:
    output = tmp_path / "union"
    unite(output, STREET, ROOM)
    rows = [tuple(row.values()) for row in read_rows(output / "label.csv")]
    assert rows == [
        ("1", "auto", "object(7)", "7", "0.875000", "car"),
        ("2", "machine", "object(4)", "4", "0.500000", ""),
        ("3", "sofa", "object(4)", "4", "0.500000", "couch"),
        ("4", "wheel", "part(3)", "3", "0.750000", ""),
        ("5", "day-s", "scene(3)", "3", "0.375000", ""),
    ]
    assert (output / "label.csv").read_bytes().endswith(b",\r\n")


def test_rows_are_in_the_order_of_their_hashes_with_their_splits(
    tmp_path: Path,
) -> None:
    output = tmp_path / "union"
    unite(output, STREET, ROOM)
    rows = read_rows(output / "index.csv")
    splits = SMALL.splits
    positions = [splits.position(row["image"]) for row in rows]
    assert positions == sorted(positions)
    assert [row["split"] for row in rows] == [
        splits.split(row["image"]) for row in rows
    ]
    assert {row["image"] for row in rows} == {
        *(f"street/{number}.jpg" for number in range(3)),
        *(f"room/{number}.jpg" for number in range(4)),
    }
    sizes = {(row["ih"], row["iw"], row["sh"], row["sw"]) for row in rows}
    assert sizes == {("16", "16", "8", "8")}


class Halves:
    """One image: the left third of columns is label 1, the rest label 2; wide and low."""

    native_masks = False
    categories = ("object",)
    concepts = tuple(objects("a", "b"))

    def __init__(self) -> None:
        self.identity = STREET.identity

    def __len__(self) -> int:
        return 1

    def name(self, index: int) -> str:
        return "0.png"

    def image(self, index: int) -> Image.Image:
        pixels = np.zeros((6, 12, 3), np.uint8)
        pixels[:, :4] = (255, 0, 0)
        return Image.fromarray(pixels)

    def annotation(self, index: int) -> Annotation:
        plane = np.full((3, 6), 2, np.int32)
        plane[:, :2] = 1
        return Annotation([plane])


def test_images_and_masks_are_resized_alike_and_not_cropped(tmp_path: Path) -> None:
    output = tmp_path / "union"
    settings = replace(SMALL, size=(20, 36), mask_size=(5, 9))
    unite(output, Halves(), settings=settings, colors=ColourTable.load())
    (row,) = read_rows(output / "index.csv")
    assert (row["ih"], row["iw"], row["sh"], row["sw"]) == ("20", "36", "5", "9")
    picture = np.asarray(Image.open(output / "images" / row["image"]))
    assert picture.shape == (20, 36, 3)
    names = {
        int(line["number"]): line["name"]
        for line in read_rows(output / "label.csv")
    }
    mask = np.asarray(Image.open(output / "images" / row["object"]))
    labels = [names[number] for number in mask[0, :, 0].tolist()]
    # nearest: column j of 9 is column floor((j + 0.5) * 6 / 9) of 6
    assert labels == ["a", "a", "a", *["b"] * 6]
    colours = np.asarray(Image.open(output / "images" / row["color"]))
    colour_names = [names[number] for number in colours[2, :, 0].tolist()]
    assert colour_names == ["red-c"] * 3 + ["black-c"] * 6


@pytest.mark.parametrize(
    "dtype", [np.bool_, np.int8, np.uint16, np.uint64, np.int64]
)
def test_planes_may_be_of_any_type_of_integers(tmp_path: Path, dtype: type) -> None:
    class Typed(MadeSet):
        def annotation(self, index: int) -> Annotation:
            (plane,) = super().annotation(index).planes
            return Annotation([plane.astype(dtype)])

    made = Typed("made:street", tuple(objects("car")), ((1,), (1,)))
    unite(tmp_path / "union", made)
    (row,) = read_rows(tmp_path / "union" / "label.csv")
    assert (row["frequency"], row["coverage"]) == ("2", "0.250000")
    mask = np.asarray(Image.open(tmp_path / "union/images/street/0_object.png"))
    assert mask[:, :, 0].tolist() == [[1] * 8] + [[0] * 8] * 7


def test_colour_names_are_computed_for_every_pixel_of_every_source(
    tmp_path: Path,
) -> None:
    output = tmp_path / "union"
    colors = ColourTable.load()
    own = made_set(
        "made:own", [Concept("red", "color"), Concept("car", "object")], 2
    )
    unite(output, STREET, own, colors=colors)
    rows = read_rows(output / "c_color.csv")
    # every image is of one colour
    assert sum(int(row["frequency"]) for row in rows) == 5
    assert sum(float(row["coverage"]) for row in rows) == 5.0
    expected = set()
    for made in (STREET, own):
        for index in range(len(made)):
            pixels = np.asarray(made.image(index))
            expected.add(f"{colors.names[int(colors.indices(pixels)[0, 0])]}-c")
    assert {row["name"] for row in rows} == expected


def test_colours_of_the_sources_stay_without_computed_ones(tmp_path: Path) -> None:
    output = tmp_path / "union"
    own = made_set(
        "made:own", [Concept("red", "color"), Concept("car", "object")], 2
    )
    unite(output, own)
    assert [row["name"] for row in read_rows(output / "c_color.csv")] == ["red-c"]


def test_rare_labels_and_images_that_carry_nothing_else_are_left_out(
    tmp_path: Path,
) -> None:
    output = tmp_path / "union"
    made = MadeSet(
        "made:street",
        tuple(objects("car", "comet")),
        ((1,), (1, 2), (2,), (), (1,)),
    )
    report = unite(output, made, settings=replace(SMALL, min_samples=3))
    assert [row["image"] for row in read_rows(output / "index.csv")] == sorted(
        ["street/0.jpg", "street/1.jpg", "street/4.jpg"], key=SMALL.splits.position
    )
    assert [label.name for label in report.left_out] == ["comet"]
    assert report.left_out[0].reason == "2 samples, fewer than 3"
    assert report.unlabelled == {"street": 2}
    assert report.sources[0].written == 3


def test_labels_of_one_plane_go_to_the_planes_of_their_categories(
    tmp_path: Path,
) -> None:
    output = tmp_path / "union"
    unite(output, STREET)
    row = read_rows(output / "index.csv")[0]
    part = np.asarray(Image.open(output / "images" / row["part"]))[:, :, 0]
    number = next(
        int(line["number"])
        for line in read_rows(output / "label.csv")
        if line["name"] == "wheel"
    )
    # rows 1 and 2 of the plane: left and right wheel
    assert (part[:, 0] == [0, number, number, 0, 0, 0, 0, 0]).all()


def test_a_label_of_two_categories_belongs_to_the_one_it_covers_more_of(
    tmp_path: Path,
) -> None:
    """Three images with a row of it as an object, two with four rows of it as a part."""
    output = tmp_path / "union"
    concepts = (Concept("door", "object"), Concept("door", "part"))
    images = ((1,), (1,), (1, 2, 2, 2, 2), (0, 2, 2, 2, 2))
    unite(output, MadeSet("made:house", concepts, images))
    (row,) = read_rows(output / "label.csv")
    assert (row["category"], row["frequency"]) == ("object(3);part(2)", "5")
    assert float(row["coverage"]) == 3 / 8 + 2 * 4 / 8
    assert [row["coverage"] for row in read_rows(output / "c_part.csv")] == ["1.0"]
    (concept,) = Broden(str(output)).concepts
    assert (concept.name, concept.category) == ("door", "part")


def test_whole_image_labels_are_numbers_in_the_index(tmp_path: Path) -> None:
    output = tmp_path / "union"
    concepts = [Concept("dotted", "texture"), Concept("lined", "texture")]
    made = MadeSet(
        "made:dtd", tuple(concepts), ((),) * 2, whole={0: (2, 1), 1: (2,)}
    )
    unite(output, made)
    rows = {row["image"]: row["texture"] for row in read_rows(output / "index.csv")}
    assert rows == {"dtd/0.jpg": "1;2", "dtd/1.jpg": "1"}
    assert [row["name"] for row in read_rows(output / "label.csv")] == [
        "lined",
        "dotted",
    ]
    assert read_rows(output / "label.csv")[0]["coverage"] == "2.000000"


def test_an_image_that_cannot_be_read_is_skipped_and_reported(
    tmp_path: Path,
) -> None:
    made = replace(STREET, unreadable=frozenset([1]))
    report = unite(tmp_path / "union", made)
    assert len(read_rows(tmp_path / "union" / "index.csv")) == 2
    (skipped,) = report.skipped
    assert skipped.image == "street/1"
    assert skipped.reason == "its image cannot be read: the file is truncated"
    assert report.unlabelled == {}
    with pytest.raises(Unreadable, match="street/1: its image cannot be read"):
        unite(tmp_path / "strict", made, strict=True)
    assert not (tmp_path / "strict").exists()


def test_labels_outside_the_vocabulary_are_told(tmp_path: Path) -> None:
    made = MadeSet("made:street", tuple(objects("car")), ((1,), (7,)))
    report = unite(tmp_path / "union", made)
    assert "label 7 is outside the vocabulary" in report.skipped[0].reason


def test_a_union_of_a_union_is_the_same_set(tmp_path: Path) -> None:
    """Broden's own names, numbers and masks go through unchanged."""
    first, second = tmp_path / "first", tmp_path / "second"
    unite(first, STREET, ROOM)
    unite(second, Broden(str(first)))
    labels = [
        [
            (row["name"], row["frequency"], row["syns"])
            for row in read_rows(path / "label.csv")
        ]
        for path in (first, second)
    ]
    assert labels[0] == labels[1]
    for index in range(7):
        name = Broden(str(first)).name(index)
        is_unique = name == "room/3.jpg"  # street has three images
        again = f"first/{'3.jpg' if is_unique else name.replace('/', '_')}"
        sets = [Broden(str(first)), Broden(str(second))]
        positions = [
            next(i for i in range(7) if item.name(i) == text)
            for item, text in zip(sets, (name, again), strict=True)
        ]
        assert carried(sets[0], positions[0]) == carried(sets[1], positions[1])


@pytest.mark.skipif(not can_fork(), reason="processes are not forked here")
def test_any_number_of_processes_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_module, "CHUNK_IMAGES", 2)
    processes = set()

    class Watched(MadeSet):
        def image(self, index: int) -> Image.Image:
            (tmp_path / f"process-{os.getpid()}").touch()
            return super().image(index)

    street = Watched(**{**vars(STREET), "images": STREET.images * 3})
    built = []
    for workers in (0, 3):
        unite(tmp_path / "union", street, ROOM, workers=workers, overwrite=True)
        processes.add(len(list(tmp_path.glob("process-*"))))
        built.append(contents(tmp_path / "union"))
    assert built[0] == built[1]
    # this one, then three more in each of two passes
    assert processes == {1, 7}
    assert len(built[0]) > 40


@pytest.mark.skipif(not can_fork(), reason="processes are not forked here")
def test_a_worker_that_crashes_is_told_with_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_module, "CHUNK_IMAGES", 2)
    first_process = os.getpid()

    class Deadly(MadeSet):
        def image(self, index: int) -> Image.Image:
            if os.getpid() != first_process:
                os._exit(7)
            return super().image(index)

    deadly = Deadly("made:street", tuple(objects("car")), ((1,),) * 6)
    with pytest.raises(ProcessLost, match=r"exit code 7.*check images 2 to 3"):
        unite(tmp_path / "union", deadly, workers=1)
    report = unite(tmp_path / "union", deadly, resume=True)
    assert report.images == 6


def test_the_report_says_why_labels_were_merged(tmp_path: Path) -> None:
    output = tmp_path / "union"
    report = unite(output, STREET, ROOM)
    rows = {
        (row["source"], row["label"]): row
        for row in read_rows(output / "union.csv")
    }
    car = rows["street", "Car"]
    assert (car["number"], car["name"]) == ("1", "auto")
    assert car["reason"] == "'auto' is a synonym of street/object/Car"
    assert rows["street", "left wheel"]["reason"] == (
        "positional words dropped: 'wheel'"
    )
    assert rows["street", "right wheel"]["reason"] == (
        "same name; positional words dropped: 'wheel'"
    )
    assert rows["room", "machine"]["reason"] == "its own name"
    (pair,) = report.kept_apart
    assert (pair.first, pair.second) == ("street/object/Car", "room/object/machine")
    assert pair.reason == "'machine' is too general a synonym"
    record = json.loads((output / "union.json").read_text())
    assert record == json.loads(json.dumps(report.record()))


def test_a_finished_set_is_replaced_on_request_only(tmp_path: Path) -> None:
    output = tmp_path / "union"
    unite(output, STREET, ROOM)
    before = contents(output)
    with pytest.raises(
        BadInput, match="exists already; replace it with --overwrite"
    ):
        unite(output, STREET)
    assert contents(output) == before
    unite(output, STREET, overwrite=True)
    assert len(read_rows(output / "index.csv")) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["union"]


@pytest.mark.parametrize(
    "file", ["mine.txt", "images/mine.jpg", "images/street/9.jpg"]
)
def test_files_of_others_are_not_replaced(tmp_path: Path, file: str) -> None:
    output = tmp_path / "union"
    unite(output, STREET)
    (output / file).write_text("mine")
    with pytest.raises(BadInput, match="something other than a set"):
        unite(output, STREET, overwrite=True)
    assert (output / file).read_text() == "mine"


def test_a_folder_of_something_else_is_not_built_in(tmp_path: Path) -> None:
    (tmp_path / "union.partial").mkdir()
    (tmp_path / "union.partial" / "state.npz").write_text("a run's")
    with pytest.raises(BadInput, match=r"state\.npz, which is no part"):
        unite(tmp_path / "union", STREET, overwrite=True)
    assert (tmp_path / "union.partial" / "state.npz").exists()


def test_settings_that_make_no_set_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ConceptSetInvalid, match="no label has 10 samples"):
        unite(tmp_path / "union", STREET, settings=replace(SMALL, min_samples=10))
    assert list(tmp_path.iterdir()) == []


def test_a_set_without_images_for_its_labels(tmp_path: Path) -> None:
    made = MadeSet("made:street", tuple(objects("car")), ((), ()))
    with pytest.raises(ConceptSetInvalid, match="the most frequent has 0"):
        unite(tmp_path / "union", made)


def test_notes_of_sources_and_remarks_on_images_are_in_the_report(
    tmp_path: Path,
) -> None:
    made = replace(STREET, notes=("3 masks match no image",))
    report = unite(tmp_path / "union", made)
    assert report.notes == ("street: 3 masks match no image",)


def test_a_note_names_concepts_that_smaller_masks_show_on_too_few_images(
    tmp_path: Path,
) -> None:
    """Masks of 8 rows at 4: row j is row 2j + 1 of the source's, so a label in row 0 is lost."""
    made = MadeSet(
        "made:street",
        tuple(objects("car", "comet", "day")),
        ((2, 1), (2, 2), (1, 1)),
        whole={0: (3,), 1: (3,)},
    )
    settings = replace(SMALL, min_samples=2)
    assert unite(tmp_path / "own", made, settings=settings).notes == ()
    smaller = replace(settings, mask_size=(4, 4))
    report = unite(tmp_path / "smaller", made, settings=smaller)
    assert {concept.name for concept in report.concepts} == {"car", "comet", "day"}
    assert report.notes == (
        "1 concepts have fewer than 2 samples in masks of 4x4: comet (1); a larger "
        "--mask-size keeps them",
    )


def test_a_damaged_report_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "union"
    unite(output, STREET)
    (output / "union.json").write_text('{"kind": "else"}')
    with pytest.raises(RunInvalid, match=r"union\.json is no report"):
        unite(output, STREET, resume=True)
