"""Terminal report of layers: formats purely; printing is the command line's affair.

Readable at 80 columns; nothing is cut: what does not fit in a line is folded.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nd_plugin.report.html_page import page
from nd_plugin.report.layer_report import LayerReport, Summary, UnitScore
from nd_plugin.report.narrow import FittingTable, Heading

BAR_CELLS = 30  # width of the longest bar
EIGHTHS = " ▏▎▍▌▋▊▉█"
COLOURS = {
    "object": "cyan",
    "part": "blue",
    "scene": "magenta",
    "material": "yellow",
    "texture": "green",
    "color": "red",
}
CONCEPTS_PER_CATEGORY = 4
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
    yield Heading(Text(report.layer, style="bold"))
    yield FittingTable(_facts(report))
    yield Padding(_headline(report.summary), CELL_ABOVE)
    yield FittingTable(_bars(report))
    if report.summary.detectors:
        yield Padding(FittingTable(_best(report)), CELL_ABOVE)
    for state in STATES:
        units = [score.unit for score in report.scores if score.state == state]
        if units:
            yield Padding(_units_of_state(state, units), CELL_ABOVE)
    if report.notes:
        yield Padding(_notes(report.notes), CELL_ABOVE)


def _facts(report: LayerReport) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in report.facts.items():
        table.add_row(name, Text(value))
    return table


def _headline(summary: Summary) -> Text:
    text = Text()
    unique = summary.unique_detectors
    text.append(str(unique), style="bold green" if unique else "bold")
    text.append(f" unique {plural(unique, 'detector')}", style="bold")
    detectors = f"{summary.detectors} {plural(summary.detectors, 'detector')}"
    text.append(f" · {detectors} among {summary.units} units")
    text.append(
        f" · {summary.unique_detectors_per_category} counted per category",
        style="dim",
    )
    return text


def plural(count: int, noun: str) -> str:
    """Return a noun as it stands behind a count."""
    return noun if count == 1 else f"{noun}s"


def _bars(report: LayerReport) -> Table:
    unique = report.summary.unique_detectors_by_category
    units = report.summary.detectors_by_category
    longest = max(unique.values(), default=0)
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()  # the bars give way where the terminal is narrow
    table.add_column(style="dim", no_wrap=True)
    for category in report.categories:
        count = unique.get(category, 0)
        bar = Bar(count, longest, COLOURS.get(category, "white"))
        unit_count = units.get(category, 0)
        unit_text = f"{unit_count} {plural(unit_count, 'unit')}" if count else ""
        table.add_row(Text(category), str(count), bar, unit_text)
    return table


@dataclass(frozen=True)
class Bar:
    """Bar in eighths of a cell, the longest at most ``BAR_CELLS`` cells wide."""

    count: int
    longest: int
    colour: str

    def __rich_measure__(
        self, console: Console, options: ConsoleOptions
    ) -> Measurement:
        cells = math.ceil(self._share() * BAR_CELLS)
        return Measurement(min(1, options.max_width), min(cells, options.max_width))

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[Text]:
        eighths = round(8 * self._share() * min(BAR_CELLS, options.max_width))
        full_cells = EIGHTHS[8] * (eighths // 8)
        last_cell = EIGHTHS[eighths % 8].strip()
        yield Text(full_cells + last_cell, style=self.colour)

    def _share(self) -> float:
        return self.count / self.longest if self.longest else 0.0


def _best(report: LayerReport) -> Table:
    table = Table(
        box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False
    )
    table.add_column("best", overflow="fold")
    table.add_column("concept", overflow="fold")
    for header in ("IoU", "unit", "threshold", "units"):
        table.add_column(header, justify="right", overflow="fold")
    for category in report.categories:
        name = Text(category, style=COLOURS.get(category, "white"))
        for score, units in report.best(category, CONCEPTS_PER_CATEGORY):
            table.add_row(name, *_best_cells(score, units))
            name = Text("")
        unique = report.summary.unique_detectors_by_category.get(category, 0)
        if unique > CONCEPTS_PER_CATEGORY:
            table.add_row(
                "", Text(f"and {unique - CONCEPTS_PER_CATEGORY} more", style="dim")
            )
    return table


def _best_cells(score: UnitScore, units: int) -> tuple[RenderableType, ...]:
    threshold = "" if score.threshold is None else f"{score.threshold:.4g}"
    return (
        Text(score.concept),
        f"{score.iou:.4f}",
        str(score.unit),
        threshold,
        str(units),
    )


def _units_of_state(state: str, units: Sequence[int]) -> Text:
    listed = ", ".join(str(unit) for unit in units[:ITEMS_LISTED])
    beyond = len(units) - ITEMS_LISTED
    tail = f" and {beyond} more" if beyond > 0 else ""
    return Text(
        f"{len(units)} {state} ({STATES[state]}): {listed}{tail}", style="dim"
    )


def _notes(notes: Sequence[str]) -> Text:
    lines = [f"! {note}" for note in notes[:ITEMS_LISTED]]
    beyond = len(notes) - ITEMS_LISTED
    if beyond > 0:
        lines.append(f"! and {beyond} more, in run.json and in --json")
    return Text("\n".join(lines), style="yellow")


def to_text(reports: Sequence[LayerReport], width: int = 100) -> str:
    """Return plain text without colours."""
    return _recorded(reports, width).export_text()


def to_html(reports: Sequence[LayerReport]) -> str:
    """Return a page of its own."""
    return page("Network Dissection", to_html_fragment(reports))


def to_html_fragment(reports: Sequence[LayerReport]) -> str:
    """Return a piece of HTML, for notebooks."""
    style = "font-family:Menlo,Consolas,monospace;line-height:1.2"
    frame = f'<pre style="{style}">{{code}}</pre>'
    return _recorded(reports, 100).export_html(
        inline_styles=True, code_format=frame
    )


def to_svg(reports: Sequence[LayerReport]) -> str:
    """Return a picture of a terminal."""
    return _recorded(reports, 88).export_svg(title="nd report")


def _recorded(reports: Sequence[LayerReport], width: int) -> Console:
    console = Console(
        record=True,
        file=io.StringIO(),
        width=width,
        force_terminal=True,
        color_system="truecolor",
    )
    for report in reports:
        console.print(render(report))
        console.print()
    return console
