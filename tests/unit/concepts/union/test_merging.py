"""Merging of labels across sources, and what is kept apart."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from nd_plugin.concepts.union.labels.label_names import normalise_concept
from nd_plugin.concepts.union.labels.merge_rules import MergeRules
from nd_plugin.concepts.union.labels.merging import (
    SourceLabel,
    Union,
    merge_labels,
)
from nd_plugin.contracts.concept_sets import Concept
from nd_plugin.errors import BadInput, ConceptSetInvalid


def labels(*texts: str) -> list[SourceLabel]:
    """Labels from texts ``source/category/name;synonym images``."""
    made = []
    for index, text in enumerate(texts):
        place, _, images = text.rpartition(" ")
        source, category, names = place.split("/")
        name, *synonyms = names.split(";")
        normal = normalise_concept(Concept(name, category, tuple(synonyms)))
        made.append(
            SourceLabel(
                index,
                source,
                category,
                name,
                normal.name,
                normal.synonyms,
                int(images),
                float(images),
            )
        )
    return made


def merge(*texts: str, rules: MergeRules | None = None) -> Union:
    return merge_labels(labels(*texts), rules or MergeRules())


def groups(union: Union) -> dict[str, set[str]]:
    return {label.name: set(map(str, label.members)) for label in union.labels}


def test_labels_of_one_name_become_one_whatever_their_category() -> None:
    union = merge("a/object/Wall 5", "b/part/wall 7", "b/object/sky 9")
    assert groups(union) == {
        "wall": {"a/object/Wall", "b/part/wall"},
        "sky": {"b/object/sky"},
    }
    wall = next(label for label in union.labels if label.name == "wall")
    assert [str(member) for member in wall.members] == [
        "b/part/wall",
        "a/object/Wall",
    ]
    assert wall.reasons == ("its own name", "same name")


def test_scenes_and_colours_are_not_merged_with_objects() -> None:
    union = merge("a/object/street 9", "b/scene/street 9", "a/color/orange 3")
    assert set(groups(union)) == {"street", "street-s", "orange-c"}


def test_positional_words_merge_labels_of_one_source() -> None:
    union = merge("a/part/left leg 3", "a/part/right leg 4", "b/part/leg 9")
    assert groups(union) == {
        "leg": {"a/part/left leg", "a/part/right leg", "b/part/leg"}
    }


def test_a_synonym_that_is_the_name_of_another_label_merges_both() -> None:
    union = merge("a/object/sofa;couch;lounge 30", "b/object/couch 10")
    assert groups(union) == {"sofa": {"a/object/sofa", "b/object/couch"}}
    sofa = union.labels[0]
    assert sofa.synonyms == ("couch", "lounge")
    assert sofa.reasons == ("its own name", "'couch' is a synonym of a/object/sofa")


def test_the_most_frequent_label_gives_the_name() -> None:
    union = merge("a/object/sofa;couch 3", "b/object/couch 10")
    assert set(groups(union)) == {"couch"}
    assert union.labels[0].synonyms == ("sofa",)


def test_a_synonym_of_both_merges_both() -> None:
    union = merge("a/object/sofa;couch 9", "b/object/settee;couch 4")
    assert groups(union) == {"sofa": {"a/object/sofa", "b/object/settee"}}
    assert (
        union.labels[0].reasons[1] == "'couch' is a synonym of a/object/sofa, too"
    )


@pytest.mark.parametrize(
    ("voc", "coco"),
    [
        ("aeroplane", "airplane"),
        ("motorbike", "motorcycle"),
        ("sofa", "couch"),
        ("tvmonitor", "tv"),
        ("pottedplant", "potted plant"),
        ("diningtable", "dining table"),
    ],
)
def test_names_that_mean_the_same_in_well_known_sets(voc: str, coco: str) -> None:
    union = merge(f"voc/object/{voc} 9", f"coco/object/{coco} 12")
    assert groups(union) == {coco: {f"voc/object/{voc}", f"coco/object/{coco}"}}
    assert voc in union.labels[0].synonyms


def test_labels_that_no_image_carries_merge_no_others() -> None:
    union = merge("a/object/cot 9", "b/object/crib 8", "c/object/bed;cot;crib 0")
    assert len(union.labels) == 3
    assert len(merge("a/object/bed 9", "b/object/bed 0").labels) == 1


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [
        ("a/object/car;machine 9", "b/object/machine 4", "machine"),
        ("a/object/car;machine 9", "b/object/washer;machine 4", "machine"),
        ("a/object/bicycle;wheel 9", "b/part/wheel 4", "wheel"),
        ("a/object/sidewalk;pavement 9", "b/object/pavement 4", "pavement"),
    ],
)
def test_a_general_synonym_merges_nothing(
    first: str, second: str, word: str
) -> None:
    union = merge(first, second)
    assert len(union.labels) == 2
    (refusal,) = union.refusals
    assert refusal.reason == f"{word!r} is too general a synonym"
    assert refusal.word == word
    # nor is it a synonym of the label then
    assert all(word not in label.synonyms for label in union.labels)


def test_a_general_word_still_merges_labels_that_are_called_so() -> None:
    union = merge("a/part/wheel 9", "b/part/wheel 4", "b/object/machine 4")
    assert groups(union)["wheel"] == {"a/part/wheel", "b/part/wheel"}


def test_what_a_source_tells_apart_is_not_merged_by_synonyms() -> None:
    union = merge("a/object/screen 9", "a/object/screen door;screen 4")
    assert set(groups(union)) == {"screen", "screen door"}
    (refusal,) = union.refusals
    assert refusal.reason == "a tells 'screen door' and 'screen' apart"


def test_nor_through_another_source() -> None:
    union = merge(
        "a/object/cup 9",
        "a/object/mug 8",
        "b/object/beaker;cup;mug 7",
    )
    assert groups(union) == {
        "cup": {"a/object/cup", "b/object/beaker"},
        "mug": {"a/object/mug"},
    }
    assert len(union.refusals) == 1


def test_one_source_may_call_a_thing_differently_in_two_categories() -> None:
    union = merge("a/object/windowpane;window 9", "a/part/window 4")
    assert set(groups(union)) == {"windowpane"}


def test_a_synonym_belongs_to_one_label() -> None:
    union = merge("a/object/bat;flying thing 9", "a/object/bird;flying thing 4")
    synonyms = {label.name: label.synonyms for label in union.labels}
    assert synonyms == {"bat": ("flying thing",), "bird": ()}


def test_the_result_does_not_depend_on_the_order_of_labels() -> None:
    texts = [
        "a/object/sofa;couch 9",
        "b/object/couch 9",
        "c/object/settee;couch;divan 9",
        "c/object/divan 2",
        "d/part/left leg 1",
        "d/part/leg 1",
    ]
    results = {
        tuple(sorted((name, *sorted(members)) for name, members in merged.items()))
        for order in itertools.permutations(texts)
        if (merged := groups(merge(*order)))
    }
    assert len(results) == 1


def rules(folder: Path, synonyms: str = "", apart: str = "") -> MergeRules:
    """Rules from the lines of the two files."""
    files = []
    for name, header, lines in (
        ("synonyms.csv", "name,synonyms", synonyms),
        ("apart.csv", "name,other", apart),
    ):
        path = folder / name
        path.write_text(f"{header}\n{lines}")
        files.append(path if lines else None)
    return MergeRules.read(*files)


def test_users_merge_what_one_source_tells_apart(tmp_path: Path) -> None:
    own = rules(tmp_path, synonyms="seating,Sofa;couch\n")
    union = merge(
        "a/object/sofa 9", "a/object/couch 4", "b/object/bed 4", rules=own
    )
    assert groups(union) == {
        "seating": {"a/object/sofa", "a/object/couch"},
        "bed": {"b/object/bed"},
    }
    assert "synonyms.csv, line 2" in union.labels[0].reasons[1]
    assert own.unused({"sofa", "couch", "bed"}) == [
        f"{tmp_path / 'synonyms.csv'}, line 2: no source has a label 'seating'"
    ]


def test_users_keep_apart_what_synonyms_merge(tmp_path: Path) -> None:
    texts = ["a/object/crane;heron 9", "b/object/heron 4"]
    own = rules(tmp_path, apart="crane,heron\n")
    assert set(groups(merge(*texts))) == {"crane"}
    union = merge(*texts, rules=own)
    assert set(groups(union)) == {"crane", "heron"}
    assert union.refusals[0].reason.startswith("kept apart by")


def test_users_keep_apart_what_a_chain_would_merge(tmp_path: Path) -> None:
    texts = [
        "a/object/sofa;couch 9",
        "b/object/couch;daybed 5",
        "c/object/daybed 4",
    ]
    own = rules(tmp_path, apart="sofa,daybed\n")
    assert len(merge(*texts).labels) == 1
    merged = groups(merge(*texts, rules=own))
    assert not any(
        {"a/object/sofa", "c/object/daybed"} <= group for group in merged.values()
    )
    assert len(merged) == 2


@pytest.mark.parametrize(
    ("synonyms", "apart", "message"),
    [
        ("sofa,couch\n", "couch,sofa\n", "to be kept apart, and"),
        ("sofa,couch\nbed,couch\n", "", "merged into 'bed', and into 'sofa'"),
        ("sofa,\n", "", "at least one synonym"),
        ("", "left leg,right leg\n", "both called 'leg'"),
        ("", "sofa,\n", "a name is empty"),
    ],
)
def test_rules_that_make_no_sense(
    tmp_path: Path, synonyms: str, apart: str, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        rules(tmp_path, synonyms, apart)


def test_a_file_of_rules_without_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "rules.csv"
    path.write_text("sofa,couch\n")
    with pytest.raises(ConceptSetInvalid, match="no column 'name', 'synonyms'"):
        MergeRules.read(path, None)
