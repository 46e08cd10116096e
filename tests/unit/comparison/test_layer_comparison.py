"""Layers side by side: names, counts, concepts that one has and another lacks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from nd_plugin import BadInput, Dissection, LayerComparison, compare_dissections
from nd_plugin.comparison.compared_layers import run_names
from nd_plugin.comparison.concept_matches import ComparedConcept
from nd_plugin.report.netdissect_csv import read_netdissect_csv

PUBLISHED = """\
unit,category,label,score,object-label,object-truth,object-activation,object-intersect,\
object-iou,part-label,part-truth,part-activation,part-intersect,part-iou
1,object,cat,0.3,cat,10,10,3,0.3,tail,10,10,1,0.02
2,part,tail,0.1,cat,10,10,1,0.03,tail,10,10,2,0.1
3,part, ,0.9,dog,10,10,1,0.01, ,10,10,9,0.9
"""


@pytest.fixture
def pair(dissection: Dissection, second: Dissection) -> LayerComparison:
    return compare_dissections([dissection, second], ["one", "two"])


def texts(comparison: LayerComparison, width: int = 100) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(comparison)
    return capture.get()


def by_name(comparison: LayerComparison) -> dict[tuple[str, str], ComparedConcept]:
    return {(row.category, row.concept): row for row in comparison.concepts}


class TestNames:
    def test_what_differs_is_named(self, dissection: Dissection) -> None:
        other_layer = replace(dissection, layer="fc")
        other_quantile = replace(
            dissection, settings=replace(dissection.settings, quantile=0.02)
        )
        both = [dissection, other_layer]
        assert compare_dissections(both).names == ("block.1/relu", "fc")
        assert compare_dissections([dissection] * 2, ["a", "b"]).names == ("a", "b")
        assert compare_dissections(both, ["a", "b"]).names == (
            "a block.1/relu",
            "b fc",
        )
        assert compare_dissections([dissection, other_quantile]).names == (
            "τ 0.005",
            "τ 0.02",
        )
        assert compare_dissections([dissection] * 3).names == (
            "block.1/relu",
            "block.1/relu (2)",
            "block.1/relu (3)",
        )

    def test_a_run_that_is_named_like_its_layer_is_named_once(
        self, dissection: Dissection
    ) -> None:
        layers = [replace(dissection, layer=name) for name in ("conv4", "conv5")]
        names = compare_dissections(layers, ["conv4", "conv5"]).names
        assert names == ("conv4", "conv5")

    def test_of_folders_are_as_short_as_they_can_be(self) -> None:
        paths = [Path("a/run"), Path("b/run"), Path("b/other")]
        assert run_names(paths) == ["a/run", "b/run", "b/other"]
        assert run_names(paths[1:]) == ["run", "other"]

    def test_the_same_run_twice_is_refused(self) -> None:
        with pytest.raises(BadInput, match="run is given 2 times; name each"):
            run_names(
                [Path("run"), Path("other/../run").parent / "run", Path("run")]
            )

    def test_other_numbers_of_names_and_layers_are_refused(
        self, dissection: Dissection
    ) -> None:
        with pytest.raises(BadInput, match="1 names for 2 dissections"):
            compare_dissections([dissection] * 2, ["a"])
        with pytest.raises(BadInput, match="needs 2 layers or more, and got 1"):
            compare_dissections([dissection])
        with pytest.raises(BadInput, match="a str cannot be compared"):
            compare_dissections([dissection, "run"])  # type: ignore[list-item]


class TestConcepts:
    def test_each_row_has_the_units_of_each_layer(
        self, pair: LayerComparison
    ) -> None:
        rows = by_name(pair)
        assert list(rows) == [
            ("object", "dog"),
            ("object", "ear"),
            ("object", "cat"),
            ("part", "tail"),
        ]
        # 60 / (80 + 100 - 60), 50 / (100 + 100 - 50), 20 / (40 + 50 - 20)
        units = [match.unit for match in rows["object", "dog"].matches[1].detectors]
        assert units == [1, 0]
        ious = [match.iou for match in rows["object", "dog"].matches[1].detectors]
        np.testing.assert_allclose(ious, [0.5, 1 / 3], rtol=1e-12)
        cat = rows["object", "cat"]
        assert [match.unit for match in cat.matches[0].detectors] == [2, 0]

    def test_what_no_unit_detects_has_its_nearest_unit(
        self, pair: LayerComparison
    ) -> None:
        (_, cat) = by_name(pair)["object", "cat"].matches
        assert cat.detectors == () and cat.was_sought
        assert cat.nearest is not None and cat.nearest.unit == 0
        assert cat.nearest.iou == pytest.approx(10 / 290, rel=1e-12)
        (dog, _) = by_name(pair)["object", "dog"].matches
        assert dog.nearest is not None and dog.nearest.unit == 2

    def test_what_a_layer_cannot_have_is_told_apart(
        self, pair: LayerComparison
    ) -> None:
        rows = by_name(pair)
        ear, _ = rows["object", "ear"].matches
        assert (ear.reason, ear.was_sought) == (
            "of category part in its concept set",
            False,
        )
        _, tail = rows["part", "tail"].matches
        assert tail.reason == "labels no pixel of its images"
        assert not rows["part", "tail"].was_sought_everywhere
        assert rows["object", "dog"].was_sought_everywhere

    def test_an_unknown_concept_is_not_in_the_set(
        self, dissection: Dissection, second: Dissection
    ) -> None:
        renamed = replace(
            second,
            concepts=(
                *second.concepts[:2],
                replace(second.concepts[2], name="paw"),
                second.concepts[3],
            ),
        )
        rows = by_name(compare_dissections([dissection, renamed]))
        match, _ = rows["object", "paw"].matches
        assert match.reason == "not in its concept set" and not match.was_sought

    def test_a_concept_that_nothing_overlaps(
        self, dissection: Dissection, second: Dissection
    ) -> None:
        intersection = second.intersection.copy()
        intersection[0, 0] = 0
        rows = by_name(
            compare_dissections(
                [dissection, replace(second, intersection=intersection)]
            )
        )
        _, match = rows["object", "cat"].matches
        assert match.nearest is None and match.was_sought
        assert match.reason == "no unit overlaps it"

    def test_groups(self, pair: LayerComparison, dissection: Dissection) -> None:
        def names(rows: list[ComparedConcept]) -> list[str]:
            return [row.concept for row in rows]

        assert names(pair.only_in(0)) == ["cat", "tail"]
        assert names(pair.only_in(1)) == ["dog", "ear"]
        assert pair.shared() == []
        same = compare_dissections([dissection] * 2)
        assert names(same.shared()) == ["cat", "tail"]


class TestFiles:
    @pytest.fixture
    def mixed(self, dissection: Dissection, tmp_path: Path) -> LayerComparison:
        path = tmp_path / "authors.csv"
        path.write_text(PUBLISHED)
        return compare_dissections([dissection, read_netdissect_csv(path)])

    def test_stand_beside_runs(self, mixed: LayerComparison) -> None:
        assert mixed.names == ("pkg:Net block.1/relu", "authors")
        rows = by_name(mixed)
        assert list(rows) == [("object", "cat"), ("part", "tail")]
        assert [row.is_shared for row in rows.values()] == [True, True]
        _, cat = rows["object", "cat"].matches
        assert [(unit.unit, unit.iou) for unit in cat.detectors] == [(0, 0.3)]

    def test_a_file_tells_the_best_of_each_category(
        self, second: Dissection, tmp_path: Path
    ) -> None:
        path = tmp_path / "authors.csv"
        path.write_text(PUBLISHED)
        rows = by_name(compare_dissections([second, read_netdissect_csv(path)]))
        _, dog = rows["object", "dog"].matches
        assert dog.nearest is not None
        assert (dog.nearest.unit, dog.nearest.iou) == (2, 0.01)
        _, ear = rows["object", "ear"].matches
        assert ear.nearest is None and ear.was_sought
        assert ear.reason == "no unit's best concept of its category"

    def test_what_they_do_not_record_is_said(self, mixed: LayerComparison) -> None:
        assert mixed.warnings == (
            "authors records no concept set, images, quantile or preprocessing: whether they "
            "are the same is not known",
        )


class TestForms:
    def test_of_a_terminal(self, pair: LayerComparison) -> None:
        lines = [line.rstrip() for line in texts(pair).splitlines()]
        assert lines[0].startswith("side by side ──")
        assert lines[1].split() == ["one", "block.1/relu", "two", "features"]
        cells = [line.rsplit(maxsplit=2) for line in lines[2:8]]
        assert cells == [
            ["unique detectors", "2", "2"],
            ["unique / units", "0.4000", "0.6667"],
            ["detectors", "3", "3"],
            ["units", "5", "3"],
            ["counted per category", "2", "2"],
            ["images", "3", "4"],
        ]
        assert " ".join(lines[8].split()) == "object 1 (2 units) 2 (3 units)"
        assert " ".join(lines[9].split()) == "part 1 (1 unit) 0"
        text = "\n".join(lines)
        assert "only one block.1/relu (2): cat, tail*\n" in text
        assert "only two features (2): dog, ear*\n" in text
        assert "all (0)\n" in text
        assert "* not in the concept set or images of every layer" in text
        assert "! images differ: 3 images (one block.1/relu); 4 images (two" in text

    def test_long_names_are_numbered_below_a_legend(
        self, dissection: Dissection
    ) -> None:
        names = ["a" * 30, "b" * 30]
        text = texts(compare_dissections([dissection] * 2, names), 60)
        assert f"#1  {names[0]}" in text and f"#2  {names[1]}" in text
        assert "only #1 (0)" in text

    @pytest.mark.parametrize("width", [30, 40, 60])
    def test_nothing_is_cut_where_it_is_narrow(
        self, pair: LayerComparison, width: int
    ) -> None:
        text = texts(pair, width)
        assert max(map(len, text.splitlines())) <= width
        assert "0.6667" in text and "counted" in text

    def test_of_machines(self, pair: LayerComparison, tmp_path: Path) -> None:
        text = pair.to_json(tmp_path / "c.json")
        assert (tmp_path / "c.json").read_text() == text
        content = json.loads(text)["comparison"]
        assert [layer["name"] for layer in content["layers"]] == list(pair.names)
        assert content["layers"][1]["unique_ratio"] == pytest.approx(2 / 3)
        (dog, ear, cat, tail) = content["concepts"]
        assert dog["layers"]["two features"]["detectors"][0]["unit"] == 1
        assert cat["layers"]["two features"]["nearest"]["unit"] == 0
        assert ear["layers"]["one block.1/relu"]["was_sought"] is False
        assert tail["layers"]["two features"]["reason"] == (
            "labels no pixel of its images"
        )
        assert content["warnings"] == list(pair.warnings)
        subjects = [difference["subject"] for difference in content["differences"]]
        assert subjects == ["concept sets", "images"]

    def test_of_python(self, pair: LayerComparison) -> None:
        assert repr(pair) == (
            "LayerComparison(one block.1/relu: 2 unique detectors among 5 units, "
            "two features: 2 unique detectors among 3 units; 2 warnings)"
        )
        assert len(pair) == 2


def test_a_layer_without_units_has_a_ratio(dissection: Dissection) -> None:
    empty = replace(
        dissection,
        thresholds=np.zeros(0),
        intersection=np.zeros((0, 4), np.int64),
        unit_area=np.zeros((0, 2), np.int64),
        dead=np.zeros(0, bool),
        sparse=np.zeros(0, bool),
        top_images=np.zeros((0, 3), np.int64),
        top_activations=np.zeros((0, 3)),
    )
    comparison = compare_dissections([dissection, empty])
    assert comparison.layers[1].ratio == 0
    match = by_name(comparison)["object", "cat"].matches[1]
    assert match.reason == "no unit overlaps it"
