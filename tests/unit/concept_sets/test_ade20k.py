"""ADE20K in its three layouts: the full releases of 2016 and 2021, and scene parsing."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import made_sources_a as made
import numpy as np
import pytest

from nd_plugin import ConceptSet, ConceptSetInvalid, open_concepts
from nd_plugin.reading import LabelledFiles


def opened(text: str) -> LabelledFiles:
    concepts = open_concepts(text)
    return concepts  # type: ignore[return-value]


def value(concepts: ConceptSet, name: str, category: str) -> int:
    """Value that planes have for a concept."""
    pairs = [(concept.name, concept.category) for concept in concepts.concepts]
    return pairs.index((name, category)) + 1


def by_name(concepts: ConceptSet, name: str) -> int:
    """Index of the image of this name."""
    names = [concepts.name(index) for index in range(len(concepts))]
    return next(index for index, path in enumerate(names) if name in path)


class TestOf2016:
    def test_objects_parts_and_parts_of_parts(self, tmp_path: Path) -> None:
        concepts = opened(made.write_ade20k_2016(tmp_path))
        assert concepts.categories == ("object", "part", "scene")
        annotation = concepts.annotation(by_name(concepts, "00000001"))
        expected = (
            (("building", "object"), ("car", "object")),
            (("door", "part"), ("wheel", "part")),
            (("handle", "part"), None),
        )
        for plane, (left, right) in zip(annotation.planes, expected, strict=True):
            right_value = value(concepts, *right) if right else 0
            mask = made.halves(value(concepts, *left), right_value)
            assert plane.tolist() == mask.tolist()
        assert annotation.labels == (value(concepts, "airport_terminal", "scene"),)
        assert annotation.remarks == ()

    def test_names_and_synonyms(self, tmp_path: Path) -> None:
        concepts = opened(made.write_ade20k_2016(tmp_path))
        car = concepts.concepts[value(concepts, "car", "object") - 1]
        assert car.synonyms == ("auto", "automobile", "machine", "motorcar")
        names = {
            (concept.name, concept.category)
            for concept in concepts.concepts
            if concept.name in ("sky", "wheel", "door")
        }
        # never a part, always a part, and now this, now that
        assert names == {
            ("sky", "object"),
            ("wheel", "part"),
            ("door", "object"),
            ("door", "part"),
        }

    def test_scenes_and_splits(self, tmp_path: Path) -> None:
        concepts = opened(made.write_ade20k_2016(tmp_path))
        scenes = {}
        for index in range(len(concepts)):
            labels = concepts.annotation(index).labels
            names = [concepts.concepts[label - 1].name for label in labels]
            scenes[Path(concepts.name(index)).stem] = (names, concepts.split(index))
        assert scenes == {
            "ADE_train_00000001": (["airport_terminal"], "train"),
            "ADE_train_00004711": (["church-outdoor"], "train"),
            "ADE_train_00013001": ([], "train"),  # in misc/
            "ADE_val_00001533": (["street"], "val"),
        }

    def test_the_archive_s_folder_or_the_one_it_is_in(self, tmp_path: Path) -> None:
        text = made.write_ade20k_2016(tmp_path)
        assert opened(text).notes == ("read in the layout of ADE20K_2016_07_26",)
        assert opened(f"ade20k:{tmp_path}").notes == (
            f"read in the layout of ADE20K_2016_07_26, from ADE20K_2016_07_26 in {tmp_path}",
        )

    def test_an_index_that_is_missing_or_another(self, tmp_path: Path) -> None:
        text = made.write_ade20k_2016(tmp_path)
        index = tmp_path / "ADE20K_2016_07_26/index_ade20k.mat"
        made.save_matlab(index, index={"filename": "a"})
        with pytest.raises(ConceptSetInvalid, match="has no field 'objectnames'"):
            open_concepts(text)
        made.save_matlab(index, index={"objectnames": np.ones(3)})
        with pytest.raises(ConceptSetInvalid, match="something else than texts"):
            open_concepts(text)
        made.save_matlab(index, table=np.ones(3))
        with pytest.raises(ConceptSetInvalid, match="has no struct 'index'"):
            open_concepts(text)
        index.write_bytes(index.read_bytes()[:-9])
        with pytest.raises(ConceptSetInvalid, match="it is cut short"):
            open_concepts(text)
        index.unlink()
        for folder in (text, f"ade20k:{tmp_path}"):
            with pytest.raises(
                ConceptSetInvalid, match=r"has no index_ade20k\.mat, whose names"
            ):
                open_concepts(folder)

    def test_an_index_without_shares_of_parts(self, tmp_path: Path) -> None:
        text = made.write_ade20k_2016(tmp_path)
        names = np.full((1, 312), "-", object)
        names[0, 311] = "building, edifice"
        made.save_matlab(
            tmp_path / "ADE20K_2016_07_26/index_ade20k.mat",
            index={"objectnames": names},
        )
        concepts = opened(text)
        pairs = [(concept.name, concept.category) for concept in concepts.concepts]
        assert pairs[:2] == [("building", "object"), ("building", "part")]
        index = by_name(concepts, "00000001")
        assert concepts.annotation(index).remarks == (
            "401 occurs in masks of objects, and the data set's list of classes does not list it",
            "774 occurs in masks of parts, and the data set's list of classes does not list it",
            "3035 occurs in masks of parts, and the data set's list of classes does not list it",
            "1762 occurs in masks of parts, and the data set's list of classes does not list it",
        )

    def test_masks_that_are_missing_or_damaged(self, tmp_path: Path) -> None:
        text = made.write_ade20k_2016(tmp_path)
        stem = (
            tmp_path
            / "ADE20K_2016_07_26/images/training/a/airport_terminal/ADE_train_00000001"
        )
        mask = stem.with_name(f"{stem.name}_seg.png")
        made.save_grey(mask, made.halves(1, 2))
        concepts = opened(text)
        with pytest.raises(ValueError, match="is of mode L; expected RGB"):
            concepts.annotation(by_name(concepts, "00000001"))
        mask.unlink()
        concepts = opened(text)
        assert len(concepts) == 3
        assert (
            concepts.notes[-1] == "1 images without a mask …_seg.png are left out"
        )


class TestOf2021:
    def test_names_by_the_records_of_images(self, tmp_path: Path) -> None:
        concepts = opened(made.write_ade20k_2021(tmp_path))
        index = by_name(concepts, "00016869")
        assert concepts.name(index) == (
            "ADE/training/urban/street/ADE_train_00016869.jpg"
        )
        annotation = concepts.annotation(index)
        building, car = (
            value(concepts, name, "object") for name in ("building", "car")
        )
        window, wheel = (
            value(concepts, name, "part") for name in ("window", "wheel")
        )
        assert annotation.planes[0].tolist() == made.halves(building, car).tolist()
        assert annotation.planes[1].tolist() == made.halves(window, wheel).tolist()
        assert annotation.labels == (value(concepts, "street", "scene"),)
        assert [concepts.split(number) for number in range(2)] == ["train", "val"]
        assert ("door", "part") not in [
            (concept.name, concept.category) for concept in concepts.concepts
        ]
        assert concepts.notes == ("read in the layout of ADE20K_2021_17_01",)

    def test_the_masks_of_instances_are_no_images(self, tmp_path: Path) -> None:
        concepts = opened(made.write_ade20k_2021(tmp_path))
        assert len(concepts) == 2
        files = [path.name for path in concepts.files(0)]
        assert files == [
            "ADE_train_00016869.jpg",
            "ADE_train_00016869_seg.png",
            "ADE_train_00016869_parts_1.png",
            "ADE_train_00016869.json",
        ]

    def test_records_that_cannot_be_read(self, tmp_path: Path) -> None:
        text = made.write_ade20k_2021(tmp_path)
        bedroom = (
            tmp_path
            / "ADE20K_2021_17_01/images/ADE/validation/home_or_hotel/bedroom"
        )
        (bedroom / "ADE_val_00000170.json").write_text('{"annotation": ')
        concepts = opened(text)
        assert concepts.notes[-1].startswith(
            "1 of 2 records of images cannot be read"
        )
        assert concepts.annotation(by_name(concepts, "bedroom")).remarks == (
            "774 occurs in masks of objects, and the data set's list of classes does not list it",
        )

    def test_a_record_in_latin_1_and_entries_of_another_form(
        self, tmp_path: Path
    ) -> None:
        text = made.write_ade20k_2021(tmp_path)
        bedroom = (
            tmp_path
            / "ADE20K_2021_17_01/images/ADE/validation/home_or_hotel/bedroom"
        )
        path = bedroom / "ADE_val_00000170.json"
        record = json.loads(path.read_text())
        entry = record["annotation"]["object"][0]
        record["annotation"]["object"] = [
            entry | {"name_ndx": []},
            entry | {"name": "café", "name_ndx": 774},
            entry | {"name": "-", "name_ndx": 5},
        ]
        path.write_bytes(json.dumps(record, ensure_ascii=False).encode("latin-1"))
        concepts = opened(text)
        assert value(concepts, "café", "object")
        names = [concept.name for concept in concepts.concepts]
        assert "-" not in names and "door" not in names
        assert len(concepts.notes) == 1

    def test_the_pickled_index_is_not_loaded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = made.write_ade20k_2021(tmp_path)

        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("a pickle was loaded")

        monkeypatch.setattr(pickle, "load", refuse)
        monkeypatch.setattr(pickle, "loads", refuse)
        assert len(opened(text)) == 2


class TestSceneParsing:
    def test_objects_scenes_and_splits(self, tmp_path: Path) -> None:
        concepts = opened(made.write_scene_parsing(tmp_path))
        assert concepts.categories == ("object", "scene")
        building = concepts.concepts[1]
        assert (building.name, building.synonyms) == ("building", ("edifice",))
        flag = value(concepts, "flag", "object")
        planes = [concepts.annotation(index).planes[0] for index in range(3)]
        assert planes[0].tolist() == made.halves(1, 2).tolist()
        assert planes[1].tolist() == made.halves(flag, 0).tolist()
        assert planes[2].tolist() == made.halves(2, 3).tolist()
        labels = [concepts.annotation(index).labels for index in range(3)]
        assert labels == [
            (value(concepts, "airport_terminal", "scene"),),
            (),  # misc
            (value(concepts, "abbey", "scene"),),
        ]
        splits = [concepts.split(index) for index in range(3)]
        assert splits == ["train", "train", "val"]
        assert concepts.notes == ("read in the layout of ADEChallengeData2016",)

    def test_images_without_masks_and_no_scenes(self, tmp_path: Path) -> None:
        text = made.write_scene_parsing(tmp_path)
        folder = tmp_path / "ADEChallengeData2016"
        made.save_photo(folder / "images/testing/ADE_test_00000001.jpg")
        (folder / "sceneCategories.txt").unlink()
        concepts = opened(text)
        assert len(concepts) == 3 and concepts.categories == ("object",)
        assert concepts.notes[1:] == (
            "no sceneCategories.txt: images have no scenes",
            "1 images without a mask in annotations/ are left out, for example "
            "testing/ADE_test_00000001.jpg",
        )

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ("1,0.1,wall\n", "has no column Idx, Name"),
            ("Idx\tName\nx\twall\n", r"line 2: expected a number from 1 to 255"),
            ("Idx\tName\n0\twall\n", r"but they are '0' and 'wall'"),
            ("Idx\tName\n1\n", r"but they are '1' and ''"),
            (
                "Idx\tName\n1\twall\n1\tsky\n",
                r"line 3: the number 1 is there twice",
            ),
        ],
    )
    def test_malformed_names(
        self, tmp_path: Path, table: str, message: str
    ) -> None:
        text = made.write_scene_parsing(tmp_path)
        (tmp_path / "ADEChallengeData2016/objectInfo150.txt").write_text(table)
        with pytest.raises(ConceptSetInvalid, match=message):
            open_concepts(text)

    def test_a_later_table_of_names(self, tmp_path: Path) -> None:
        """With a column between the others, as the benchmark's repository has it."""
        text = made.write_scene_parsing(tmp_path)
        (tmp_path / "ADEChallengeData2016/objectInfo150.txt").write_text(
            "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.1\t2\t3\t1\twall\n"
        )
        assert opened(text).concepts[0].name == "wall"

    def test_values_and_files_that_do_not_fit(self, tmp_path: Path) -> None:
        text = made.write_scene_parsing(tmp_path)
        folder = tmp_path / "ADEChallengeData2016"
        path = folder / "annotations/training/ADE_train_00000001.png"
        made.save_grey(path, made.halves(151, 1))
        concepts = opened(text)
        assert concepts.annotation(0).remarks == (
            "151 occurs in masks of annotations/, and objectInfo150.txt does not list it",
        )
        made.save_grey(path, made.halves(1, 1, (32, 24)))
        with pytest.raises(ValueError, match="has not the aspect of its image"):
            concepts.annotation(0)
        (folder / "sceneCategories.txt").write_text("ADE_train_00000001\n")
        with pytest.raises(ConceptSetInvalid, match="not an image and its scene"):
            open_concepts(text)


class TestLayouts:
    def test_several_in_one_folder(self, tmp_path: Path) -> None:
        made.write_ade20k_2021(tmp_path)
        text = made.write_scene_parsing(tmp_path)
        with pytest.raises(ConceptSetInvalid) as caught:
            open_concepts(f"ade20k:{tmp_path}")
        assert f"in several layouts: choose one of {text}, ade20k:" in str(
            caught.value
        )

    def test_a_wrong_folder(self, tmp_path: Path) -> None:
        with pytest.raises(
            ConceptSetInvalid,
            match="has no images/training; it holds nothing; expected ADE20K_2016_07_26",
        ):
            open_concepts(f"ade20k:{tmp_path}")
        text = made.write_scene_parsing(tmp_path)
        (tmp_path / "ADEChallengeData2016/objectInfo150.txt").unlink()
        with pytest.raises(ConceptSetInvalid, match=r"has no objectInfo150\.txt"):
            open_concepts(text)
