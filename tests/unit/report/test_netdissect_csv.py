"""CSV files of the original NetDissect code: written, read, and numbered from 1."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from nd_plugin import BadInput, Dissection, LayerReport, RunInvalid, UnitScore
from nd_plugin.report.netdissect_csv import read_netdissect_csv, to_csv
from nd_plugin.report.tables import to_csv as to_units_csv
from nd_plugin.report.terminal import to_text

HEAD = "unit,category,label,score,object-label,object-iou"


def written(report: LayerReport, folder: Path) -> Path:
    path = folder / "layer.netdissect.csv"
    path.write_text(to_csv([report]), encoding="utf-8")
    return path


def of_the_format(score: UnitScore) -> UnitScore:
    """A score without what the format does not record."""
    scores = dict.fromkeys(("precision", "recall", "f1", "correlation"))
    return replace(score, threshold=None, state="live", **scores)


class TestWriting:
    def test_its_columns_and_rows(self, dissection: Dissection) -> None:
        head, *lines = to_csv([dissection.report()]).splitlines()
        assert head == (
            "unit,category,label,score,"
            "object-label,object-truth,object-activation,object-intersect,object-iou,"
            "part-label,part-truth,part-activation,part-intersect,part-iou"
        )
        # Unit 2, the best one, comes first and has the number 3: 60 / (80 + 200 - 60).
        assert lines[0] == (
            f"3,object,cat,{60 / 220},cat,200,80,60,{60 / 220},ear,80,80,5,{5 / 155}"
        )
        assert [line.partition(",")[0] for line in lines] == [
            "3",
            "2",
            "1",
            "5",
            "4",
        ]

    def test_what_is_written_is_read(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        report = dissection.report()
        read = read_netdissect_csv(written(report, tmp_path))
        assert read.layer == "layer"
        assert read.scores == tuple(map(of_the_format, report.scores))
        for category in report.categories:
            scores = report.category_scores[category]
            expected = tuple(map(of_the_format, scores))
            assert read.category_scores[category] == expected
        assert read.nearest_misses() == []
        absent = {
            "layer": "layer",
            "concepts": None,
            "images": None,
            "quantile": None,
        }
        unknown = {"dead": 0, "sparse": 0}
        assert read.summary == replace(report.summary, **absent, **unknown)

    def test_names_with_commas_quotes_and_other_letters(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        cat, *others = dissection.concepts
        named = replace(cat, name='Katze, "groß"')
        report = replace(dissection, concepts=(named, *others)).report()
        read = read_netdissect_csv(written(report, tmp_path))
        assert read.scores[0].concept == 'Katze, "groß"'

    def test_one_layer_only(self, dissection: Dissection) -> None:
        report = dissection.report()
        with pytest.raises(
            BadInput, match=r"holds one layer, and these are 2 \(block"
        ):
            to_csv([report, report])

    @pytest.mark.parametrize(
        "name", ["caffe_reference_places365", "ResNet-152-model_imagenet"]
    )
    def test_the_authors_files_again(
        self, real_data: Path, tmp_path: Path, name: str
    ) -> None:
        path = real_data / "netdissect_published" / f"{name}.csv"
        report = read_netdissect_csv(path)
        again = written(report, tmp_path)
        read = read_netdissect_csv(again)
        assert read.scores == report.scores
        assert read.category_scores == report.category_scores
        with path.open(newline="") as original, again.open(newline="") as copy:
            original_rows = list(csv.DictReader(original))
            copied_rows = {row["unit"]: row for row in csv.DictReader(copy)}
        assert len(copied_rows) == len(original_rows)
        for row in original_rows:
            copied = copied_rows[row["unit"]]
            assert copied.keys() == row.keys()
            for column, text in row.items():
                assert is_same(copied[column], text), (column, text)


def is_same(first: str, second: str) -> bool:
    """Whether two cells hold the same name or the same number."""
    try:
        return float(first) == float(second)
    except ValueError:
        return first == second


class TestNumbers:
    def test_both_are_shown(self, tmp_path: Path) -> None:
        path = tmp_path / "conv5.csv"
        path.write_text(
            f"{HEAD}\n17,object,dog,0.2,dog,0.2\n1,object,cat,0.1,cat,0.1\n"
        )
        report = read_netdissect_csv(path)
        assert [score.unit for score in report.scores] == [0, 16]
        text = to_text([report])
        note = (
            "units are numbered from 0 here and from 1 in the file: unit 0 is the "
            "file's unit 1"
        )
        assert report.notes == (note,) and f"! {note}" in text
        lines = [line.split() for line in text.splitlines()]
        assert ["best", "concept", "IoU", "unit", "in", "file", "units"] in lines
        assert ["object", "dog", "0.2000", "16", "17", "1"] in lines
        table = list(csv.DictReader(to_units_csv([report]).splitlines()))
        assert [(row["unit"], row["unit_in_file"]) for row in table] == [
            ("0", "1"),
            ("16", "17"),
        ]

    def test_a_runs_own_numbers_are_shown_once(
        self, dissection: Dissection
    ) -> None:
        report = dissection.report()
        assert "in file" not in to_text([report])
        assert "unit_in_file" not in to_units_csv([report])

    def test_a_file_that_begins_with_0(self, tmp_path: Path) -> None:
        path = tmp_path / "conv5.csv"
        path.write_text(
            f"{HEAD}\n0,object,dog,0.2,dog,0.2\n1,object,cat,0.1,cat,0.1\n"
        )
        report = read_netdissect_csv(path)
        assert [score.unit for score in report.scores] == [0, 1]
        assert "the file numbers its units from 0" in report.notes[0]
        assert "in file" not in to_text([report])

    @pytest.mark.parametrize(
        ("numbers", "message"),
        [
            (("1", "1"), "has unit 1 2 times; a file holds one layer"),
            (("-1", "2"), "has unit -1; units are numbered from 1"),
            (("1", "x"), "is no NetDissect CSV file: ValueError"),
        ],
    )
    def test_numbers_that_make_no_sense(
        self, tmp_path: Path, numbers: tuple[str, str], message: str
    ) -> None:
        path = tmp_path / "conv5.csv"
        rows = [f"{number},object,dog,0.2,dog,0.2" for number in numbers]
        path.write_text("\n".join([HEAD, *rows]))
        with pytest.raises(RunInvalid, match=message):
            read_netdissect_csv(path)


def test_the_csv_of_a_run_is_told_from_the_authors(tmp_path: Path) -> None:
    own = tmp_path / "units.csv"
    own.write_text(
        "unit,concept,category,iou,threshold,intersection\n0,a,object,0.1,1,2\n"
    )
    with pytest.raises(
        RunInvalid, match=r"give the folder of its run, or write one with -o"
    ):
        read_netdissect_csv(own)
