"""Sets exported to either format and read back: images, vocabulary and annotations are the same."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from listed_sets import ListedSet, noise
from PIL import Image

from nd_plugin import (
    Annotation,
    Concept,
    ConceptSet,
    ConceptSetInvalid,
    ExportOptions,
    ExportReport,
    export_concepts,
    open_concepts,
)
from nd_plugin.pictures.conversion import convert_picture
from nd_plugin.testing import check_concept_set

FORMATS = ["broden", "masks"]
VOCABULARY = (
    Concept("sky", "object", ("heaven", "air")),
    Concept("wood", "material"),
    Concept("leg, left", "part"),
    Concept('the "end"', "object"),
    Concept("street", "scene"),
    Concept("wood", "object"),
)


def export(
    concepts: ConceptSet, folder: Path, format_name: str, **options: Any
) -> ExportReport:
    sizes = {
        name: options.pop(name) for name in ("size", "mask_size") if name in options
    }
    choice = ExportOptions(format_name, **sizes)
    return export_concepts(concepts, folder, choice, workers=0, **options)


def read_back(folder: Path, format_name: str) -> ConceptSet:
    text = f"{format_name}:{folder}"
    check_concept_set(open_concepts, text)
    return open_concepts(text)


def pixels_of(concepts: ConceptSet, index: int) -> bytes:
    return convert_picture(concepts.image(index)).rgb.tobytes()


def labels_of_pixels(
    concepts: ConceptSet, index: int
) -> list[set[tuple[str, str]]]:
    """Return the concepts of each pixel, whatever plane they are in; planes are of one size."""
    annotation = concepts.annotation(index)
    planes = [np.asarray(plane).ravel() for plane in annotation.planes]
    pixels = np.stack(planes, 1) if planes else np.zeros((1, 0), np.int64)

    def name(value: int) -> tuple[str, str]:
        concept = concepts.concepts[value - 1]
        return concept.name, concept.category

    whole_image = {name(value) for value in annotation.labels if value}
    return [
        whole_image | {name(int(value)) for value in pixel if value}
        for pixel in pixels
    ]


def crowded_set(**changes: Any) -> ListedSet:
    """Set with planes of several categories, overlapping labels, and labels of whole images."""
    mixed = np.array([[1, 2], [3, 0]], np.uint8)  # object, material, part
    material = np.array([[0, 0], [2, 2]], np.int64)
    overlapping = np.array([[4, 4], [6, 1]], np.int32)
    annotations = [
        Annotation([mixed, material, overlapping], (5,)),
        Annotation([overlapping], (5, 2)),
        Annotation([np.zeros((2, 2), np.uint8)], ()),
        Annotation([], (5,), (2, 2)),
    ]
    options: dict[str, Any] = {
        "names": ["b/x.png", "b/y.png", "c/x.png", "d.png"],
        "splits": ["train", "val", "", "train"],
    }
    return ListedSet(VOCABULARY, annotations, **{**options, **changes})


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("native", [True, False])
def test_everything_is_read_back(
    tmp_path: Path, format_name: str, native: bool
) -> None:
    original = crowded_set(native_masks=native)
    report = export(original, tmp_path / "set", format_name)
    copy = read_back(tmp_path / "set", format_name)
    assert (report.images, report.copied, report.skipped) == (4, 0, ())
    assert copy.native_masks is native
    pairs = [(concept.name, concept.category) for concept in copy.concepts]
    assert pairs == [(concept.name, concept.category) for concept in VOCABULARY]
    assert [copy.name(index) for index in range(4)] == original.names
    for index in range(4):
        assert pixels_of(copy, index) == pixels_of(original, index)
    for index in (0, 1):
        assert labels_of_pixels(copy, index) == labels_of_pixels(original, index)
    assert not any(np.any(plane) for plane in copy.annotation(2).planes)
    assert copy.annotation(3).labels == (5,)


def test_broden_s_layout_keeps_synonyms_and_splits(tmp_path: Path) -> None:
    original = crowded_set()
    report = export(original, tmp_path / "set", "broden")
    copy: Any = read_back(tmp_path / "set", "broden")
    assert copy.concepts == VOCABULARY
    assert [copy.split(index) for index in range(4)] == original.splits
    assert report.notes == ()


def test_the_masks_format_says_what_it_lacks(tmp_path: Path) -> None:
    report = export(
        crowded_set(categories=("part", "object", "scene", "material")),
        tmp_path / "set",
        "masks",
    )
    assert report.notes == (
        "the masks format has no synonyms: they were left out",
        "the masks format lists categories in the order of their first concepts: object, "
        "material, part, scene",
        "the masks format has no splits: they were left out",
    )


def test_planes_of_several_categories_become_a_mask_each(tmp_path: Path) -> None:
    export(crowded_set(), tmp_path / "set", "broden")
    index = (tmp_path / "set" / "index.csv").read_text().splitlines()
    assert index[0] == "image,split,ih,iw,sh,sw,object,material,part,scene"
    # the first image has two objects on the first pixel; its materials fit into one mask
    assert index[1] == (
        "b/x.png,train,8,8,2,2,b/x_object_1.png;b/x_object_2.png,b/x_material.png,"
        "b/x_part.png,5"
    )
    tables = (tmp_path / "set" / "label.csv").read_text().splitlines()
    assert "2,wood,material(2),2,1.750000," in tables
    assert "6,wood,object(2),2,0.500000," in tables


@pytest.mark.parametrize(("native", "expected"), [(True, (2, 2)), (False, None)])
def test_size_of_an_image_with_labels_of_the_whole_image_alone(
    tmp_path: Path, native: bool, expected: tuple[int, int] | None
) -> None:
    """A set that compares masks at their own size keeps it, by an empty mask."""
    export(crowded_set(native_masks=native), tmp_path / "set", "masks")
    planes = read_back(tmp_path / "set", "masks").annotation(3).planes
    assert [plane.shape for plane in planes] == ([expected] if expected else [])


@pytest.mark.parametrize("format_name", FORMATS)
def test_concepts_that_no_image_has_keep_their_place(
    tmp_path: Path, format_name: str
) -> None:
    vocabulary = (*VOCABULARY, Concept("dotted", "texture"))
    annotations = [Annotation([np.array([[3, 3]])])]
    original = ListedSet(vocabulary, annotations, images=[noise(0, 1, 2)])
    report = export(original, tmp_path / "set", format_name)
    copy = read_back(tmp_path / "set", format_name)
    pairs = [(concept.name, concept.category) for concept in copy.concepts]
    assert pairs == [(concept.name, concept.category) for concept in vocabulary]
    assert labels_of_pixels(copy, 0) == [{("leg, left", "part")}] * 2
    empty = "no image has the category 'texture': an empty mask stands for it"
    assert (empty in report.notes) == (format_name == "masks")


@pytest.mark.parametrize("count", [255, 256, 300])
@pytest.mark.parametrize("format_name", FORMATS)
def test_more_concepts_than_8_bits_hold(
    tmp_path: Path, format_name: str, count: int
) -> None:
    vocabulary = tuple(Concept(f"c{number}", "object") for number in range(count))
    plane = np.arange(count + 1).reshape(1, -1)
    original = ListedSet(
        vocabulary, [Annotation([plane])], images=[noise(0, 1, count + 1)]
    )
    export(original, tmp_path / "set", format_name)
    copy = read_back(tmp_path / "set", format_name)
    assert (np.asarray(copy.annotation(0).planes[0]) == plane).all()
    if format_name == "masks":
        with Image.open(tmp_path / "set/masks/object/0.png") as mask:
            assert mask.mode == ("L" if count == 255 else "I;16")


class TestPictures:
    def test_files_are_copied_byte_for_byte(self, tmp_path: Path) -> None:
        path = tmp_path / "a photo.JPG"
        noise(1).save(path, "JPEG")
        for format_name in FORMATS:
            original = self.set_of(path)
            report = export(original, tmp_path / format_name, format_name)
            copied = tmp_path / format_name / "images" / "a photo.JPG"
            assert copied.read_bytes() == path.read_bytes()
            assert report.copied == 1

    def set_of(self, path: Path, **changes: Any) -> ListedSet:
        with Image.open(path) as image:
            image.load()
        height = image.height if image.getexif().get(274, 1) < 5 else image.width
        width = image.width if height == image.height else image.height
        annotation = Annotation([np.ones((height, width), np.uint8)])
        options: dict[str, Any] = {
            "names": [path.name],
            "images": [image],
            "paths": {0: [path]},
        }
        return ListedSet(VOCABULARY[:1], [annotation], **{**options, **changes})

    def test_a_file_with_other_pixels_than_the_image_is_not_copied(
        self, tmp_path: Path
    ) -> None:
        """A set may crop its pictures, or name a table first."""
        path = tmp_path / "a.png"
        noise(1).save(path)
        for number, changes in enumerate(
            [
                {"images": [noise(2)]},
                {"images": [noise(1).convert("L")]},
                {"paths": {0: [tmp_path / "none.png"]}},
                {"paths": {}},
            ]
        ):
            original = self.set_of(path, **changes)
            for format_name in FORMATS:
                folder = tmp_path / f"{format_name}{number}"
                assert export(original, folder, format_name).copied == 0
                copy = read_back(folder, format_name)
                assert pixels_of(copy, 0) == pixels_of(original, 0)

    def test_a_turned_picture_is_upright_in_broden_s_layout(
        self, tmp_path: Path
    ) -> None:
        """Other readers of the layout know no EXIF; ours turns the copy in the masks format."""
        path = tmp_path / "a.jpg"
        exif = Image.Exif()
        exif[274] = 6
        noise(1, 8, 16).save(path, "JPEG", exif=exif)
        original = self.set_of(path)
        for format_name, copied in (("broden", 0), ("masks", 1)):
            folder = tmp_path / format_name
            assert export(original, folder, format_name).copied == copied
            copy = read_back(folder, format_name)
            assert pixels_of(copy, 0) == pixels_of(original, 0)
            assert np.asarray(copy.annotation(0).planes[0]).shape == (16, 8)
        with Image.open(tmp_path / "broden/images/a.png") as upright:
            assert upright.size == (8, 16)

    @pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16", "CMYK"])
    @pytest.mark.parametrize("format_name", FORMATS)
    def test_pictures_of_every_kind_look_the_same(
        self, tmp_path: Path, mode: str, format_name: str
    ) -> None:
        path = tmp_path / "a.tif"
        if mode == "I;16":
            values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 60
            Image.fromarray(values).save(path)
        else:
            noise(1).convert(mode).save(path)
        original = self.set_of(path)
        report = export(original, tmp_path / "set", format_name)
        copy = read_back(tmp_path / "set", format_name)
        assert pixels_of(copy, 0) == pixels_of(original, 0)
        # the range of wide grey values follows from all images of a set
        is_copied = format_name == "masks" and mode != "I;16"
        assert report.copied == is_copied

    def test_images_and_masks_are_resized(self, tmp_path: Path) -> None:
        plane = np.arange(12).reshape(3, 4) % 3
        original = ListedSet(
            VOCABULARY[:2], [Annotation([plane])], images=[noise(0, 6, 8)]
        )
        for format_name in FORMATS:
            folder = tmp_path / format_name
            export(original, folder, format_name, size=(10, 20))
            copy = read_back(folder, format_name)
            bilinear = Image.Resampling.BILINEAR
            expected = noise(0, 6, 8).resize((20, 10), bilinear)
            assert copy.image(0).tobytes() == expected.tobytes()
            assert copy.native_masks
            rows = (2 * np.arange(5) + 1) * 3 // 10
            columns = (2 * np.arange(10) + 1) * 4 // 20
            expected_plane = plane[rows[:, None], columns[None, :]]
            read_planes = [np.asarray(plane) for plane in copy.annotation(0).planes]
            assert (np.maximum.reduce(read_planes) == expected_plane).all()

    def test_masks_of_a_size_of_their_own(self, tmp_path: Path) -> None:
        original = ListedSet(VOCABULARY[:1], [Annotation([np.ones((8, 8), int)])])
        export(
            original, tmp_path / "set", "broden", size=(12, 12), mask_size=(3, 3)
        )
        copy = read_back(tmp_path / "set", "broden")
        assert np.asarray(copy.annotation(0).planes[0]).shape == (3, 3)


class TestNote:
    def test_a_set_of_masks_says_how_they_are_compared(
        self, tmp_path: Path
    ) -> None:
        export(crowded_set(native_masks=True), tmp_path / "set", "masks")
        note = json.loads((tmp_path / "set" / "export.json").read_text())
        assert note["native_masks"] is True
        assert note["source"] == "listed"

    def test_a_file_of_that_name_of_something_else_is_passed_over(
        self, tmp_path: Path
    ) -> None:
        export(crowded_set(), tmp_path / "set", "broden")
        for content in (
            "{",
            "[]",
            '{"kind": "mine", "native_masks": 3}',
            "[" * 10**5,
        ):
            (tmp_path / "set" / "export.json").write_text(content)
            assert open_concepts(f"broden:{tmp_path / 'set'}").native_masks

    def test_a_fifo_of_that_name_is_not_waited_for(self, tmp_path: Path) -> None:
        export(crowded_set(), tmp_path / "set", "broden")
        (tmp_path / "set" / "export.json").unlink()
        os.mkfifo(tmp_path / "set" / "export.json")
        assert open_concepts(f"broden:{tmp_path / 'set'}").native_masks

    def test_a_note_that_does_not_say_it_is_an_error(self, tmp_path: Path) -> None:
        export(crowded_set(), tmp_path / "set", "broden")
        path = tmp_path / "set" / "export.json"
        path.write_text(path.read_text().replace("false", '"no"'))
        with pytest.raises(
            ConceptSetInvalid, match=r"native_masks is 'no'; expected"
        ):
            open_concepts(f"broden:{tmp_path / 'set'}")
