"""Phrases: labels as plain words, descriptions from a file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nd_plugin import BadInput
from nd_plugin.rating.phrases import label_phrase, plain_phrase, read_descriptions

ONE_LAYER = {"conv": 6}
TWO_LAYERS = {"conv": 6, "fc": 3}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("concept", "category", "phrase"),
    [
        ("blue-c", "color", "blue"),
        ("ski_resort-s", "scene", "ski resort"),
        # an object's own ending is no mark of Broden
        ("vitamin-c", "object", "vitamin-c"),
        ("door frame", "part", "door frame"),
    ],
)
def test_a_label_does_not_tell_that_it_is_one(
    concept: str, category: str, phrase: str
) -> None:
    assert label_phrase(concept, category) == phrase


def test_a_description_is_written_like_a_label() -> None:
    assert plain_phrase(" “Blue   Sky.” ") == "blue sky"


def test_descriptions_of_one_layer_and_of_several(tmp_path: Path) -> None:
    path = written(tmp_path, 'unit,description\n5,Sky\n0,  \n2,"a, b"\n')
    assert read_descriptions(path, ONE_LAYER) == {
        ("conv", 5): "sky",
        ("conv", 2): "a, b",
    }
    path = written(
        tmp_path, "\ufefflayer,unit,description\nfc,2,Sky\nconv,2,tree\n"
    )
    assert read_descriptions(path, TWO_LAYERS) == {
        ("fc", 2): "sky",
        ("conv", 2): "tree",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unit,phrase\n1,sky\n", "has not the columns unit,description"),
        ("", "has not the columns"),
        ("unit,description\n6,sky\n", "line 2: no unit '6': layer 'conv' has 6"),
        ("unit,description\n-1,sky\n", "no unit '-1'"),
        ("unit,description\n١,sky\n", "no unit '١'"),
        (
            "layer,unit,description\nfc,1,sky\n",
            "no layer 'fc' in the run; it has conv",
        ),
        (
            "unit,description\n1,sky\n1,tree\n",
            "line 3: a second description of unit 1",
        ),
        ("unit,description\n1,\n", "has no description"),
        (f"unit,description\n1,{'x' * 201}\n", "a description of 201 characters"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        read_descriptions(written(tmp_path, text), ONE_LAYER)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read_descriptions(tmp_path / "none.csv", ONE_LAYER)
    path = tmp_path / "latin.csv"
    path.write_bytes(b"unit,description\n1,caf\xe9\n")
    with pytest.raises(BadInput, match="cannot be read"):
        read_descriptions(path, ONE_LAYER)


def test_the_same_description_twice_is_one(tmp_path: Path) -> None:
    path = written(tmp_path, "unit,description\n1,Sky\n1,sky.\n")
    assert read_descriptions(path, ONE_LAYER) == {("conv", 1): "sky"}


def test_a_unit_of_thousands_of_digits(tmp_path: Path) -> None:
    path = written(tmp_path, "unit,description\n" + "9" * 5000 + ",a dog\n")
    with pytest.raises(BadInput, match=r"line 2: no unit '9+': layer 'conv' has 6"):
        read_descriptions(path, ONE_LAYER)
