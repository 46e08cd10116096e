"""Shared mechanics of sources: vocabulary, lookup of masks, files of a set, texts, MATLAB files."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import made_sources_a
import numpy as np
import png_writer
import pytest
from PIL import Image
from scipy.io import savemat

from nd_plugin import (
    Annotation,
    Concept,
    ConceptSetInvalid,
    Identity,
    open_concepts,
)
from nd_plugin.borders.matlab_fields import file_of_fields
from nd_plugin.concepts.sources import matlab
from nd_plugin.reading import (
    LabelledFiles,
    LabelledImage,
    PlaneStack,
    ValueTable,
    Vocabulary,
    check_layout,
    existing_root,
    inner_root,
    load_matlab,
    load_matlab_fields,
    read_lines,
    read_splits,
    split_synonyms,
    unlisted_remarks,
)


class TestVocabulary:
    def test_values_of_planes_and_the_order_of_categories(self) -> None:
        vocabulary = Vocabulary(["object", "part", "scene"])
        assert vocabulary.add("sea", "scene") == 1
        assert vocabulary.add("car", "object", ["auto", "car"]) == 2
        assert vocabulary.add("car", "object", ["motorcar", "auto"]) == 2
        assert vocabulary.add("car", "texture") == 3
        assert vocabulary.value("car", "object") == 2
        assert vocabulary.categories == ("object", "scene", "texture")
        assert vocabulary.concepts == (
            Concept("sea", "scene"),
            Concept("car", "object", ("auto", "motorcar")),
            Concept("car", "texture"),
        )

    def test_names_and_synonyms_of_one_text(self) -> None:
        texts = ["building, edifice", "plant, flora", "plant, works", " sky "]
        assert split_synonyms(texts) == {
            "building, edifice": ("building", ("edifice",)),
            "plant, flora": ("plant, flora", ()),
            "plant, works": ("plant, works", ()),
            " sky ": ("sky", ()),
        }
        assert split_synonyms(["granite/marble", "granite", "a/b"], "/") == {
            "granite/marble": ("granite/marble", ()),
            "granite": ("granite", ()),
            "a/b": ("a", ("b",)),
        }


class TestValueTable:
    def test_small_integers(self) -> None:
        table = ValueTable.of({0: 3, 2: 1, 255: 2})
        pixels = np.array([[0, 1, 2], [255, 254, 2]], np.uint8)
        plane, unlisted = table.plane(pixels)
        assert plane.tolist() == [[3, 0, 1], [2, 0, 1]]
        assert plane.dtype == np.uint8 and unlisted == {1, 254}

    def test_integers_of_three_channels(self) -> None:
        """Such as COCO's, of 24 bits: no table of sixteen million entries."""
        table = ValueTable.of({7: 1, 256 + 2**16 * 200: 2}, largest=300)
        assert table.dense is None
        pixels = np.array([[[7, 0, 0], [0, 1, 200], [0, 0, 0]]], np.uint8)

        def decode(strip: np.ndarray) -> np.ndarray:
            return strip.astype(np.int32) @ np.array([1, 256, 65536], np.int32)

        plane, unlisted = table.plane(pixels, decode)
        assert plane.tolist() == [[1, 2, 0]]
        assert plane.dtype == np.uint16 and unlisted == set()

    @pytest.mark.parametrize("key", [3, 2**20])
    def test_integers_outside_of_the_table(self, key: int) -> None:
        plane, unlisted = ValueTable.of({key: 1}).plane(
            np.array([[-1, key, 2**31 - 1]], np.int32)
        )
        assert plane.tolist() == [[0, 1, 0]] and unlisted == {-1, 2**31 - 1}

    def test_strips(self) -> None:
        pixels = np.zeros((1100, 2000), np.uint8)
        pixels[1099, 1999] = 9
        pixels[0, 0] = 4
        plane, unlisted = ValueTable.of({4: 1}).plane(pixels)
        assert plane[0, 0] == 1 and plane.sum() == 1 and unlisted == {9}

    def test_an_empty_table(self) -> None:
        plane, unlisted = ValueTable.of({}).plane(np.array([[0, 5]], np.uint8))
        assert plane.tolist() == [[0, 0]] and unlisted == {5}

    def test_remarks(self) -> None:
        assert unlisted_remarks({0, 9}, "masks of objects", "labels.txt") == (
            "9 occurs in masks of objects, and labels.txt does not list it",
        )
        assert unlisted_remarks({1, 2, 3, 4}, "masks", "labels.txt") == (
            "more than 3 values of one mask occur in masks, and labels.txt does not list them",
        )


class Dots(LabelledFiles):
    def annotation(self, index: int) -> Annotation:
        image = self.images[index]
        planes = [
            self.mask(path, self.size(index), ["L"]) for path in image.label_files
        ]
        return Annotation(planes, image.labels)


def dots(root: Path, side: int = 4) -> Dots:
    for name in ("a", "b"):
        pixels = np.full((side, side, 3), 9, np.uint8)
        Image.fromarray(pixels).save(root / f"{name}.bmp")
        png_writer.save_png(root / f"{name}.png", np.ones((4, 4), int), 8)
    (root / "labels.txt").write_text("1 dot\n")
    vocabulary = Vocabulary()
    vocabulary.add("dot", "object")
    images = [
        LabelledImage(f"{name}.bmp", (f"{name}.png",), split=split)
        for name, split in (("a", "train"), ("b", ""))
    ]
    identity = Identity("dots", f"dots:{root}", "1", "")
    return Dots(root, identity, vocabulary, images, tables=[root / "labels.txt"])


class TestLabelledFiles:
    def test_what_it_gives(self, tmp_path: Path) -> None:
        concepts = dots(tmp_path)
        assert len(concepts) == 2 and concepts.name(1) == "b.bmp"
        assert concepts.split(0) == "train" and concepts.split(1) == ""
        assert concepts.files(0) == [tmp_path / "a.bmp", tmp_path / "a.png"]
        assert concepts.image(0).size == (4, 4)
        copy = pickle.loads(pickle.dumps(concepts))
        assert copy.annotation(0).planes[0].tolist() == np.ones((4, 4)).tolist()
        assert copy.identity == concepts.identity

    def test_the_fingerprint(self, tmp_path: Path) -> None:
        first = dots(tmp_path).identity.fingerprint
        assert dots(tmp_path).identity.fingerprint == first
        assert dots(tmp_path, side=8).identity.fingerprint != first
        concepts = dots(tmp_path)
        (tmp_path / "labels.txt").write_text("1 point\n")
        assert concepts.identity.fingerprint != first
        (tmp_path / "a.png").unlink()
        assert len(dots(tmp_path).identity.fingerprint) == 16

    def test_masks_that_do_not_fit(self, tmp_path: Path) -> None:
        concepts = dots(tmp_path)
        png_writer.save_png(tmp_path / "a.png", np.ones((4, 9), int), 8)
        with pytest.raises(ValueError, match=r"the mask a\.png is 9x4"):
            concepts.annotation(0)
        Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
        with pytest.raises(ValueError, match="is of mode RGB; expected L"):
            concepts.annotation(0)

    def test_links_that_lead_out(self, tmp_path: Path) -> None:
        root = tmp_path / "set"
        root.mkdir()
        concepts = dots(root)
        outside = tmp_path / "outside.png"
        os.replace(root / "a.png", outside)
        (root / "a.png").symlink_to(outside)
        with pytest.raises(ConceptSetInvalid, match="outside the set's folder"):
            concepts.annotation(0)

    def test_paths_that_lead_out_and_no_images(self, tmp_path: Path) -> None:
        vocabulary = Vocabulary()
        identity = Identity("dots", "dots:ROOT", "1", "")
        images = [LabelledImage("../secret.png")]
        with pytest.raises(ConceptSetInvalid, match="is outside"):
            Dots(tmp_path, identity, vocabulary, images)
        with pytest.raises(ConceptSetInvalid, match="dots:ROOT has no images in"):
            Dots(tmp_path, identity, vocabulary, [])

    def test_images_beside_the_root(self, tmp_path: Path) -> None:
        """Such as those of VOC, for the parts that are annotated elsewhere."""
        root = tmp_path / "parts"
        root.mkdir()
        base = dots(root)
        images = tmp_path / "JPEGImages"
        images.mkdir()
        os.replace(root / "a.bmp", images / "a.bmp")
        vocabulary = Vocabulary()
        vocabulary.add("dot", "object")
        concepts = Dots(
            root, base.identity, vocabulary, base.images[:1], image_folder=images
        )
        assert concepts.image(0).size == (4, 4) and concepts.name(0) == "a.bmp"
        assert concepts.files(0) == [images / "a.bmp", root / "a.png"]
        assert concepts.annotation(0).planes[0].all()


class TestPlaneStack:
    def test_masks_that_overlap_are_on_planes_of_their_own(self) -> None:
        stack = PlaneStack((1, 4), np.uint16)
        for mask, value in (
            ([1, 1, 1, 0], 5),  # head
            ([0, 1, 0, 0], 6),  # an eye in it
            ([0, 0, 1, 0], 6),
            ([0, 1, 0, 0], 7),  # an iris in the eye
            ([0, 0, 0, 1], 8),  # beside them
            ([0, 0, 1, 1], 5),  # a head over that
        ):
            stack.add(np.array([mask], bool), value)
        assert [plane.tolist() for plane in stack.planes] == [
            [[5, 5, 5, 8]],
            [[0, 6, 6, 0]],
            [[0, 7, 5, 5]],
        ]
        assert stack.planes[0].dtype == np.uint16

    def test_no_masks_and_one_of_another_size(self) -> None:
        stack = PlaneStack((2, 2), np.uint8)
        assert stack.planes == []
        with pytest.raises(ValueError, match="is of 1x4 pixels, the first"):
            stack.add(np.ones((1, 4), bool), 1)


class TestFolders:
    def test_no_folder(self) -> None:
        with pytest.raises(
            ConceptSetInvalid,
            match="no folder '/nowhere/voc'; expected voc:ROOT, where ROOT is VOC2012",
        ):
            existing_root("/nowhere/voc", "voc:ROOT", "VOC2012")
        with pytest.raises(ConceptSetInvalid, match="no folder given"):
            existing_root("", "voc:ROOT", "VOC2012")

    def test_another_folder(self, tmp_path: Path) -> None:
        (tmp_path / "README").touch()
        assert existing_root(str(tmp_path), "dtd:ROOT", "dtd") == tmp_path
        with pytest.raises(
            ConceptSetInvalid,
            match="has no images/ and no labels/; it holds README; expected dtd/",
        ):
            check_layout(tmp_path, ["images/", "labels/", "README"], "dtd/")

    def test_the_folder_that_an_archive_unpacks_to(self, tmp_path: Path) -> None:
        inner = tmp_path / "dtd"
        (inner / "images").mkdir(parents=True)
        note = f"read from dtd in {tmp_path}"
        assert inner_root(tmp_path, ["images"], ["x", "dtd"]) == (inner, [note])
        assert inner_root(inner, ["images"], ["x", "dtd"]) == (inner, [])
        assert inner_root(tmp_path, ["labels"], ["dtd"]) == (tmp_path, [])


class TestLines:
    def test_lines_of_a_text(self, tmp_path: Path) -> None:
        path = tmp_path / "train.txt"
        path.write_bytes(b"\xef\xbb\xbfa\r\n\r\n b \n")
        assert read_lines(path) == [
            (f"{path}, line 1", "a"),
            (f"{path}, line 3", "b"),
        ]

    @pytest.mark.parametrize(
        ("content", "message"),
        [(b"\xff\xfe", "is no text in utf-8"), (b"a\0b", "holds a NUL character")],
    )
    def test_no_text(self, tmp_path: Path, content: bytes, message: str) -> None:
        path = tmp_path / "train.txt"
        path.write_bytes(content)
        with pytest.raises(ConceptSetInvalid, match=message):
            read_lines(path)

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConceptSetInvalid, match=r"no train\.txt in"):
            read_lines(tmp_path / "train.txt")
        with pytest.raises(ConceptSetInvalid, match="is a folder"):
            read_lines(tmp_path)


class TestMatlab:
    def test_a_variable(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mat"
        savemat(path, {"LabelMap": np.array([[1, 459]], np.uint16)})
        assert load_matlab(path, "LabelMap", "a").tolist() == [[1, 459]]
        with pytest.raises(ValueError, match="the labels a has no variable 'anno'"):
            load_matlab(path, "anno", "the labels a")

    def test_what_is_damaged_or_too_large(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.mat"
        path.write_bytes(b"MATLAB 5.0" + bytes(200))
        with pytest.raises(ValueError, match=r"a\.mat is not read: its byte order"):
            load_matlab(path, "LabelMap", "a.mat")
        buffer = io.BytesIO()
        savemat(buffer, {"LabelMap": np.ones((300, 300))}, do_compression=True)
        path.write_bytes(buffer.getvalue())
        monkeypatch.setattr(matlab, "MOST_BYTES", 2**16)
        with pytest.raises(ValueError, match="unpacks to more than 65536 bytes"):
            load_matlab(path, "LabelMap", "a.mat")
        with pytest.raises(OSError, match="is a folder"):
            load_matlab(tmp_path, "LabelMap", "a.mat")

    def test_fields_of_a_large_struct(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Matrices beside them are unpacked, but no arrays are made of them."""
        path = tmp_path / "index.mat"
        names = np.array([["wall", "-"]], object)
        index = {
            "presence": np.zeros((2, 10_000), np.uint8),
            "names": names,
            "shares": np.array([[0.0, 0.5]]),
        }
        savemat(path, {"a": 1, "index": index}, do_compression=True)
        fields = load_matlab_fields(
            path, "index", ["names", "shares", "x"], "i.mat"
        )
        assert list(fields) == ["names", "shares"]
        assert [cell.item() for cell in fields["names"].ravel()] == ["wall", "-"]
        assert fields["shares"].tolist() == [[0.0, 0.5]]
        small = file_of_fields(
            path.read_bytes(), "index", ["names"], matlab.MOST_BYTES
        )
        assert len(small) < 400
        monkeypatch.setattr(matlab, "MOST_BYTES", 2**15)
        assert load_matlab_fields(path, "index", ["shares"], "i.mat")
        monkeypatch.setattr(matlab, "MOST_BYTES", 2**14)
        with pytest.raises(ValueError, match="unpacks to more than 16384 bytes"):
            load_matlab_fields(path, "index", ["shares"], "i.mat")

    @pytest.mark.parametrize(
        ("variables", "message"),
        [
            ({"other": {"names": 1}}, "it has no struct 'index'"),
            ({"index": np.ones((3, 3))}, "no struct 'index'|no single struct"),
            (
                {"index": np.zeros((1, 2), [("names", object), ("b", object)])},
                "its 'index' is no single struct",
            ),
        ],
    )
    def test_what_is_no_struct(
        self, tmp_path: Path, variables: dict[str, object], message: str
    ) -> None:
        path = tmp_path / "index.mat"
        savemat(path, variables)
        with pytest.raises(ValueError, match=message):
            load_matlab_fields(path, "index", ["names"], "i.mat")

    def test_any_damage_of_an_index_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "index.mat"
        savemat(path, {"index": {"names": np.array([["wall"]], object)}})
        content = path.read_bytes()
        for position in range(128, len(content)):
            changed = bytearray(content)
            changed[position] ^= 0xFF
            path.write_bytes(bytes(changed))
            try:
                load_matlab_fields(path, "index", ["names"], "i.mat")
            except ValueError as error:
                assert str(error).startswith("i.mat ")


class TestSplits:
    def test_lists_of_splits(self, tmp_path: Path) -> None:
        (tmp_path / "train.txt").write_text("a\nb -1\n")
        (tmp_path / "val.txt").write_text("c\n")
        lists = {
            name: tmp_path / f"{name}.txt" for name in ("train", "val", "test")
        }
        splits, notes = read_splits(lists, ["a", "c", "d"])
        assert splits == {"a": "train", "b": "train", "c": "val"}
        assert notes == [
            f"no test.txt in {tmp_path}: no image is of test",
            "1 of 3 images are in no list of a split, for example d",
        ]
        note = "no lists of splits are there: images are of none"
        assert read_splits({}, ["a"]) == ({}, [note])
        (tmp_path / "val.txt").write_text("a\n")
        with pytest.raises(ConceptSetInvalid, match=r"val\.txt, line 1: 'a' is in"):
            read_splits(lists, ["a"])


class TestHints:
    def test_layouts_of_a_bare_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConceptSetInvalid) as caught:
            open_concepts(str(tmp_path))
        message = str(caught.value)
        first_line = message.splitlines()[0]
        layouts = first_line.partition("it has not the layout of ")[2]
        assert {"ade20k", "dtd", "pascal_part", "voc"} <= set(layouts.split(", "))
        assert "JPEGImages" not in message and "as masks:" in message
        made_sources_a.write_voc(tmp_path)
        folder = tmp_path / "VOCdevkit/VOC2012"
        with pytest.raises(
            ConceptSetInvalid, match=f"the folder can be opened as 'voc:{folder}'"
        ):
            open_concepts(str(folder))
