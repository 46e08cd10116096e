"""Names of the values of label maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nd_plugin import ConceptSetInvalid
from nd_plugin.concepts.datasets.value_names import names_of_values
from nd_plugin.reading import read_value_names


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "n.csv",
            "value,name\n1,wall\n0,\n7,flower pot\n",
            {1: "wall", 7: "flower pot"},
        ),
        ("n.csv", "\ufeffname,value,rgb\r\nwall,3,#fff\r\n", {3: "wall"}),
        ("n.json", '{"1": "wall", "0": ""}', {1: "wall"}),
        ("n.JSON", '["sky", null, "wall"]', {0: "sky", 2: "wall"}),
        ("labels", "value,name\n1, wall \n", {1: "wall"}),
    ],
)
def test_files(
    tmp_path: Path, name: str, content: str, expected: dict[int, str]
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8", newline="")
    assert read_value_names(str(path)) == expected


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (
            "n.csv",
            "value,name\n1,a\n1,b\n",
            r"n\.csv, line 3: the value 1 is there twice",
        ),
        ("n.csv", "value,name\n-1,a\n", "the value '-1' is no whole number"),
        ("n.csv", "value,name\n1.0,a\n", "the value '1.0' is no whole number"),
        ("n.csv", "value,name\n99999999999,a\n", "is no whole number from 0"),
        ("n.csv", "number,name\n1,a\n", "has no column 'value'"),
        ("n.csv", "value,name\n1,\n", "no value has a name"),
        ("n.json", '{"a": "wall"}', "the value 'a' is no whole number"),
        ("n.json", '{"1": "a", "01": "b"}', "the value 1 has two names"),
        ("n.json", '{"1": 5}', "the name of the value 1 is 5"),
        ("n.json", '"wall"', "str is neither a mapping of values to names"),
        ("n.json", "{", "cannot be read"),
    ],
)
def test_files_that_are_none(
    tmp_path: Path, name: str, content: str, problem: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConceptSetInvalid, match=problem):
        read_value_names(str(tmp_path / name))


@pytest.mark.parametrize("name", ["n.csv", "n.json"])
def test_a_missing_file_is_told_the_formats(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        ConceptSetInvalid, match=r"columns value,name, or a JSON file"
    ):
        read_value_names(str(tmp_path / name))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({np.int64(3): "a"}, {3: "a"}),
        (("", "a"), {1: "a"}),
        ({"2": " a "}, {2: "a"}),
    ],
)
def test_names_in_python(names: Any, expected: dict[int, str]) -> None:
    assert names_of_values(names, "names") == expected


@pytest.mark.parametrize("names", [{1.5: "a"}, {None: "a"}, {-1: "a"}, [], "ab", 5])
def test_names_in_python_that_are_none(names: Any) -> None:
    with pytest.raises(ConceptSetInvalid, match="names"):
        names_of_values(names, "names")
