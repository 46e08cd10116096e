"""Report of layers as a PDF: a title page, and pages of unit cards for each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nd_pdf.cards import draw_card
from nd_pdf.characters import name_of
from nd_pdf.paper import (
    BODY,
    CATEGORY,
    HEADING,
    MARGIN,
    NOTE,
    SECONDARY,
    SMALL,
    STRONG,
    TITLE,
    WIDTH,
    Colour,
    Paper,
)
from nd_plugin import LayerReport

NAME = "Network Dissection: best detectors"
EXPLANATION = (
    "Each row is a unit with the images in which it is most active, strongest first. Pixels where "
    "its activation exceeds its threshold T_k are bright and outlined, the rest is dimmed. IoU "
    "compares these pixels with those of the concept, over all images. A detector is a unit whose "
    "IoU is above the limit; of each concept the best detector is shown."
)
CARDS = 6  # of a category
NOTES = 60  # of a layer
# of Okabe and Ito, those that stand out from white
COLOURS: tuple[Colour, ...] = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 138, 100),
    (190, 90, 150),
    (150, 110, 0),
    (70, 140, 190),
)
# right edges of the columns of the table of layers
COLUMNS = {"unique": 112.0, "detectors": 132.0, "units": 150.0, "page": WIDTH}
COLUMN_WIDTH = 22.0
NAME_WIDTH = 90.0
BAR_LEFT = 50.0
BAR_WIDTH = 80.0
CARD_HEIGHT = 42.0  # about, with a heading above


def to_pdf(reports: Sequence[LayerReport]) -> bytes:
    """Return a PDF of the best detectors: for each layer those of up to 6 concepts a category.

    The same reports give the same bytes.
    """
    with Paper(NAME) as paper:
        write_reports(paper, reports)
        return paper.content()


def write_reports(paper: Paper, reports: Sequence[LayerReport]) -> None:
    """Write the title page, then each layer; its page into the table of the title page."""
    rows = write_title_page(paper, reports)
    shared_facts = shared_items([report.facts for report in reports])
    shared = set(shared_notes(reports))
    for report, (page, top) in zip(reports, rows, strict=True):
        paper.begin_chapter(report.title)
        first_page = paper.number
        own_facts = {
            subject: fact
            for subject, fact in report.facts.items()
            if subject not in shared_facts
        }
        own_notes = [note for note in report.notes if note not in shared]
        write_layer(paper, report, own_facts, own_notes)
        last_page = paper.number
        paper.turn_to(page)
        write_page_number(paper, top, first_page)
        paper.turn_to(last_page)


def write_title_page(
    paper: Paper, reports: Sequence[LayerReport]
) -> list[tuple[int, float]]:
    """Write a table of the layers, and the facts and notes that are true of all.

    Return the page of each layer's row in the table, and its distance from the top there.
    """
    paper.begin_page()
    paper.write(NAME, TITLE)
    paper.skip(6)
    paper.facts(shared_items([report.facts for report in reports]))
    paper.skip(6)
    write_row(paper, "layer", {name: name for name in COLUMNS}, is_head=True)
    rows = []
    for report in reports:
        summary = report.summary
        cells = {
            "unique": str(summary.unique_detectors),
            "detectors": str(summary.detectors),
            "units": str(summary.units),
        }
        name = name_of(report.title, paper.covered)
        rows.append(write_row(paper, name, cells))
    if not reports:
        paper.write("no layers", SECONDARY)
    paper.skip(4)
    write_notes(paper, shared_notes(reports))
    paper.skip(4)
    paper.write(EXPLANATION, SECONDARY)
    return rows


def write_row(
    paper: Paper, name: str, cells: Mapping[str, str], *, is_head: bool = False
) -> tuple[int, float]:
    """Write a row of the table of layers; return its page and its distance from the top."""
    style = SECONDARY if is_head else BODY
    paper.make_room(style.line)
    top = paper.position
    paper.put(name, style, MARGIN, top, NAME_WIDTH)
    for column, cell in cells.items():
        left = MARGIN + COLUMNS[column] - COLUMN_WIDTH
        paper.put(cell, style, left, top, COLUMN_WIDTH, align="R")
    paper.skip(top + style.line - paper.position)
    return paper.number, top


def write_page_number(paper: Paper, top: float, number: int) -> None:
    """Write the page of a layer into its row, which leads there."""
    left = MARGIN + COLUMNS["page"] - COLUMN_WIDTH
    paper.put(str(number), BODY, left, top, COLUMN_WIDTH, align="R")
    paper.link(top, number)


def write_layer(
    paper: Paper,
    report: LayerReport,
    facts: Mapping[str, str],
    notes: Sequence[str],
) -> None:
    """Write the pages of a layer; ``facts`` and ``notes`` are those of this layer alone."""
    paper.write(name_of(report.title, paper.covered), HEADING)
    paper.skip(2)
    paper.write(headline(report), STRONG)
    paper.skip(2)
    paper.facts(facts)
    paper.skip(2)
    write_bars(paper, report)
    paper.skip(3)
    write_notes(paper, [*notes, *picture_notes(report)])
    if not report.summary.detectors:
        paper.write(f"no unit's IoU is above {report.min_iou:g}", SECONDARY)
    for number, category in enumerate(report.categories):
        write_category(paper, report, category, colour_of(number))


def headline(report: LayerReport) -> str:
    """Return the counts of a layer in a line, with their intervals where there are any."""
    summary = report.summary
    unique = f"{summary.unique_detectors} unique"
    detectors = counted(summary.detectors, "detector")
    intervals = report.intervals
    if intervals is not None:
        counts = intervals.counts
        unique += f" ({counts.unique_detectors.low}–{counts.unique_detectors.high})"
        detectors += f" ({counts.detectors.low}–{counts.detectors.high})"
    parts = [f"{unique} of {detectors} among {counted(summary.units, 'unit')}"]
    for state, count in (("dead", summary.dead), ("sparse", summary.sparse)):
        if count:
            parts.append(f"{count} {state}")
    return " · ".join(parts)


def write_bars(paper: Paper, report: LayerReport) -> None:
    """Draw the unique detectors of each category, with the number of units."""
    unique = report.summary.unique_detectors_by_category
    units = report.summary.detectors_by_category
    longest = max(unique.values(), default=0)
    for number, category in enumerate(report.categories):
        count = unique.get(category, 0)
        paper.make_room(BODY.line)
        top = paper.position
        name = name_of(category, paper.covered)
        paper.put(name, BODY, MARGIN, top, BAR_LEFT - 12)
        paper.put(str(count), BODY, MARGIN + BAR_LEFT - 14, top, 12, align="R")
        if count:
            width = BAR_WIDTH * count / longest
            paper.bar(MARGIN + BAR_LEFT, top, width, colour_of(number))
            text = counted(units.get(category, 0), "unit")
            left = MARGIN + BAR_LEFT + width + 1
            paper.put(text, SECONDARY, left, top, 30)
        paper.skip(top + BODY.line - paper.position)


def write_category(
    paper: Paper, report: LayerReport, category: str, colour: Colour
) -> None:
    """Write the cards of a category, and name the concepts that have none."""
    best = report.best(category)
    if not best:
        return
    paper.make_room(CARD_HEIGHT)
    paper.skip(3)
    style = replace(CATEGORY, colour=colour)
    paper.write(name_of(category, paper.covered), style)
    paper.skip(1)
    for score, units in best[:CARDS]:
        draw_card(paper, report, score, units)
    others = [
        f"{name_of(score.concept, paper.covered)} {score.iou:.3f}"
        for score, _ in best[CARDS:]
    ]
    if others:
        paper.write(f"and {len(others)} more: {', '.join(others)}", SMALL)


def write_notes(paper: Paper, notes: Sequence[str]) -> None:
    """Write notes; of very many, say how many are left out."""
    for note in notes[:NOTES]:
        paper.write(f"! {note}", NOTE)
    beyond = len(notes) - NOTES
    if beyond > 0:
        paper.write(f"! and {beyond} more notes: nd report --json lists all", NOTE)


def picture_notes(report: LayerReport) -> list[str]:
    """Return why a layer has no pictures: none where it has."""
    if report.dissection is None:
        return ["the source is a table of units, without pictures of top images"]
    if report.dissection.pictures is None:
        return [
            "the run has no pictures of top images (--no-pictures, or an earlier nd_plugin)"
        ]
    return []


def shared_items(mappings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the items that all mappings have, in the order of the first."""
    if not mappings:
        return {}
    return {
        key: value
        for key, value in mappings[0].items()
        if all(mapping.get(key) == value for mapping in mappings)
    }


def shared_notes(reports: Sequence[LayerReport]) -> list[str]:
    """Return the notes that all layers have, in the order of the first."""
    if not reports:
        return []
    return [
        note
        for note in reports[0].notes
        if all(note in report.notes for report in reports)
    ]


def counted(count: int, noun: str) -> str:
    """Return a count and its noun: ``1 unit``, ``2 units``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def colour_of(number: int) -> Colour:
    """Return the colour of a category by its place."""
    return COLOURS[number % len(COLOURS)]
