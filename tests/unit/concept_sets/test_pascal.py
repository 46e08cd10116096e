"""Pascal VOC's segmentation, Pascal-Context and Pascal-Part, in their true layouts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import made_sources_a as made
import numpy as np
import pytest
from PIL import Image

from nd_pascal.part_names import PART_NAMES, plain_name
from nd_plugin import BadInput, ConceptSet, ConceptSetInvalid, open_concepts
from nd_plugin.reading import LabelledFiles


def opened(text: str) -> LabelledFiles:
    concepts = open_concepts(text)
    return concepts  # type: ignore[return-value]


def value(concepts: ConceptSet, name: str, category: str = "object") -> int:
    """Value that planes have for a concept."""
    pairs = [(concept.name, concept.category) for concept in concepts.concepts]
    return pairs.index((name, category)) + 1


class TestSegmentation:
    def test_masks_void_and_splits(self, tmp_path: Path) -> None:
        concepts = opened(made.write_voc(tmp_path))
        assert len(concepts.concepts) == 20 and concepts.categories == ("object",)
        assert [concepts.name(index) for index in range(3)] == [
            f"{name}.jpg" for name in made.VOC_NAMES[:3]
        ]
        assert [concepts.split(index) for index in range(3)] == [
            "train",
            "train",
            "val",
        ]
        (plane,) = concepts.annotation(0).planes
        aeroplane = value(concepts, "aeroplane")
        assert plane.tolist() == made.halves(aeroplane, 0).tolist()
        (plane,) = concepts.annotation(1).planes
        tv_monitor = value(concepts, "tv monitor")
        assert tv_monitor == 20
        assert plane.tolist() == made.halves(tv_monitor, 15).tolist()
        annotation = concepts.annotation(2)
        assert annotation.planes[0].tolist() == made.halves(0, 12).tolist()
        assert annotation.remarks == () and annotation.labels == ()
        assert concepts.concepts[0].synonyms == ("airplane",)

    def test_the_files_of_an_image(self, tmp_path: Path) -> None:
        concepts = opened(made.write_voc(tmp_path))
        folder = tmp_path / "VOCdevkit/VOC2012"
        assert concepts.files(0) == [
            folder / "JPEGImages/2007_000032.jpg",
            folder / "SegmentationClass/2007_000032.png",
        ]

    @pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
    def test_the_kit_or_a_year_of_it(self, tmp_path: Path, below: str) -> None:
        made.write_voc(tmp_path)
        concepts = opened(f"voc:{tmp_path / below}")
        assert len(concepts) == 3
        notes = [note for note in concepts.notes if "read from" in note]
        assert bool(notes) == (below != "VOCdevkit/VOC2012")

    def test_several_years(self, tmp_path: Path) -> None:
        made.write_voc(tmp_path, 2007)
        made.write_voc(tmp_path, 2012)
        assert concepts_root(f"voc:{tmp_path}") == "VOC2012"
        assert concepts_root(f"voc:{tmp_path}?year=2007") == "VOC2007"
        notes = opened(f"voc:{tmp_path}").notes
        assert "the latest of VOC2012, VOC2007; another with ?year=" in notes[0]
        with pytest.raises(ConceptSetInvalid, match="VOC2010 has no JPEGImages"):
            open_concepts(f"voc:{tmp_path}?year=2010")
        with pytest.raises(BadInput, match="year=latest is no year"):
            open_concepts(f"voc:{tmp_path}?year=latest")

    def test_other_masks_with_the_same_values(self, tmp_path: Path) -> None:
        """Those of SBD, as many have them beside VOC's own."""
        made.write_voc(tmp_path)
        folder = tmp_path / "VOCdevkit/VOC2012"
        made.save_grey(
            folder / "SegmentationClassAug" / f"{made.VOC_NAMES[3]}.png",
            made.halves(20, 0),
        )
        concepts = opened(f"voc:{folder}?masks=SegmentationClassAug")
        assert len(concepts) == 1 and concepts.name(0) == "2008_000008.jpg"
        assert concepts.split(0) == ""
        assert concepts.identity.source.endswith("?masks=SegmentationClassAug")
        assert concepts.annotation(0).planes[0][0, 0] == 20
        with pytest.raises(ConceptSetInvalid, match="is outside"):
            open_concepts(f"voc:{folder}?masks=../secret")

    def test_other_masks_have_a_training_list_of_their_own(
        self, tmp_path: Path
    ) -> None:
        """SBD's masks are of images in trainaug.txt, of which train.txt is a part."""
        text = made.write_voc(tmp_path)
        folder = tmp_path / "VOCdevkit/VOC2012"
        for name in made.VOC_NAMES:
            made.save_grey(
                folder / "SegmentationClassAug" / f"{name}.png", made.halves(20, 0)
            )
        names = [*made.VOC_NAMES[:2], made.VOC_NAMES[3]]
        trainaug = folder / "ImageSets/Segmentation/trainaug.txt"
        made.write_lines(trainaug, names)
        concepts = opened(f"{text}?masks=SegmentationClassAug")
        assert [concepts.split(index) for index in range(4)] == [
            "train",
            "train",
            "val",
            "train",
        ]
        assert concepts.notes[1:] == (
            "the split train is of trainaug.txt, as masks are those of SegmentationClassAug",
        )
        before = concepts.identity.fingerprint
        made.write_lines(trainaug, names[1:])
        changed = opened(f"{text}?masks=SegmentationClassAug")
        assert changed.identity.fingerprint != before
        assert "trainaug" not in " ".join(opened(text).notes)

    def test_no_lists_of_splits(self, tmp_path: Path) -> None:
        text = made.write_voc(tmp_path)
        shutil.rmtree(tmp_path / "VOCdevkit/VOC2012/ImageSets")
        concepts = opened(text)
        assert concepts.split(0) == ""
        assert concepts.notes[-1].startswith("no lists of splits are there")

    def test_masks_without_images_and_images_in_two_splits(
        self, tmp_path: Path
    ) -> None:
        text = made.write_voc(tmp_path)
        folder = tmp_path / "VOCdevkit/VOC2012"
        (folder / "JPEGImages" / f"{made.VOC_NAMES[1]}.jpg").unlink()
        concepts = opened(text)
        assert len(concepts) == 2
        assert any(
            note.startswith("1 of 3 files in SegmentationClass have no image")
            for note in concepts.notes
        )
        made.write_lines(
            folder / "ImageSets/Segmentation/val.txt", made.VOC_NAMES[:1]
        )
        with pytest.raises(ConceptSetInvalid, match=r"val\.txt, line 1.*of train"):
            open_concepts(text)

    def test_folders_that_are_links_to_elsewhere(self, tmp_path: Path) -> None:
        """As of images on a disk of their own: what is read is listed, and not named by a table."""
        made.write_voc(tmp_path / "disk")
        kit = tmp_path / "disk/VOCdevkit/VOC2012"
        for name in ("JPEGImages", "SegmentationClass", "ImageSets"):
            (tmp_path / "here").mkdir(exist_ok=True)
            (tmp_path / "here" / name).symlink_to(kit / name)
        concepts = opened(f"voc:{tmp_path / 'here'}")
        assert concepts.image(0).size == (32, 24)
        assert concepts.annotation(0).planes[0].any() and concepts.split(2) == "val"

    def test_values_that_are_no_class(self, tmp_path: Path) -> None:
        text = made.write_voc(tmp_path)
        path = tmp_path / "VOCdevkit/VOC2012/SegmentationClass/2007_000032.png"
        made.save_palette(path, made.halves(21, 3))
        annotation = opened(text).annotation(0)
        assert annotation.planes[0].tolist() == made.halves(0, 3).tolist()
        assert annotation.remarks == (
            "21 occurs in masks of SegmentationClass/, and Pascal VOC does not list it",
        )

    def test_masks_that_are_damaged(self, tmp_path: Path) -> None:
        text = made.write_voc(tmp_path)
        path = tmp_path / "VOCdevkit/VOC2012/SegmentationClass/2007_000032.png"
        concepts = opened(text)
        made.save_palette(path, made.halves(1, 0, (24, 24)))
        with pytest.raises(ValueError, match="has not the aspect of its image"):
            concepts.annotation(0)
        made.save_colours(path, [made.halves(1, 0)] * 3)
        with pytest.raises(ValueError, match="mode RGB; expected P or L"):
            concepts.annotation(0)
        Image.new("L", (32, 24)).save(path, "JPEG")
        with pytest.raises(ConceptSetInvalid, match="JPEG file by its content"):
            open_concepts(text)

    def test_a_wrong_folder(self, tmp_path: Path) -> None:
        (tmp_path / "JPEGImages").mkdir()
        with pytest.raises(
            ConceptSetInvalid,
            match="has no SegmentationClass; it holds JPEGImages; expected VOCdevkit/VOC2012 with",
        ):
            open_concepts(f"voc:{tmp_path}")
        with pytest.raises(
            ConceptSetInvalid, match="no folder '/none'; expected voc"
        ):
            open_concepts("voc:/none")


@pytest.mark.parametrize("name", ["JPEGImages", "SegmentationClass"])
def test_a_file_in_the_place_of_a_folder_is_named(
    tmp_path: Path, name: str
) -> None:
    text = made.write_voc(tmp_path)
    path = tmp_path / "VOCdevkit/VOC2012" / name
    shutil.rmtree(path)
    path.touch()
    with pytest.raises(ConceptSetInvalid, match=f"{name} cannot be listed: Not a"):
        open_concepts(text)


def concepts_root(text: str) -> str:
    return opened(text).root.name


class TestContext:
    def test_labels_of_all_pixels(self, tmp_path: Path) -> None:
        concepts = opened(made.write_pascal_context(tmp_path))
        names = [concept.name for concept in concepts.concepts]
        assert names == [
            "accordion",
            "aeroplane",
            "bird",
            "cup",
            "tree",
            "water",
            "wood",
        ]
        planes = [concepts.annotation(index).planes[0] for index in range(3)]
        aeroplane, tree, wood, water = (
            value(concepts, name) for name in ("aeroplane", "tree", "wood", "water")
        )
        assert planes[0].tolist() == made.halves(aeroplane, tree).tolist()
        assert planes[1].tolist() == made.halves(wood, 0).tolist()
        # 'unknown' is no concept, and nothing to remark
        assert planes[2].tolist() == made.halves(0, water).tolist()
        assert concepts.annotation(2).remarks == ()
        assert [concepts.split(index) for index in range(3)] == [
            "train",
            "train",
            "val",
        ]

    def test_the_59_frequent_labels(self, tmp_path: Path) -> None:
        text = f"{made.write_pascal_context(tmp_path)}?labels=59"
        concepts = opened(text)
        assert [concept.name for concept in concepts.concepts] == [
            "aeroplane",
            "wood",
        ]
        assert (
            concepts.annotation(0).planes[0].tolist() == made.halves(1, 0).tolist()
        )
        assert (
            concepts.annotation(1).planes[0].tolist() == made.halves(2, 0).tolist()
        )
        assert concepts.annotation(2).remarks == ()
        assert concepts.identity.source == text
        with pytest.raises(BadInput, match="labels=60 is none of 459, 59, 33"):
            open_concepts(f"pascal_context:{tmp_path}?labels=60")

    def test_images_elsewhere(self, tmp_path: Path) -> None:
        root = tmp_path / "context"
        made.write_pascal_context(root)
        (root / "VOCdevkit").rename(tmp_path / "VOCdevkit")
        with pytest.raises(
            ConceptSetInvalid,
            match=r"no JPEGImages/ of VOC2010 in .*pascal_context:ROOT\?voc=VOCdevkit/VOC2010",
        ):
            open_concepts(f"pascal_context:{root}")
        kit = tmp_path / "VOCdevkit"
        for voc in (tmp_path, kit, kit / "VOC2010"):
            concepts = opened(f"pascal_context:{root}?voc={voc}")
            assert concepts.image(0).size == (32, 24)
            assert concepts.split(2) == "val"
        # as NetDissect's script has them: the annotations in a folder of their own
        concepts = opened(f"pascal_context:{tmp_path}")
        assert concepts.files(0) == [
            kit / "VOC2010/JPEGImages/2007_000032.jpg",
            root / "trainval/2007_000032.mat",
        ]
        assert concepts.annotation(0).planes[0].any()

    def test_numbers_that_are_not_listed(self, tmp_path: Path) -> None:
        text = made.write_pascal_context(tmp_path)
        made.save_matlab(
            tmp_path / "trainval/2007_000032.mat",
            LabelMap=made.halves(460, 2).astype(np.uint16),
        )
        assert opened(text).annotation(0).remarks == (
            "460 occurs in masks of trainval/, and labels.txt does not list it",
        )

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ({"LabelMap": np.ones((24, 32))}, "is no grid of integers"),
            ({"LabelMap": np.ones((24, 32, 2), np.uint16)}, "is no grid"),
            ({"LabelMap": np.ones((24, 24), np.uint16)}, "has not the aspect"),
            ({"labels": np.ones((24, 32), np.uint16)}, "no variable 'LabelMap'"),
        ],
    )
    def test_files_of_another_content(
        self, tmp_path: Path, labels: dict[str, np.ndarray], message: str
    ) -> None:
        concepts = opened(made.write_pascal_context(tmp_path))
        made.save_matlab(tmp_path / "trainval/2007_000032.mat", **labels)
        with pytest.raises(ValueError, match=message) as caught:
            concepts.annotation(0)
        assert "trainval/2007_000032.mat" in str(caught.value)

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("accordion", "is no label; expected a number and a name"),
            ("99999: house", "is no label"),
            ("2: house", "the number 2 is listed twice"),
        ],
    )
    def test_malformed_labels(
        self, tmp_path: Path, line: str, message: str
    ) -> None:
        text = made.write_pascal_context(tmp_path)
        with (tmp_path / "labels.txt").open("a") as file:
            file.write(f"{line}\n")
        with pytest.raises(
            ConceptSetInvalid, match=rf"labels\.txt, line 9: .*{message}"
        ):
            open_concepts(text)

    def test_a_wrong_folder(self, tmp_path: Path) -> None:
        made.write_voc(tmp_path)
        with pytest.raises(
            ConceptSetInvalid,
            match=r"no trainval and no labels\.txt; it holds VOCdevkit; expected trainval/NAME",
        ):
            open_concepts(f"pascal_context:{tmp_path}")


class TestParts:
    def test_objects_and_parts_that_overlap(self, tmp_path: Path) -> None:
        concepts = opened(made.write_pascal_part(tmp_path))
        assert concepts.categories == ("object", "part")
        objects, parts, parts_above = concepts.annotation(0).planes
        person, train = value(concepts, "person"), value(concepts, "train")
        assert objects.tolist() == made.halves(person, train).tolist()
        expected = np.zeros(made.SIZE, int)
        expected[:10, :16] = value(concepts, "head", "part")
        expected[20:, :4] = value(concepts, "left foot", "part")
        expected[:, 16:] = value(concepts, "coach", "part")  # both of them
        assert parts.tolist() == expected.tolist()
        expected = np.zeros(made.SIZE, int)
        expected[2:4, 2:4] = value(concepts, "left eye", "part")
        expected[2:4, 8:10] = value(concepts, "right eye", "part")
        expected[:4, 16:20] = value(concepts, "coach front side", "part")
        assert parts_above.tolist() == expected.tolist()
        assert concepts.annotation(0).remarks == ()

    def test_objects_without_parts_and_images_without_objects(
        self, tmp_path: Path
    ) -> None:
        concepts = opened(made.write_pascal_part(tmp_path))
        (plane,) = concepts.annotation(1).planes
        table = value(concepts, "dining table")
        assert plane.tolist() == made.halves(0, table).tolist()
        assert concepts.annotation(2).planes == []
        assert [concepts.split(index) for index in range(3)] == [
            "train",
            "train",
            "val",
        ]

    def test_names_that_are_not_known(self, tmp_path: Path) -> None:
        text = made.write_pascal_part(tmp_path)
        records = [
            made.instance(
                "unicorn",
                21,
                made.halves(1, 0),
                [made.part("horn", slice(0, 2), slice(0, 2))],
            )
        ]
        anno = made.structs([{"imname": "a", "objects": made.structs(records)}])
        made.save_matlab(tmp_path / "Annotations_Part/2007_000032.mat", anno=anno)
        annotation = opened(text).annotation(0)
        assert annotation.planes == []
        assert annotation.remarks == (
            "the object 'unicorn' is none of Pascal-Part's, and is left out",
            "the part 'horn' is none of Pascal-Part's, and is left out",
        )

    @pytest.mark.parametrize(
        ("anno", "message"),
        [
            (np.ones((2, 2)), "numbers or texts where structs belong"),
            (made.structs([{"imname": "a"}]), "without the field 'objects'"),
            (
                made.structs(
                    [{"objects": made.structs([{"class": 3.0, "mask": 1}])}]
                ),
                "has a name that is no text",
            ),
            (
                made.structs(
                    [
                        {
                            "objects": made.structs(
                                [
                                    made.instance("cow", 10, np.ones((9, 9)), []),
                                    made.instance("cow", 10, np.ones((9, 8)), []),
                                ]
                            )
                        }
                    ]
                ),
                "of 9x8 pixels, the first of its image of 9x9",
            ),
            (
                made.structs(
                    [
                        {
                            "objects": made.structs(
                                [made.instance("cow", 10, np.ones((9, 9)), [])]
                            )
                        }
                    ]
                ),
                "9x9, which has not the aspect of its image",
            ),
        ],
    )
    def test_files_of_another_content(
        self, tmp_path: Path, anno: np.ndarray, message: str
    ) -> None:
        concepts = opened(made.write_pascal_part(tmp_path))
        made.save_matlab(tmp_path / "Annotations_Part/2007_000032.mat", anno=anno)
        with pytest.raises(ValueError, match=message):
            concepts.annotation(0)

    def test_a_file_that_is_no_file(self, tmp_path: Path) -> None:
        concepts = opened(made.write_pascal_part(tmp_path))
        path = tmp_path / "Annotations_Part/2007_000032.mat"
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(OSError, match="is a FIFO"):
            concepts.annotation(0)

    def test_names_in_plain_words(self) -> None:
        """Those of the data set's part2ind.m, with the words of its comments."""
        words = {
            "llleg": "left lower leg",
            "lleg": "left leg",
            "lfuleg": "left front upper leg",
            "rbho": "right back hoof",
            "rear": "right ear",
            "rebrow": "right eyebrow",
            "fwheel": "front wheel",
            "wheel_10": "wheel",
            "chainwheel": "chain wheel",
            "bliplate": "back license plate",
            "roofside": "roof side",
            "hleftside": "head left side",
            "cbackside_3": "coach back side",
            "window_20": "window",
            "torso": "torso",
        }
        assert {name: plain_name(name) for name in words} == words
        assert plain_name("wheel_x") is None and plain_name("") is None
        assert not any("_" in name for name in PART_NAMES.values())

    def test_a_wrong_folder(self, tmp_path: Path) -> None:
        text = made.write_pascal_part(tmp_path)
        shutil.rmtree(tmp_path / "Annotations_Part")
        with pytest.raises(
            ConceptSetInvalid,
            match="has no Annotations_Part; it holds VOCdevkit; expected Annotations_Part/NAME",
        ):
            open_concepts(text)
