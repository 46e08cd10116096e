"""The Describable Textures Dataset."""

from __future__ import annotations

from pathlib import Path

import made_sources_a as made
import pytest

from nd_plugin import BadInput, ConceptSetInvalid, open_concepts
from nd_plugin.reading import LabelledFiles


def opened(text: str) -> LabelledFiles:
    concepts = open_concepts(text)
    return concepts  # type: ignore[return-value]


def textures(concepts: LabelledFiles) -> dict[str, list[str]]:
    """Names of the textures of each image."""
    return {
        concepts.name(index): [
            concepts.concepts[label - 1].name
            for label in concepts.annotation(index).labels
        ]
        for index in range(len(concepts))
    }


def splits(concepts: LabelledFiles) -> list[str]:
    return [concepts.split(index) for index in range(len(concepts))]


def test_textures_of_folders_and_of_the_joint_annotations(tmp_path: Path) -> None:
    concepts = opened(made.write_dtd(tmp_path))
    assert concepts.categories == ("texture",)
    names = [concept.name for concept in concepts.concepts]
    assert names == ["banded", "dotted", "lined", "zigzagged"]
    assert textures(concepts) == {
        "banded/banded_0002.jpg": ["banded", "lined"],
        "banded/banded_0005.jpg": ["banded"],
        "dotted/dotted_0002.jpg": ["dotted"],
        "dotted/dotted_0005.jpg": ["dotted"],
        "zigzagged/zigzagged_0002.jpg": ["zigzagged", "banded"],
        "zigzagged/zigzagged_0005.jpg": ["zigzagged"],
    }
    assert concepts.annotation(0).planes == () and concepts.notes == ()
    assert concepts.files(0) == [tmp_path / "dtd/images/banded/banded_0002.jpg"]


def test_partitions(tmp_path: Path) -> None:
    text = made.write_dtd(tmp_path)
    pairs = ["train", "train", "val", "val", "test", "test"]
    assert splits(opened(text)) == pairs
    second = opened(f"{text}?partition=2")
    assert splits(second) == pairs[::-1]
    assert second.identity.source == f"{text}?partition=2"
    assert second.identity.fingerprint != opened(text).identity.fingerprint
    for partition in ("0", "11", "first", ""):
        with pytest.raises(
            BadInput, match="none of the data set's partitions, 1 to 10"
        ):
            open_concepts(f"{text}?partition={partition}")


def test_the_folder_above(tmp_path: Path) -> None:
    made.write_dtd(tmp_path)
    concepts = opened(f"dtd:{tmp_path}")
    assert len(concepts) == 6 and concepts.notes == (
        f"read from dtd in {tmp_path}",
    )


def test_lists_that_are_missing(tmp_path: Path) -> None:
    text = made.write_dtd(tmp_path)
    labels = tmp_path / "dtd/labels"
    (labels / "labels_joint_anno.txt").unlink()
    (labels / "val1.txt").unlink()
    concepts = opened(text)
    assert concepts.notes == (
        "no labels_joint_anno.txt: images have the texture of their folder alone",
        f"no val1.txt in {labels}: no image is of val",
        "2 of 6 images are in no list of a split, for example dotted/dotted_0002.jpg",
    )
    assert splits(concepts) == ["train", "train", "", "", "test", "test"]
    assert textures(concepts)["banded/banded_0002.jpg"] == ["banded"]


def test_images_that_are_missing(tmp_path: Path) -> None:
    text = made.write_dtd(tmp_path)
    (tmp_path / "dtd/images/banded/banded_0002.jpg").unlink()
    concepts = opened(text)
    assert len(concepts) == 5
    assert concepts.notes == (
        "1 images of labels_joint_anno.txt are not in images/, for example "
        "banded/banded_0002.jpg",
    )


def test_lists_that_contradict_each_other(tmp_path: Path) -> None:
    text = made.write_dtd(tmp_path)
    with (tmp_path / "dtd/labels/test1.txt").open("a") as file:
        file.write("banded/banded_0002.jpg\n")
    with pytest.raises(
        ConceptSetInvalid,
        match=r"test1\.txt, line 3: 'banded/banded_0002\.jpg' is in the list of train, too",
    ):
        open_concepts(text)


def test_a_wrong_folder(tmp_path: Path) -> None:
    text = made.write_dtd(tmp_path)
    made.save_photo(tmp_path / "dtd/images/banded_0001.jpg")
    with pytest.raises(
        ConceptSetInvalid, match=r"banded_0001\.jpg .* is in no folder"
    ):
        open_concepts(text)
    with pytest.raises(
        ConceptSetInvalid,
        match=r"has no images and no labels; it holds banded, .* dtd/ with images/CLASS",
    ):
        open_concepts(f"dtd:{tmp_path / 'dtd/images'}")
