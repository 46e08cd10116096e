"""Terminal report of layers: formats purely; printing is the command line's affair.

Readable at 80 columns; nothing is cut: what does not fit in a line is folded.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nd_plugin.borders.printable import Printable, in_xml
from nd_plugin.report.colours import FAINT, GOOD, WARNING, category_colours
from nd_plugin.report.elements import AdaptiveTable, Bar, Heading, facts_table
from nd_plugin.report.error_bars.texts import (
    count_intervals,
    count_text,
    detectors_interval,
    error_bar_lines,
    iou_range_text,
    per_cent,
    range_text,
    unique_interval,
)
from nd_plugin.report.layer_report import LayerReport, UnitScore
from nd_plugin.report.thresholds import tables as sweep_tables
from nd_plugin.report.thresholds.sweep import quantile_sweeps

CONCEPTS_PER_CATEGORY = 4
FONT_FILES = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
ITEMS_LISTED = 12  # units and notes, one by one
STATES = {
    "dead": "constant everywhere",
    "sparse": "0 almost everywhere: the threshold is 0",
}
CELL_ABOVE = (1, 0, 0, 0)  # padding


def render(report: LayerReport) -> RenderableType:
    """Return what was run, unique detectors by category, the best detectors, and notes."""
    return Group(*_blocks(report))


def _blocks(report: LayerReport) -> Iterator[RenderableType]:
    yield Heading(Text(report.title, style="bold"))
    yield facts_table(tuple(report.facts.items()))
    yield Padding(_headline(report), CELL_ABOVE)
    for line in error_bar_lines(report):
        yield Text(line, style=FAINT)
    yield _bars(report)
    if report.summary.detectors:
        yield Padding(_best(report), CELL_ABOVE)
    if report.category_scores and report.categories_without_detectors():
        yield Padding(_nearest_misses(report), CELL_ABOVE)
    for state in STATES:
        units = [score.unit for score in report.scores if score.state == state]
        if units:
            yield Padding(_units_of_state(state, units), CELL_ABOVE)
    if report.notes:
        yield Padding(_notes(report.notes), CELL_ABOVE)


def _headline(report: LayerReport) -> Text:
    summary = report.summary
    text = Text()
    unique = summary.unique_detectors
    interval = unique_interval(report)
    text.append(str(unique), style=f"bold {GOOD}" if unique else "bold")
    text.append(f" unique {plural(unique, 'detector')}", style="bold")
    if interval is not None:
        text.append(f" ({range_text(interval)})")
    detectors = f"{summary.detectors} {plural(summary.detectors, 'detector')}"
    interval = detectors_interval(report)
    if interval is not None:
        detectors = f"{detectors} ({range_text(interval)})"
    text.append(f" · {detectors} among {summary.units} units")
    text.append(
        f" · {summary.unique_detectors_per_category} counted per category",
        style=FAINT,
    )
    return text


def plural(count: int, noun: str) -> str:
    """Return a noun as it stands behind a count."""
    return noun if count == 1 else f"{noun}s"


def _bars(report: LayerReport) -> Table:
    unique = report.summary.unique_detectors_by_category
    units = report.summary.detectors_by_category
    longest = max(unique.values(), default=0)
    intervals = count_intervals(report)
    colours = category_colours(report.categories)
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    # with an interval behind them, numbers begin alike
    table.add_column(justify="left" if intervals else "right", no_wrap=True)
    table.add_column()  # the bars give way where the terminal is narrow
    table.add_column(style=FAINT, no_wrap=True)
    for category in report.categories:
        count = unique.get(category, 0)
        bar = Bar(count, longest, colours[category])
        unit_count = units.get(category, 0)
        unit_text = f"{unit_count} {plural(unit_count, 'unit')}" if count else ""
        interval = (
            intervals.unique_detectors_by_category.get(category)
            if intervals
            else None
        )
        table.add_row(Text(category), count_text(count, interval), bar, unit_text)
    return table


def _best(report: LayerReport) -> RenderableType:
    error_bar_headers = _error_bar_headers(report)
    headers = (
        "best",
        "concept",
        *_score_headers(report),
        *error_bar_headers,
        *_unit_headers(report),
        "units",
    )
    colours = category_colours(report.categories)
    rows: list[tuple[Text, ...]] = []
    for category in report.categories:
        name = Text(category, style=colours[category])
        for score, units in report.best(category, CONCEPTS_PER_CATEGORY):
            concept, iou, *details = _score_cells(report, score)
            error_bars = _error_bar_cells(report, score)
            rows.append(
                (name, concept, iou, *error_bars, *details, Text(str(units)))
            )
            name = Text("")
        unique = report.summary.unique_detectors_by_category.get(category, 0)
        if unique > CONCEPTS_PER_CATEGORY:
            more = Text(f"and {unique - CONCEPTS_PER_CATEGORY} more", style=FAINT)
            rows.append((name, more, *[Text("")] * (len(headers) - 2)))
    return AdaptiveTable(
        headers,
        tuple(rows),
        lead=1,
        group=0,
        right=tuple(range(2, len(headers))),
        optional=tuple(range(2 + len(error_bar_headers), 2, -1)),
    )


def _error_bar_headers(report: LayerReport) -> tuple[str, ...]:
    """Return the headers of a unit's interval, stability and p-value, those that there are."""
    headers: tuple[str, ...] = ()
    if report.intervals is not None:
        headers += (f"{report.intervals.level * 100:g} %", "stable")
    if report.chance_level is not None:
        headers += ("p",)
    return headers


def _error_bar_cells(report: LayerReport, score: UnitScore) -> tuple[Text, ...]:
    cells: tuple[Text, ...] = ()
    if report.intervals is not None:
        interval = iou_range_text(report.intervals.iou(score.unit))
        stability = float(report.intervals.stability[score.unit])
        cells += (Text(interval), Text(per_cent(stability)))
    if report.chance_level is not None:
        cells += (Text(f"{report.chance_level.p_values[score.unit]:.2g}"),)
    return cells


def _score_headers(report: LayerReport) -> tuple[str, ...]:
    """Return the headers of a unit's scores: IoU, behind the score that labels units."""
    if report.label_score == "iou":
        return ("IoU",)
    return (report.score_name, "IoU")


def _unit_headers(report: LayerReport) -> tuple[str, ...]:
    """Return the headers of a unit's number and threshold; files give no thresholds."""
    if report.first_unit_in_source:
        return ("unit", "in file")
    return ("unit", "threshold")


def _score_cells(report: LayerReport, score: UnitScore) -> tuple[Text, ...]:
    """Return concept, scores, unit, and its threshold or its number in the file."""
    detail = "" if score.threshold is None else f"{score.threshold:.4g}"
    if report.first_unit_in_source:
        detail = str(score.unit + report.first_unit_in_source)
    values = [score.iou]
    if report.label_score != "iou":
        values.insert(0, score.value(report.label_score))
    return (
        Text(score.concept),
        *(Text(f"{value:.4f}") for value in values),
        Text(str(score.unit)),
        Text(detail),
    )


def _nearest_misses(report: LayerReport) -> RenderableType:
    """Return the best match of each category without detectors."""
    numbers = (*_score_headers(report), *_unit_headers(report))
    headers = ("nearest miss", "concept", *numbers, "detects")
    misses = {miss.score.category: miss for miss in report.nearest_misses()}
    if not any(miss.label for miss in misses.values()):
        headers = headers[:-1]
    colours = category_colours(report.categories)
    rows: list[tuple[Text, ...]] = []
    for category in report.categories_without_detectors():
        name = Text(category, style=colours[category])
        miss = misses.get(category)
        if miss is None:
            no_overlap = Text("no unit overlaps any", style=FAINT)
            rows.append((name, no_overlap, *[Text("")] * (len(headers) - 2)))
            continue
        cells = (name, *_score_cells(report, miss.score), Text(miss.label))
        rows.append(cells[: len(headers)])
    return AdaptiveTable(
        headers,
        tuple(rows),
        lead=1,
        group=0,
        right=tuple(range(2, 2 + len(numbers))),
    )


def _units_of_state(state: str, units: Sequence[int]) -> Text:
    listed = ", ".join(str(unit) for unit in units[:ITEMS_LISTED])
    beyond = len(units) - ITEMS_LISTED
    tail = f" and {beyond} more" if beyond > 0 else ""
    return Text(
        f"{len(units)} {state} ({STATES[state]}): {listed}{tail}", style=FAINT
    )


def _notes(notes: Sequence[str]) -> Text:
    lines = [f"! {note}" for note in notes[:ITEMS_LISTED]]
    beyond = len(notes) - ITEMS_LISTED
    if beyond > 0:
        lines.append(f"! and {beyond} more, in run.json and in --json")
    return Text("\n".join(lines), style=WARNING)


def to_text(reports: Sequence[LayerReport], width: int = 100) -> str:
    """Return plain text without colours."""
    return plain_text(all_blocks(reports), width)


def all_blocks(reports: Sequence[LayerReport]) -> list[RenderableType]:
    """Return the report of each layer, then the counts over τ of layers at several quantiles."""
    blocks = [render(report) for report in reports]
    sweeps = [sweep_tables.render(sweep) for sweep in quantile_sweeps(reports)]
    return [*blocks, *sweeps]


def plain_text(blocks: Sequence[RenderableType], width: int = 100) -> str:
    """Return blocks as plain text without colours, a blank line below each."""
    return _recorded(blocks, width).export_text()


def to_svg(reports: Sequence[LayerReport]) -> str:
    """Return a picture of a terminal, which loads nothing: fonts are those of the viewer."""
    picture = _recorded(all_blocks(reports), 88).export_svg(title="nd report")
    # rich names fonts of a server in its style
    style, end, body = in_xml(picture).partition("</style>")
    return FONT_FILES.sub("", style) + end + body


def _recorded(blocks: Sequence[RenderableType], width: int) -> Console:
    console = Console(
        record=True,
        file=io.StringIO(),
        width=width,
        force_terminal=True,
        # in a notebook a console displays whatever it prints
        force_jupyter=False,
        color_system="truecolor",
        markup=False,
        emoji=False,
    )
    for block in blocks:
        console.print(Printable(block))
        console.print()
    return console
