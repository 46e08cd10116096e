"""``nd concepts check --tables``: identities hold on Broden's own tables; each damage is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broden_tables import copy_tables

from nd_broden.checking import check_tables
from nd_plugin import TableRule

REAL_COMPARISONS = {
    "label-numbering": 1197,
    "label-order": 1196,
    "label-names": 1197,
    "label-frequency": 1197,
    "label-categories": 1197,
    "label-coverage": 1197,
    "code-frequency": 1376,
    "code-names": 1376,
    "code-labels": 1376,
    "code-numbering": 1376,
    "code-order": 1370,
    "coverage-bound": 2573,
    "whole-coverage": 515,
    "category-first": 6,
    "category-last": 6,
    "category-count": 6,
    "category-frequency": 6,
    "category-order": 5,
    "index-frequency": 468,
    "index-labels": 17746,
    "index-images": 22210,
    "index-masks": 60407,
    "published-figures": 9,
}
INDEX = "index_ade20k.csv"
INDEX_RULES = ("index-frequency", "index-labels", "index-images", "index-masks")


def failing(rules: Iterator[TableRule]) -> dict[str, list[str]]:
    """Files of the findings of each rule that fails."""
    return {
        rule.rule: [finding.file for finding in rule.findings]
        for rule in rules
        if rule.findings
    }


def test_identities_hold_on_the_real_tables(real_data: Path) -> None:
    rules = list(check_tables(str(real_data / "broden_tables"), index=INDEX))
    assert failing(iter(rules)) == {}
    compared = {rule.rule: rule.compared for rule in rules}
    assert compared.pop("tables") == 1197 + 22210
    assert compared == REAL_COMPARISONS
    assert rules[-1].statement == (
        "Broden 1_224: 1197 labels, by primary category object 536, scene 468, part 110, "
        "texture 47, material 25, color 11; of 22210 rows of ADE20K 1987 have the scene 0, no label"
    )


def test_every_index_is_checked_where_there_is_no_whole_one(
    real_data: Path,
) -> None:
    rules = check_tables(str(real_data / "broden_tables"))
    frequencies = [rule for rule in rules if rule.rule == "index-frequency"]
    assert [rule.compared for rule in frequencies] == [468, 0]
    assert "rewritten_by_pandas" in frequencies[1].reason


def test_camvid_is_not_taken_for_broden(real_data: Path) -> None:
    rules = list(check_tables(str(real_data / "broden_camvid")))
    assert failing(iter(rules)) == {}
    assert rules[-1].rule == "published-figures"
    assert rules[-1].compared == 0


def replaced(
    table: str, old: str, new: str, count: int = 1
) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        text = (root / table).read_text()
        assert text.count(old) >= 1
        (root / table).write_text(text.replace(old, new, count))

    return damage


def without_line(table: str, number: int) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        lines = (root / table).read_text().splitlines(keepends=True)
        del lines[number - 1]
        (root / table).write_text("".join(lines))

    return damage


def exchanged(table: str, number: int) -> Callable[[Path], None]:
    """Exchange a line and the next one."""

    def damage(root: Path) -> None:
        lines = (root / table).read_text().splitlines(keepends=True)
        lines[number - 1 : number + 1] = lines[number - 1 : number + 1][::-1]
        (root / table).write_text("".join(lines))

    return damage


DAMAGES = [
    # a scene counted once too often, in both of its tables
    pytest.param(
        [
            replaced(
                "label.csv",
                "street-s,scene(2241),2241",
                "street-s,scene(2242),2242",
            ),
            replaced("c_scene.csv", "street-s,2241,2241.0", "street-s,2242,2242.0"),
            replaced("category.csv", ",468,17746", ",468,17747"),
        ],
        {"index-frequency": "c_scene.csv:2", "published-figures": "c_scene.csv"},
        id="frequency of a scene",
    ),
    pytest.param(
        [without_line(INDEX, 2)],
        {"index-frequency": "c_scene.csv:3", "published-figures": INDEX},
        id="a row of the index is lost",
    ),
    pytest.param(
        [replaced(INDEX, ",,,83,", ",,,,")],
        {"index-frequency": "c_scene.csv:3"},
        id="a scene of the index is lost",
    ),
    pytest.param(
        [replaced(INDEX, ",,0,\n", ",,,\n"), replaced(INDEX, ",0,\n", ",,\n")],
        {"published-figures": INDEX},
        id="no label becomes an empty cell",
    ),
    pytest.param(
        [without_line("label.csv", 13)],
        {
            "label-numbering": "label.csv:13",
            "code-frequency": "c_object.csv:2",
            "published-figures": "label.csv",
        },
        id="a label is lost",
    ),
    pytest.param(
        [exchanged("label.csv", 13)],
        {"label-numbering": "label.csv:13", "label-order": "label.csv:14"},
        id="two labels are exchanged",
    ),
    pytest.param(
        [replaced("label.csv", "12,wall,", "12,walls,")],
        {"code-names": "c_object.csv:2"},
        id="a label is renamed",
    ),
    pytest.param(
        [replaced("label.csv", "13,sky,", "13,wall,")],
        {"label-names": "label.csv:14", "code-names": "c_object.csv:3"},
        id="a name is given twice",
    ),
    pytest.param(
        [replaced("label.csv", ",15582,3947.579313", ",15582,3947.57932")],
        {"label-coverage": "label.csv:13"},
        id="coverage differs in its fifth digit",
    ),
    pytest.param(
        [replaced("label.csv", "part(29),15582", "part(29),15583")],
        {"label-frequency": "label.csv:13"},
        id="frequency is no sum",
    ),
    pytest.param(
        [replaced("label.csv", "object(15553);part(29)", "part(29);object(15553)")],
        {"label-categories": "label.csv:13"},
        id="categories in another order",
    ),
    pytest.param(
        [
            replaced(
                "label.csv", "object(15553);part(29),15582", "object(15553),15553"
            )
        ],
        {"code-frequency": "label.csv:13"},
        id="a category of a label is lost",
    ),
    pytest.param(
        [replaced("c_texture.csv", "1,237,blotchy", "2,237,blotchy")],
        {"code-numbering": "c_texture.csv:2"},
        id="a code is given twice",
    ),
    pytest.param(
        [exchanged("c_texture.csv", 2)],
        {"code-order": "c_texture.csv:3", "code-numbering": "c_texture.csv:2"},
        id="two lines of a category are exchanged",
    ),
    pytest.param(
        [replaced("c_texture.csv", "2,276,dotted", "2,237,blotchy")],
        {"code-labels": "c_texture.csv:3", "code-frequency": None},
        id="a label stands twice in a category",
    ),
    pytest.param(
        [replaced("c_texture.csv", ",316,316.0", ",316,315.0")],
        {"whole-coverage": "c_texture.csv:2", "label-coverage": None},
        id="a texture that does not cover its images",
    ),
    pytest.param(
        [replaced("c_material.csv", "9905,750.404734027", "9905,9950.404734027")],
        {"coverage-bound": "c_material.csv:2", "label-coverage": "label.csv:18"},
        id="more covered than there are images",
    ),
    *[
        pytest.param(
            [
                replaced(
                    "category.csv", "object,12,1197,584,271047", f"object,{new}"
                )
            ],
            {rule: "category.csv:3"},
            id=rule,
        )
        for rule, new in (
            ("category-first", "11,1197,584,271047"),
            ("category-last", "12,1196,584,271047"),
            ("category-count", "12,1197,583,271047"),
            ("category-frequency", "12,1197,584,271048"),
        )
    ],
    pytest.param(
        [exchanged("category.csv", 2)],
        {"category-order": "category.csv:3"},
        id="two categories are exchanged",
    ),
    pytest.param(
        [replaced(INDEX, "_00006107.jpg", "_00003891.jpg")],
        {"index-images": f"{INDEX}:3"},
        id="an image is listed twice",
    ),
    pytest.param(
        [replaced(INDEX, "_00006107_object", "_00003891_object")],
        {"index-masks": f"{INDEX}:3"},
        id="a mask is that of two images",
    ),
    pytest.param(
        [replaced(INDEX, ",,,83,", ",,,12,")],
        {"index-labels": f"{INDEX}:2", "index-frequency": "c_scene.csv:3"},
        id="an object where a scene is expected",
    ),
    pytest.param(
        [replaced("c_part.csv", "1,21,head", "1,twenty,head")],
        {"tables": "c_part.csv:2"},
        id="a label number that is none",
    ),
]


def head_of_index(root: Path) -> str:
    """Write an index of the first rows; return its name."""
    lines = (root / INDEX).read_text().splitlines(keepends=True)
    (root / "index_head.csv").write_text("".join(lines[:50]))
    return "index_head.csv"


@pytest.mark.parametrize(("damages", "expected"), DAMAGES)
def test_each_damage_is_named(
    real_data: Path,
    tmp_path: Path,
    damages: list[Callable[[Path], None]],
    expected: dict[str, str | None],
) -> None:
    root = copy_tables(real_data / "broden_tables", tmp_path)
    for damage in damages:
        damage(root)
    # the whole index takes a second, and most damages are elsewhere
    needs_index = INDEX in expected.values() or any(
        rule in INDEX_RULES for rule in expected
    )
    index = INDEX if needs_index else head_of_index(root)
    failures = failing(check_tables(str(root), index=index))
    for rule, place in expected.items():
        assert rule in failures
        assert place is None or place in failures[rule]


def test_rounding_of_rewritten_tables_is_no_damage(
    real_data: Path, tmp_path: Path
) -> None:
    """Pandas writes 390.0 for 390.000000."""
    root = copy_tables(real_data / "broden_tables", tmp_path)
    text = (root / "label.csv").read_text()
    (root / "label.csv").write_text(text.replace(".000000,", ".0,"))
    assert failing(check_tables(str(root), index=head_of_index(root))) == {}


def test_an_index_of_a_part_is_not_compared_with_frequencies(
    real_data: Path, tmp_path: Path
) -> None:
    root = copy_tables(real_data / "broden_tables", tmp_path)
    index = head_of_index(root)
    rules = {rule.rule: rule for rule in check_tables(str(root), index=index)}
    assert failing(iter(rules.values())) == {}
    assert rules["index-frequency"].compared == 0


def test_a_whole_index_is_compared_strictly(
    real_data: Path, tmp_path: Path
) -> None:
    """An index.csv of the first rows only is no part: the tables are of more images."""
    root = copy_tables(real_data / "broden_tables", tmp_path)
    (root / head_of_index(root)).rename(root / "index.csv")
    failures = failing(check_tables(str(root)))
    assert set(failures) == {"index-frequency"}
    assert len(failures["index-frequency"]) == 468
    assert "c_scene.csv:2" in failures["index-frequency"]
