"""Names of labels, made comparable."""

from __future__ import annotations

from pathlib import Path

import pytest
from broden_tables import read_rows

from nd_plugin.concepts.union.labels.label_names import (
    has_positional,
    normalise_category,
    normalise_concept,
    normalise_name,
)
from nd_plugin.contracts.concept_sets import Concept


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Traffic_Light", "traffic light"),
        ("  tv   monitor ", "tv monitor"),
        ("left leg", "leg"),
        ("Left_Front_Leg", "leg"),
        ("right upper arm", "arm"),
        ("lower arm", "arm"),
        ("arm_left", "arm"),
        ("side mirror", "mirror"),
        ("front wheel", "wheel"),
        ("back wheel", "wheel"),
        # nothing else is left of the name
        ("left", "left"),
        ("back", "back"),
        ("left side", "side"),
        ("upper left", "left"),
        # the thing itself
        ("chair back", "chair back"),
        ("safety side", "safety side"),
        # one word, written as two
        ("back pack", "back pack"),
        # no positional words: parts of others
        ("backpack", "backpack"),
        ("sidewalk", "sidewalk"),
        ("bright", "bright"),
        ("a;b", "a,b"),
        ("cafe\u0301", "café"),
        ("", ""),
        ("street-s", "street-s"),
        ("Living_room-s", "living_room-s"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert normalise_name(text) == name


@pytest.mark.parametrize(
    ("text", "category", "name"),
    [
        ("Living room", "scene", "living_room-s"),
        ("living_room-s", "scene", "living_room-s"),
        ("/forest/broadleaf", "scene", "forest-broadleaf-s"),
        ("left bank", "scene", "left_bank-s"),
        ("Red", "color", "red-c"),
        ("red-c", "color", "red-c"),
        # a scene and a colour have suffixes, and others have none
        ("street", "object", "street"),
        ("striped", "texture", "striped"),
        ("plastic-opaque", "material", "plastic-opaque"),
        ("left leg", "part", "leg"),
        ("left leg", "anything", "leg"),
        ("-s", "scene", ""),
    ],
)
def test_names_by_category(text: str, category: str, name: str) -> None:
    assert normalise_name(text, category) == name


def test_names_of_broden_stay() -> None:
    """Broden's are normalised already, but for the positional words of its ADE20K labels."""
    for name in ("windowpane", "water tank", "poolroom-home-s", "black-c"):
        assert normalise_name(name) == name


def test_brodens_own_names_stay(real_data: Path) -> None:
    rows = read_rows(real_data / "broden_tables" / "label.csv")
    changed = {}
    for row in rows:
        category = row["category"].partition("(")[0]
        name = normalise_name(row["name"], category)
        if name != row["name"]:
            changed[row["name"]] = name
    assert changed == {
        "back pillow": "pillow",
        "lower sash": "sash",
        "upper sash": "sash",
        "side rail": "rail",
    }
    assert len(rows) == 1197


def test_synonyms_are_normalised_and_distinct() -> None:
    concept = Concept("Left_Arm", "part", ("right arm", "Limb", "limb", "", "arm"))
    names = normalise_concept(concept)
    assert (names.name, names.synonyms) == ("arm", ("limb",))


@pytest.mark.parametrize(
    ("category", "spelling"),
    [
        ("Colour", "color"),
        ("colours", "color"),
        (" Object ", "object"),
        ("scene", "scene"),
        ("Human_Part", "human-part"),
    ],
)
def test_categories(category: str, spelling: str) -> None:
    assert normalise_category(category) == spelling


def test_dropped_words_are_known() -> None:
    assert has_positional("Left_leg", "part")
    assert not has_positional("chair back", "part")
    assert not has_positional("left bank", "scene")
    assert not has_positional("leg", "part")
