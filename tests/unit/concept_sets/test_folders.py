"""Folders of images, a folder for each label of whole images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_sources_b import save_photo, write_folders

from nd_plugin import ConceptSetInvalid, open_concepts


def open_folders(text: str) -> Any:
    return open_concepts(text)


def labels_by_name(concepts: Any) -> dict[str, str]:
    labels = {}
    for index in range(len(concepts)):
        annotation = concepts.annotation(index)
        (value,) = annotation.labels
        assert len(annotation.planes) == 0
        labels[concepts.name(index)] = concepts.concepts[value - 1].name
    return labels


def test_folders_are_labels_of_whole_images(tmp_path: Path) -> None:
    text = write_folders(tmp_path)
    concepts = open_folders(text)
    assert concepts.identity.source == text  # defaults are left out
    assert labels_by_name(concepts) == {
        "kitchen/0001.jpg": "kitchen",
        "kitchen/ikea/0002.png": "kitchen",  # as ImageFolder: at any depth
        "street/0001.jpg": "street",
    }
    assert concepts.categories == ("scene",) and concepts.notes == ()
    assert [concepts.split(index) for index in range(3)] == ["", "", ""]


def test_another_category(tmp_path: Path) -> None:
    text = f"{write_folders(tmp_path)}?category=texture"
    concepts = open_folders(text)
    assert concepts.identity.source == text
    assert concepts.categories == ("texture",)
    with pytest.raises(ConceptSetInvalid, match="category= is empty"):
        open_folders(f"folders:{tmp_path}?category=")


def test_splits_are_told_by_their_names(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_folders(tmp_path / split)
    concepts = open_folders(f"folders:{tmp_path}")
    assert len(concepts) == 6
    assert [concept.name for concept in concepts.concepts] == ["kitchen", "street"]
    assert [concepts.split(index) for index in (0, 5)] == ["train", "val"]
    assert concepts.notes == ("the folders train, val are splits, and no classes",)
    # the same folders as classes
    concepts = open_folders(f"folders:{tmp_path}?splits=no")
    assert [concept.name for concept in concepts.concepts] == ["train", "val"]
    with pytest.raises(ConceptSetInvalid, match="none of auto, yes, no"):
        open_folders(f"folders:{tmp_path}?splits=maybe")


def test_splits_of_other_names_are_asked_for(tmp_path: Path) -> None:
    write_folders(tmp_path / "part1")
    concepts = open_folders(f"folders:{tmp_path}")
    assert [concept.name for concept in concepts.concepts] == ["part1"]
    concepts = open_folders(f"folders:{tmp_path}?splits=yes")
    assert [concept.name for concept in concepts.concepts] == ["kitchen", "street"]
    assert concepts.split(0) == "part1"


def test_a_class_may_be_named_as_a_split(tmp_path: Path) -> None:
    save_photo(tmp_path / "test" / "1.jpg", 0)
    save_photo(tmp_path / "train" / "1.jpg", 1)
    concepts = open_folders(f"folders:{tmp_path}")
    assert [concept.name for concept in concepts.concepts] == ["test", "train"]


def test_what_is_ignored_is_said(tmp_path: Path) -> None:
    text = write_folders(tmp_path)
    save_photo(tmp_path / "loose.jpg", 5)
    (tmp_path / "empty").mkdir()
    (tmp_path / "kitchen" / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden").mkdir()
    concepts = open_folders(text)
    assert len(concepts) == 3
    assert concepts.notes == (
        "1 images left out, which lie in no folder of a class: for example loose.jpg",
        "1 folders left out, which hold no image: for example empty",
    )


def test_names_of_folders(tmp_path: Path) -> None:
    for folder in ("n01440764", "n01443537", "n09999999"):
        save_photo(tmp_path / "set" / folder / "1.jpg", len(folder))
    names = tmp_path / "names.csv"
    names.write_text("folder,name\nn01440764,tench\nn01443537,goldfish\n")
    text = f"folders:{tmp_path / 'set'}?category=object&names={names}"
    concepts = open_folders(text)
    assert [concept.name for concept in concepts.concepts] == [
        "tench",
        "goldfish",
        "n09999999",
    ]
    (note,) = concepts.notes
    assert note.startswith("1 folders keep their names") and "n09999999" in note
    before = concepts.identity.fingerprint
    names.write_text("folder,name\nn01440764,Tinca\nn01443537,goldfish\n")
    assert open_folders(text).identity.fingerprint != before


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("folder,name\nx,y\n", "lists none of the folders, for example 'kitchen'"),
        ("folder,name\nkitchen,a\nkitchen,b\n", "'kitchen' is there twice"),
        ("folder,name\nkitchen,\n", "the column 'name' is empty"),
        ("name\nkitchen\n", "has no column 'folder'"),
    ],
)
def test_names_that_are_none(tmp_path: Path, table: str, problem: str) -> None:
    text = write_folders(tmp_path / "set")
    (tmp_path / "names.csv").write_text(table)
    with pytest.raises(ConceptSetInvalid, match=problem):
        open_folders(f"{text}?names={tmp_path / 'names.csv'}")


def test_two_folders_of_one_name_are_one_concept(tmp_path: Path) -> None:
    text = write_folders(tmp_path / "set")
    names = tmp_path / "names.csv"
    names.write_text("folder,name\nkitchen,place\nstreet,place\n")
    concepts = open_folders(f"{text}?names={names}")
    assert set(labels_by_name(concepts).values()) == {"place"}


def test_wrong_roots_are_told_the_layout(tmp_path: Path) -> None:
    with pytest.raises(ConceptSetInvalid, match=r"no images below .*FOLDER/CLASS/"):
        open_folders(f"folders:{tmp_path}")
    save_photo(tmp_path / "1.jpg", 0)
    with pytest.raises(ConceptSetInvalid, match=r"lie in no folder of a class"):
        open_folders(f"folders:{tmp_path}")
    with pytest.raises(ConceptSetInvalid, match="no folder given"):
        open_folders("folders:")


def test_folders_of_classes_may_be_links(tmp_path: Path) -> None:
    write_folders(tmp_path / "all")
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "kitchen").symlink_to(tmp_path / "all" / "kitchen")
    concepts = open_folders(f"folders:{tmp_path / 'some'}")
    assert len(concepts) == 2
    assert concepts.image(0).size == (32, 24)


def test_a_folder_without_a_format_is_not_offered_as_folders(
    tmp_path: Path,
) -> None:
    # any folder of folders of images would be, a set of masks with a mistake, too
    write_folders(tmp_path)
    with pytest.raises(ConceptSetInvalid) as caught:
        open_concepts(str(tmp_path))
    assert f"'folders:{tmp_path}'" not in str(caught.value)
