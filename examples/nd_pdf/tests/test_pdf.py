"""Tests of the report format ``pdf``: what a reader finds on its pages."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pypdf import PdfReader

from nd_pdf.cards import TOP_IMAGES
from nd_pdf.paper import Paper
from nd_pdf.report import CARDS, NOTES, to_pdf
from nd_plugin import (
    Concept,
    Dissection,
    LayerDissection,
    LayerReport,
    Preprocess,
)
from nd_plugin.testing import check_reporter

HOSTILE = (
    "<b>bold</b>",
    "**star** __line__",
    "=HYPERLINK(1)",
    "line\nbreak\x07\x1b[31m",
    "cat\u202egnp.exe",
    "猫",
    "\udc80half",
    "",
    "x" * 3000,
    "(unbalanced \\",
)


@pytest.fixture(scope="module")
def dissection() -> Dissection:
    """Filters with random weights on drawn scenes, labelled at a low limit."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 12, 5, stride=4, padding=2))
    done = LayerDissection(model, "0").dissect(
        "shapes?images=10&size=64",
        quantile=0.02,
        min_iou=0.01,
        preprocess=Preprocess(size=(64, 64)),
        pictures=8,
        folds=4,
        workers=0,
    )
    assert isinstance(done, Dissection)
    assert done.unique_detectors > 1
    return done


def read(reports: Sequence[LayerReport]) -> PdfReader:
    return PdfReader(BytesIO(to_pdf(reports)), strict=True)


def text_of(reader: PdfReader) -> str:
    """Texts of all pages; where lines are broken is of no interest."""
    return " ".join(" ".join(p.extract_text() for p in reader.pages).split())


def without_dissection(report: LayerReport) -> LayerReport:
    """Report as it is read from a file: its units have no threshold, and count from 1 there."""
    scores = tuple(replace(score, threshold=None) for score in report.scores)
    return replace(
        report, dissection=None, scores=scores, facts={}, first_unit_in_source=1
    )


def test_the_reporter_keeps_the_contract() -> None:
    check_reporter(to_pdf)


def test_every_best_detector_has_its_unit_and_iou(dissection: Dissection) -> None:
    report = dissection.report()
    text = text_of(read([report]))
    for category in report.categories:
        best = report.best(category)
        for score, _ in best[:CARDS]:
            assert score.concept in text
            assert f"unit {score.unit} · IoU {score.iou:.3f}" in text
        for score, _ in best[CARDS:]:
            assert f"{score.concept} {score.iou:.3f}" in text


def test_counts_facts_and_notes_are_there(dissection: Dissection) -> None:
    report = replace(dissection.report(), notes=("three images were skipped",))
    text = text_of(read([report]))
    for fact in report.facts.values():
        assert " ".join(fact.split()) in text
    assert "! three images were skipped" in text
    summary = report.summary
    assert report.intervals is not None
    unique = report.intervals.counts.unique_detectors
    assert f"{summary.unique_detectors} unique ({unique.low}–{unique.high})" in text
    assert f"among {summary.units} units" in text


def test_each_card_has_the_top_images_dimmed_outside_of_the_mask(
    dissection: Dissection,
) -> None:
    report = dissection.report()
    cards = [
        score
        for category in report.categories
        for score, _ in report.best(category)[:CARDS]
    ]
    images = [image for page in read([report]).pages for image in page.images]
    shown = [
        picture
        for score in cards
        for rank in range(TOP_IMAGES)
        if (picture := dissection.show(score.unit).picture(rank)) is not None
    ]
    assert len(images) == len(shown) == len(cards) * TOP_IMAGES
    for image, picture in zip(images, shown, strict=True):
        pixels = Image.open(BytesIO(image.data)).convert("RGB")
        difference = np.asarray(pixels, float) - picture
        # JPEG, with colours at half the size: the yellow outline is blurred
        assert np.abs(difference).mean() < 12


def test_equal_reports_give_equal_bytes_without_a_date(
    dissection: Dissection,
) -> None:
    reports = [dissection.report()]
    content = to_pdf(reports)
    assert to_pdf(reports) == content
    metadata = PdfReader(BytesIO(content)).metadata
    assert metadata is not None and metadata.creation_date is not None
    assert metadata.creation_date.year == 1970


def test_foreign_names_are_only_texts(dissection: Dissection) -> None:
    count = len(dissection.concepts)
    concepts = tuple(
        Concept(HOSTILE[index % len(HOSTILE)] + str(index), HOSTILE[0])
        for index in range(count)
    )
    hostile = replace(
        dissection, layer=HOSTILE[4], categories=(HOSTILE[0],), concepts=concepts
    )
    report = replace(
        hostile.report(), notes=HOSTILE, facts={HOSTILE[3]: HOSTILE[5]}
    )
    reader = read([report])
    text = text_of(reader)
    for written in ("<b>bold</b>", "! **star** __line__", "catgnp.exe", "[U+732B]"):
        assert written in text
    assert "line break[31m" in text
    assert "[U+DC80]half" in text
    assert re.search("[\x00-\x08\x0e-\x1f\u202a-\u202e]", text) is None


def test_scripts_that_run_to_the_left_are_shaped() -> None:
    with Paper("title") as paper:
        paper.begin_page()
        paper.write("חתול شجرة дерево", indent=5)
        content = paper.content()
    (page,) = PdfReader(BytesIO(content)).pages
    text = page.extract_text()
    for word in ("חתול", "شجرة", "дерево"):
        assert word in text


def test_texts_of_any_length_go_on_over_pages() -> None:
    words = [f"word{number}" for number in range(2500)]
    with Paper("title") as paper:
        paper.begin_page()
        paper.write(" ".join(words))
        paper.write("x" * 5000)
        content = paper.content()
    reader = PdfReader(BytesIO(content))
    assert len(reader.pages) > 2
    text = text_of(reader)
    assert all(word in text for word in words[::100])
    assert text.count("x") == 5000


def test_a_run_without_pictures_says_so(dissection: Dissection) -> None:
    reader = read([replace(dissection, stored_pictures=None).report()])
    assert not any(page.images for page in reader.pages)
    assert "! the run has no pictures of top images" in text_of(reader)


def test_a_table_of_units_has_its_own_numbers(dissection: Dissection) -> None:
    report = without_dissection(dissection.report())
    text = text_of(read([report]))
    best, _ = next(
        report.best(category)[0]
        for category in report.categories
        if report.best(category)
    )
    assert f"unit {best.unit} ({best.unit + 1} in the file) · IoU" in text
    assert "! the source is a table of units, without pictures" in text
    assert "T_k 0" not in text


def test_labels_by_another_score_are_said_to_be(dissection: Dissection) -> None:
    report = dissection.labelled_by("f1").report()
    text = text_of(read([report]))
    assert re.search(r"unit \d+ · F1 0\.\d{3} · IoU 0\.\d{3}", text)


def test_the_table_of_layers_leads_to_their_pages(dissection: Dissection) -> None:
    report = replace(without_dissection(dissection.report()), scores=())
    layers = [replace(report, layer=f"layer{number}.end") for number in range(70)]
    reader = read(layers)
    pages = [page.extract_text() for page in reader.pages]
    # page numbers are written last
    tables = [
        page.extract_text(extraction_mode="layout") for page in reader.pages[:2]
    ]
    assert len(reader.outline) == len(layers)
    for bookmark in reader.outline:
        assert not isinstance(bookmark, list)
        index = reader.get_destination_page_number(bookmark)
        assert index is not None
        name = str(bookmark.title)
        assert pages[index].startswith(name)
        row = re.compile(rf"{re.escape(name)}\s+\d+\s+\d+\s+\d+\s+{index + 1}\b")
        assert any(map(row.search, tables)), f"{name} is not in the table"


def test_facts_and_notes_of_one_layer_stand_at_that_layer(
    dissection: Dissection,
) -> None:
    report = without_dissection(dissection.report())
    first = replace(
        report,
        layer="a",
        facts={"model": "m", "input": "1x1"},
        notes=("n", "only a"),
    )
    second = replace(
        report, layer="b", facts={"model": "m", "input": "2x2"}, notes=("n",)
    )
    reader = read([first, second])
    title, *others = [page.extract_text() for page in reader.pages]
    rest = " ".join(others)
    assert "! n" in title and "! n\n" not in rest
    assert "1x1" not in title and "1x1" in rest and "2x2" in rest
    assert "only a" not in title and "only a" in rest


def test_a_layer_without_detectors_says_why(dissection: Dissection) -> None:
    settings = replace(dissection.settings, min_iou=0.99)
    report = replace(dissection, settings=settings).report()
    assert "no unit's IoU is above 0.99" in text_of(read([report]))


def test_very_many_notes_are_counted(dissection: Dissection) -> None:
    notes = tuple(f"skipped image number {n}." for n in range(NOTES + 5))
    text = text_of(read([replace(dissection.report(), notes=notes)]))
    assert "number 0." in text
    assert "! and 5 more notes: nd report --json lists all" in text


def test_the_command_line_writes_runs_and_tables(
    dissection: Dissection, tmp_path: Path
) -> None:
    """Beside other formats, by the file's ending."""
    run = dissection.save(tmp_path / "run")
    write_report(run, tmp_path / "best.pdf")
    assert (tmp_path / "best.pdf").read_bytes() == to_pdf([dissection.report()])
    write_report(run, tmp_path / "units.netdissect.csv")
    write_report(tmp_path / "units.netdissect.csv", tmp_path / "table.PDF")
    text = text_of(PdfReader(tmp_path / "table.PDF"))
    assert re.search(r"unit \d+ \(\d+ in the file\) · IoU", text)


def write_report(source: Path, output: Path) -> None:
    command = [sys.executable, "-m", "nd_plugin", "report", source, "-o", output]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_layers_are_a_title_page() -> None:
    (page,) = read([]).pages
    assert "no layers" in page.extract_text()
