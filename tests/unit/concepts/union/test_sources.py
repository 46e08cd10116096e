"""Sources of a union: names of folders and images, labels."""

from __future__ import annotations

from dataclasses import replace

import pytest
from union_sets import MadeSet, made_set, objects

from nd_plugin.concepts.union.sources import collect_sources, unique_stems
from nd_plugin.contracts.concept_sets import Concept
from nd_plugin.errors import BadInput, ConceptSetInvalid


def source(text: str = "made:street", count: int = 1) -> MadeSet:
    return made_set(text, objects("car"), count)


def test_names_of_images_are_unique_stems() -> None:
    names = [
        "train/1.jpg",
        "train_1.jpg",
        "1.PNG",
        "1.png",
        "v1.0",
        "a b?.jpg",
        "1-2",
    ]
    assert unique_stems(names) == [
        "train_1",
        "train_1-2",
        "1",
        "1-2",
        "v1.0",
        "a_b_",
        "1-2-2",
    ]


def test_folders_are_in_names_only_where_two_images_are_called_the_same() -> None:
    names = [
        "train/a/1.jpg",
        "val/b/1.png",
        "val/b/2.jpg",
        "val/c/I.jpg",
        "d/i.jpg",
    ]
    assert unique_stems(names) == ["train_a_1", "val_b_1", "2", "val_c_I", "d_i"]


def test_names_that_differ_in_case_are_files_of_their_own() -> None:
    assert unique_stems(["A.jpg", "a.jpg"]) == ["A", "a-2"]


@pytest.mark.parametrize(
    ("texts", "folders"),
    [
        (["masks:/data/street"], ["street"]),
        (["masks:/data/street?x=1", "broden:street"], ["street", "street-2"]),
        (["shapes"], ["shapes"]),
        (["shapes?images=3"], ["shapes"]),
        (["concat:concat(masks:a, masks:b)"], ["concat"]),
    ],
)
def test_a_source_is_named_by_its_folder(
    texts: list[str], folders: list[str]
) -> None:
    sources = collect_sources([("", source(text)) for text in texts])
    assert [item.name for item in sources.sources] == folders


def test_a_source_may_be_given_a_name_of_which_there_is_one() -> None:
    sources = collect_sources([("ade", source()), ("", source())])
    assert [item.name for item in sources.sources] == ["ade", "street"]
    assert sources.name(1) == "street/0"
    with pytest.raises(BadInput, match="two sources are named 'ade'"):
        collect_sources([("ade", source()), ("ade", source())])


def test_images_and_labels_are_numbered_through() -> None:
    concepts = [Concept("day", "scene"), Concept("car", "object")]
    sources = collect_sources(
        [("a", source(count=2)), ("b", made_set("made:b", concepts, 3))], ["red"]
    )
    places = [sources.locate(image) for image in range(sources.image_count)]
    assert [(item.name, index) for item, index in places] == [
        ("a", 0),
        ("a", 1),
        ("b", 0),
        ("b", 1),
        ("b", 2),
    ]
    assert [label.names.name for label in sources.labels] == [
        "car",
        "day-s",
        "car",
        "red-c",
    ]
    assert sources.first_color == 3


def test_a_name_of_nothing_is_no_label() -> None:
    sources = collect_sources(
        [("a", made_set("made:a", objects("-", " ", "car"), 1))]
    )
    assert [label.is_used for label in sources.labels] == [False, False, True]


def test_own_colours_are_left_out_where_they_are_computed() -> None:
    concepts = [Concept("red", "colour"), Concept("car", "object")]
    made = made_set("made:a", concepts, 1)
    computed = collect_sources([("a", made)], ["red"])
    assert [label.is_used for label in computed.labels] == [False, True, True]
    assert computed.notes() == [
        "a: its own labels of category color are replaced by computed ones"
    ]
    kept = collect_sources([("a", made)])
    assert [label.is_used for label in kept.labels] == [True, True]
    assert kept.notes() == []


def test_a_note_counts_the_names_that_several_sources_have() -> None:
    """Names without folder and ending; the last is in all three sources."""
    names = [
        ("a/1.jpg", "a/2.jpg", "3.jpg", "own.jpg"),
        ("1.png", "b/3.jpg"),
        ("3", "other.jpg"),
    ]
    sets = [
        (f"source{number}", replace(source(count=len(texts)), names=texts))
        for number, texts in enumerate(names)
    ]
    (note,) = collect_sources(sets).notes()
    assert note.startswith(
        "2 names of images are in several sources, for example '1' in source0 and source1: "
    )
    assert "maybe in several splits" in note
    assert collect_sources(sets[:1]).notes() == []


@pytest.mark.parametrize("category", ["image", "sh", "a/b", "a;b", "12", "(a)", ""])
def test_categories_that_no_table_can_hold(category: str) -> None:
    made = made_set("made:a", [Concept("car", category)], 1)
    with pytest.raises(ConceptSetInvalid, match="rename it"):
        collect_sources([("a", made)])


def test_no_source_at_all() -> None:
    with pytest.raises(BadInput, match="no source"):
        collect_sources([])
