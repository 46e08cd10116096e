"""Exports of sets with faults and hostile names, into taken folders, and broken off ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from listed_sets import ListedSet, noise
from PIL import Image

from nd_plugin import (
    Annotation,
    BadInput,
    Concept,
    ConceptSetInvalid,
    ExportOptions,
    NotSaved,
    RunFailed,
    Unreadable,
    export_concepts,
    open_concepts,
)
from nd_plugin.concepts.broden_layout.export import BrodenTables
from nd_plugin.concepts.export.names import image_stems
from nd_plugin.concepts.masks_layout.export import NUMBERED, MasksTables
from nd_plugin.storage import lock_file
from nd_plugin.testing import check_concept_set

SKY = (Concept("sky", "object"),)
PLANE = Annotation([np.ones((8, 8), np.uint8)])
FORMATS = ["broden", "masks"]
BRODEN, MASKS = (ExportOptions(name) for name in FORMATS)


def small_set(count: int = 2, **changes: Any) -> ListedSet:
    return ListedSet(SKY, [PLANE] * count, **changes)


def everything_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestSkipped:
    def test_an_image_is_left_out_and_an_annotation_is_missing(
        self, tmp_path: Path
    ) -> None:
        original = ListedSet(
            SKY,
            [
                PLANE,
                PLANE,
                ValueError("torn mask"),
                Annotation([np.full((8, 8), 2)]),
                Annotation([np.ones((8, 4), int)]),
            ],
            images=[noise(0), OSError("no such file"), *map(noise, (2, 3, 4))],
        )
        for options in (BRODEN, MASKS):
            folder = tmp_path / options.format
            report = export_concepts(original, folder, options, workers=0)
            copy = open_concepts(f"{options.format}:{folder}")
            assert report.images == 4
            assert [copy.name(index) for index in range(4)] == [
                "0.png",
                "2.png",
                "3.png",
                "4.png",
            ]
            assert [(item.image, item.part) for item in report.skipped] == [
                ("1.png", "image"),
                ("2.png", "annotation"),
                ("3.png", "annotation"),
                ("4.png", "annotation"),
            ]
            reasons = [item.reason for item in report.skipped]
            assert reasons[:2] == ["no such file", "torn mask"]
            assert reasons[2] == "label 2 is outside the vocabulary of 1 concepts"
            assert "has not the aspect of its image, 8x8" in reasons[3]
            for index in (1, 2, 3):
                assert not copy.annotation(index).planes
                assert not copy.annotation(index).labels

    def test_planes_of_another_aspect_fit_when_images_are_resized(
        self, tmp_path: Path
    ) -> None:
        original = ListedSet(SKY, [Annotation([np.ones((8, 4), int)])])
        options = ExportOptions(size=(6, 6))
        report = export_concepts(original, tmp_path / "set", options, workers=0)
        assert report.skipped == ()

    def test_no_image_at_all(self, tmp_path: Path) -> None:
        original = small_set(2, images=[OSError("gone")] * 2)
        with pytest.raises(
            RunFailed, match="none of the 2 images of listed can be read: gone"
        ):
            export_concepts(original, tmp_path / "set", workers=0)
        with pytest.raises(RunFailed, match="listed has no images"):
            export_concepts(small_set(0), tmp_path / "set", workers=0)
        assert everything_in(tmp_path) == []

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (ConceptSetInvalid("broken table"), ConceptSetInvalid),
            (RunFailed("out of memory"), RunFailed),
            (MemoryError("no memory"), RunFailed),
            (SystemExit(3), RunFailed),
            (KeyboardInterrupt(), KeyboardInterrupt),
        ],
    )
    @pytest.mark.parametrize("part", ["image", "annotation"])
    def test_what_says_nothing_of_an_image_ends_the_export(
        self, tmp_path: Path, error: BaseException, kind: type, part: str
    ) -> None:
        class Failing(ListedSet):
            def image(self, index: int) -> Image.Image:
                if index == 1 and part == "image":
                    raise error
                return super().image(index)

            def annotation(self, index: int) -> Annotation:
                if index == 1 and part == "annotation":
                    raise error
                return super().annotation(index)

        with pytest.raises(kind):
            export_concepts(Failing(SKY, [PLANE] * 3), tmp_path / "set", workers=0)
        assert everything_in(tmp_path) == []

    def test_an_image_that_a_set_calls_unreadable_is_skipped(
        self, tmp_path: Path
    ) -> None:
        original = small_set(2, images=[noise(0), Unreadable("torn")])
        report = export_concepts(original, tmp_path / "set", workers=0)
        assert [item.reason for item in report.skipped] == ["torn"]


class TestPlaces:
    @pytest.mark.parametrize("overwrite", [False, True])
    def test_a_folder_of_something_else_is_refused(
        self, tmp_path: Path, overwrite: bool
    ) -> None:
        mine = tmp_path / "mine" / "thesis.txt"
        mine.parent.mkdir()
        mine.write_text("years of work")
        with pytest.raises(BadInput, match="other things than an exported"):
            export_concepts(
                small_set(), mine.parent, overwrite=overwrite, workers=0
            )
        assert mine.read_text() == "years of work"
        assert everything_in(tmp_path) == ["mine"]

    def test_an_earlier_export_is_replaced_when_asked_for(
        self, tmp_path: Path
    ) -> None:
        folder = tmp_path / "deep" / "set"
        export_concepts(small_set(3), folder, BRODEN, workers=0)
        with pytest.raises(BadInput, match="replace it with --overwrite"):
            export_concepts(small_set(1), folder, MASKS, workers=0)
        assert len(open_concepts(f"broden:{folder}")) == 3
        export_concepts(small_set(1), folder, MASKS, overwrite=True, workers=0)
        assert everything_in(folder) == [
            "concepts.csv",
            "export.json",
            "images",
            "masks",
        ]
        assert everything_in(folder.parent) == ["set"]

    def test_an_empty_folder_is_taken(self, tmp_path: Path) -> None:
        export_concepts(small_set(), tmp_path, workers=0)
        assert len(open_concepts(f"broden:{tmp_path}")) == 2

    def test_a_set_may_replace_itself(self, tmp_path: Path) -> None:
        folder = tmp_path / "set"
        export_concepts(small_set(), folder, workers=0)
        own = open_concepts(f"broden:{folder}")
        export_concepts(own, folder, overwrite=True, workers=0)
        copy = open_concepts(f"broden:{folder}")
        assert [copy.image(index).tobytes() for index in range(2)] == [
            noise(index).tobytes() for index in range(2)
        ]

    def test_a_file_and_a_folder_that_cannot_be_written(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("mine")
        with pytest.raises(BadInput, match="is a file; a concept set is a folder"):
            export_concepts(small_set(), tmp_path / "file", workers=0)
        with pytest.raises(NotSaved, match="is a file, not a folder"):
            export_concepts(small_set(), tmp_path / "file" / "set", workers=0)

    def test_what_a_killed_export_has_left_is_removed_by_the_next(
        self, tmp_path: Path
    ) -> None:
        draft = tmp_path / ".set.nd_export"
        (draft / "images").mkdir(parents=True)
        (draft / "images" / "old.png").write_bytes(b"half a pic")
        (draft / lock_file.LOCK_FILE).write_text("")
        with pytest.raises(ConceptSetInvalid):
            open_concepts(f"broden:{draft}")
        export_concepts(small_set(), tmp_path / "set", workers=0)
        assert everything_in(tmp_path) == ["set"]
        assert "old.png" not in everything_in(tmp_path / "set" / "images")

    def test_another_s_folder_of_that_name_is_left_alone(
        self, tmp_path: Path
    ) -> None:
        draft = tmp_path / ".set.nd_export"
        draft.mkdir()
        (draft / "mine").write_text("mine")
        with pytest.raises(BadInput, match="is in the way of the export"):
            export_concepts(small_set(), tmp_path / "set", workers=0)
        assert (draft / "mine").read_text() == "mine"

    def test_two_exports_to_one_place(self, tmp_path: Path) -> None:
        draft = tmp_path / ".set.nd_export"
        draft.mkdir()
        with lock_file.alone(draft / lock_file.LOCK_FILE):
            (draft / "images").mkdir()
            with pytest.raises(BadInput, match="working in"):
                export_concepts(small_set(), tmp_path / "set", workers=0)
            assert (draft / "images").is_dir(), "the other export goes on"

    @pytest.mark.parametrize("options", [BRODEN, MASKS])
    def test_a_full_disk_leaves_nothing(
        self,
        tmp_path: Path,
        options: ExportOptions,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        tables = BrodenTables if options is BRODEN else MasksTables
        monkeypatch.setattr(tables, "write", fail)
        with pytest.raises(NotSaved, match="No space left on device"):
            export_concepts(small_set(), tmp_path / "set", options, workers=0)
        assert everything_in(tmp_path) == []


class TestOptions:
    def test_the_text_of_a_set_is_no_set(self, tmp_path: Path) -> None:
        text: Any = "shapes"
        with pytest.raises(BadInput, match=r"open it: open_concepts\('shapes'\)"):
            export_concepts(text, tmp_path / "set")

    def test_the_first_images(self, tmp_path: Path) -> None:
        steps: list[tuple[str, int, int]] = []
        report = export_concepts(
            small_set(5),
            tmp_path / "set",
            limit=3,
            workers=0,
            progress=lambda *step: steps.append(step),
        )
        assert (
            report.images == len(open_concepts(f"broden:{tmp_path / 'set'}")) == 3
        )
        assert steps == [("exporting", done, 3) for done in range(4)]

    @pytest.mark.parametrize("options", [BRODEN, MASKS])
    def test_workers_write_the_same_files(
        self, tmp_path: Path, options: ExportOptions
    ) -> None:
        for workers in (0, 2):
            folder = tmp_path / str(workers)
            export_concepts(small_set(7), folder, options, workers=workers)
        alone, together = (
            {
                path.relative_to(tmp_path / name).as_posix(): path.read_bytes()
                for path in (tmp_path / name).rglob("*")
                if path.is_file()
            }
            for name in ("0", "2")
        )
        assert alone == together
        assert len(alone) >= 16

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"format": "coco"}, "the format 'coco' is none of broden, masks"),
            ({"mask_size": (4, 4)}, "a size of masks needs one of images"),
            ({"size": (8, 8), "mask_size": (4, 2)}, "has not the aspect"),
            ({"interpolation": "area"}, "interpolation 'area' is none of"),
        ],
    )
    def test_options_that_do_not_go_together(
        self, values: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(BadInput, match=message):
            ExportOptions(**values)

    def test_planes_of_several_sizes(self, tmp_path: Path) -> None:
        """Broden's layout has one size for each image; the masks format has one for each mask."""
        small, large = np.ones((4, 4), int), np.full((8, 8), 2)
        vocabulary = (*SKY, Concept("blue", "color"))
        original = ListedSet(vocabulary, [Annotation([small, large])])
        note = (
            "planes of several sizes brought to that of the first: a dissection may differ there, "
            "but does not with --size (1 image: 0.png)"
        )
        for options, shapes, notes in (
            (BRODEN, [(4, 4), (4, 4)], (note,)),
            (MASKS, [(4, 4), (8, 8)], ()),
        ):
            folder = tmp_path / options.format
            report = export_concepts(original, folder, options, workers=0)
            planes = (
                open_concepts(f"{options.format}:{folder}").annotation(0).planes
            )
            assert [np.shape(plane) for plane in planes] == shapes
            assert report.notes == notes

    def test_an_image_with_labels_of_the_whole_image_alone(
        self, tmp_path: Path
    ) -> None:
        original = ListedSet(SKY, [Annotation([], (1, 1)), PLANE])
        note = (
            "labels of the whole image alone, and nothing says the size of its masks: half of the "
            "image's is listed (1 image: 0.png)"
        )
        for options, notes in ((BRODEN, (note,)), (MASKS, ())):
            folder = tmp_path / options.format
            report = export_concepts(original, folder, options, workers=0)
            assert report.notes == notes
            copy = open_concepts(f"{options.format}:{folder}")
            assert copy.annotation(0).labels == (1,)
        line = (tmp_path / "broden/index.csv").read_text().splitlines()[1]
        assert line == "0.png,,8,8,4,4,1"

    def test_remarks_on_images_are_in_the_notes(self, tmp_path: Path) -> None:
        clear = noise(0).convert("RGBA")
        clear.putpixel((0, 0), (0, 0, 0, 0))
        original = ListedSet(
            SKY,
            [PLANE, Annotation(PLANE.planes, (), remarks=("9 is not listed",))],
            images=[clear, noise(1)],
        )
        report = export_concepts(original, tmp_path / "set", workers=0)
        assert report.notes == (
            "9 is not listed (1 image: 1.png)",
            "transparent pixels composited on white (1 image: 0.png)",
        )

    @pytest.mark.parametrize(
        "dtype", [np.bool_, np.int8, np.uint16, np.int64, np.uint64]
    )
    @pytest.mark.parametrize("is_mixed", [False, True])
    def test_planes_of_every_type_of_integers(
        self, tmp_path: Path, dtype: type, is_mixed: bool
    ) -> None:
        plane = np.resize([0, 1, 1], (8, 8)).astype(dtype)
        vocabulary = (*SKY, Concept("blue", "color"))
        if is_mixed and dtype is not np.bool_:
            plane[3, 3] = 2
        original = ListedSet(vocabulary, [Annotation([plane])])
        for options in (BRODEN, MASKS):
            folder = tmp_path / options.format
            export_concepts(original, folder, options, workers=0)
            planes = (
                open_concepts(f"{options.format}:{folder}").annotation(0).planes
            )
            read_plane = np.maximum.reduce([np.asarray(each) for each in planes])
            # the masks format has an empty mask for a category that no image has
            assert (read_plane == plane).all()


class TestVocabulary:
    @pytest.mark.parametrize(
        ("concepts", "message"),
        [
            (
                (Concept("", "object"),),
                "the name '' cannot be a cell .*: it is empty",
            ),
            ((Concept(" sky", "object"),), "spaces at its ends"),
            ((Concept("s\0y", "object"),), "NUL"),
            ((Concept("s\ud800y", "object"),), "no text of UTF-8"),
            ((*SKY, *SKY), "two concepts of a category have the same name"),
            ((), "listed has no concepts"),
        ],
    )
    @pytest.mark.parametrize("options", [BRODEN, MASKS])
    def test_names_that_are_no_cells(
        self,
        tmp_path: Path,
        concepts: tuple[Concept, ...],
        message: str,
        options: ExportOptions,
    ) -> None:
        with pytest.raises(ConceptSetInvalid, match=message):
            export_concepts(
                ListedSet(concepts, [PLANE]), tmp_path / "set", options, workers=0
            )
        assert everything_in(tmp_path) == []

    @pytest.mark.parametrize(
        ("category", "formats"),
        [
            ("a/b", FORMATS),
            ("a\\b", FORMATS),
            ("..", FORMATS),
            ("a;b", ["broden"]),
            ("split", ["broden"]),
            ("image", ["broden"]),
        ],
    )
    def test_categories_that_are_no_names_of_files(
        self, tmp_path: Path, category: str, formats: list[str]
    ) -> None:
        original = ListedSet((Concept("sky", category),), [PLANE])
        for options in (BRODEN, MASKS):
            folder = tmp_path / options.format
            if options.format in formats:
                with pytest.raises(
                    ConceptSetInvalid, match="part of a file's name"
                ):
                    export_concepts(original, folder, options, workers=0)
            else:
                export_concepts(original, folder, options, workers=0)
                check_concept_set(open_concepts, f"{options.format}:{folder}")

    def test_more_labels_than_a_mask_holds(self, tmp_path: Path) -> None:
        concepts = tuple(Concept(f"c{number}", "x") for number in range(65536))
        original = ListedSet(concepts, [PLANE])
        for options in (BRODEN, MASKS):
            with pytest.raises(ConceptSetInvalid, match="65536 concepts"):
                export_concepts(original, tmp_path / "set", options, workers=0)

    def test_synonyms_that_are_no_entries_of_a_cell(self, tmp_path: Path) -> None:
        sky = Concept("sky", "object", ("a;b", "air", " "))
        original = ListedSet((sky,), [PLANE])
        report = export_concepts(original, tmp_path / "set", workers=0)
        assert open_concepts(f"broden:{tmp_path / 'set'}").concepts == (
            Concept("sky", "object", ("air",)),
        )
        assert report.notes == (
            "2 synonyms that hold ';', or nothing, were left out",
        )


class TestNames:
    HOSTILE = (
        "../../etc/passwd",
        "/abs/a.png",
        "a.png",
        "a.jpg",
        "A.png",
        "dir/./b.png",
        ".hidden/.c.png",
        "",
        "x" * 300,
        "line\nfeed;semi\x1b[31m.png",
        "\ud800.png",
        "v1.2",
        "a_object.png",
        "a_object_2.png",
        "a.1.png",
        "con?*.png",
    )

    @pytest.mark.parametrize("options", [BRODEN, MASKS])
    def test_hostile_names_stay_inside_and_apart(
        self, tmp_path: Path, options: ExportOptions
    ) -> None:
        layered = Annotation([np.full((8, 8), 1), np.full((8, 8), 2)])
        vocabulary = (*SKY, Concept("wall", "object"))
        count = len(self.HOSTILE)
        original = ListedSet(vocabulary, [layered] * count, names=self.HOSTILE)
        folder = tmp_path / "set"
        report = export_concepts(original, folder, options, workers=0)
        assert everything_in(tmp_path) == ["set"]
        copy = open_concepts(f"{options.format}:{folder}")
        assert len(copy) == count
        pixels = {copy.image(index).tobytes() for index in range(count)}
        assert pixels == {noise(index).tobytes() for index in range(count)}
        for index in range(count):
            values = [int(plane.max()) for plane in copy.annotation(index).planes]
            assert sorted(values) == [1, 2], copy.name(index)
        assert any("other names than in the set" in note for note in report.notes)

    def test_good_names_stay(self) -> None:
        names = ["train/a b.png", "train/ä.JPG", "a.b.c.tiff", "a_object1.png", "7"]
        assert image_stems(names, NUMBERED) == [
            "train/a b",
            "train/ä",
            "a.b.c",
            "a_object1",
            "7",
        ]

    def test_a_name_that_looks_like_a_further_mask(self) -> None:
        assert image_stems(["b.png", "b.1.png", "c.1.png"], NUMBERED) == [
            "b",
            "b.1-2",
            "c.1",
        ]
