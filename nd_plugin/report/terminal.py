"""The terminal report: formats purely; printing is the command line's affair.

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
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from nd_plugin.report.layer_report import LayerReport, Summary

BAR = 30  # cells of the longest bar


EIGHTHS = " ▏▎▍▌▋▊▉█"


COLOURS = {
    "object": "cyan",
    "part": "blue",
    "scene": "magenta",
    "material": "yellow",
    "texture": "green",
    "color": "red",
}


BEST = 4  # concepts shown per category


LISTED = 12  # units named one by one


def render(report: LayerReport) -> RenderableType:
    """One layer: what was run, unique detectors by category, the best detectors, units without a say, notes."""
    return Group(*_blocks(report))


def _blocks(report: LayerReport) -> Iterator[RenderableType]:
    summary = report.summary
    yield Rule(Text(f"{report.layer}", style="bold"), align="left")
    yield _facts(report)
    yield Padding(_headline(summary), (1, 0, 0, 0))
    yield _bars(report)
    if summary.detectors:
        yield Padding(_best(report), (1, 0, 0, 0))
    yield from _states(report)
    if report.notes:
        shown = [f"! {note}" for note in report.notes[:LISTED]]
        rest = len(report.notes) - LISTED
        shown += [f"! and {rest} more, in run.json and in --json"] if rest > 0 else []
        yield Padding(Text("\n".join(shown), style="yellow"), (1, 0, 0, 0))


def _facts(report: LayerReport) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in report.facts.items():
        table.add_row(name, Text(value))
    return table


def _headline(summary: Summary) -> Text:
    text = Text()
    text.append(
        f"{summary.unique_detectors}", style="bold green" if summary.unique_detectors else "bold"
    )
    text.append(f" unique detector{'s' * (summary.unique_detectors != 1)}", style="bold")
    text.append(
        f" · {summary.detectors} detector{'s' * (summary.detectors != 1)} among {summary.units} units"
    )
    text.append(f" · {summary.unique_detectors_per_category} counted per category", style="dim")
    return text


def _bars(report: LayerReport) -> RenderableType:
    counts, totals = (
        report.summary.unique_detectors_by_category,
        report.summary.detectors_by_category,
    )
    longest = max(counts.values(), default=0)
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()  # the bars give way where the terminal is narrow
    table.add_column(style="dim", no_wrap=True)
    for category in report.categories:
        colour, count = COLOURS.get(category, "white"), counts.get(category, 0)
        units = f"{totals.get(category, 0)} unit{'s' * (totals.get(category, 0) != 1)}"
        table.add_row(
            Text(category), str(count), Bar(count, longest, colour), units if count else ""
        )
    return table


@dataclass(frozen=True)
class Bar:
    """A bar of eighths of a cell, the longest at most ``BAR`` cells wide."""

    count: int
    longest: int
    colour: str

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(
            min(1, options.max_width), min(math.ceil(self._share() * BAR), options.max_width)
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        eighths = round(8 * self._share() * min(BAR, options.max_width))
        yield Text(EIGHTHS[8] * (eighths // 8) + EIGHTHS[eighths % 8].strip(), style=self.colour)

    def _share(self) -> float:
        return self.count / self.longest if self.longest else 0.0


def _best(report: LayerReport) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("best", overflow="fold")
    table.add_column("concept", overflow="fold")
    for header in ("IoU", "unit", "threshold", "units"):
        table.add_column(header, justify="right", overflow="fold")
    for category in report.categories:
        colour = COLOURS.get(category, "white")
        for place, (score, units) in enumerate(report.best(category, BEST)):
            threshold = "" if score.threshold is None else f"{score.threshold:.4g}"
            name = Text(category if place == 0 else "", style=colour)
            table.add_row(
                name,
                Text(score.concept),
                f"{score.iou:.4f}",
                str(score.unit),
                threshold,
                str(units),
            )
        more = report.summary.unique_detectors_by_category.get(category, 0) - BEST
        if more > 0:
            table.add_row("", Text(f"and {more} more", style="dim"))
    return table


def _states(report: LayerReport) -> Iterator[RenderableType]:
    meanings = {"dead": "constant everywhere", "sparse": "0 almost everywhere: the threshold is 0"}
    for state, meaning in meanings.items():
        units = [score.unit for score in report.scores if score.state == state]
        if units:
            more = f" and {len(units) - LISTED} more" if len(units) > LISTED else ""
            text = f"{len(units)} {state} ({meaning}): {', '.join(map(str, units[:LISTED]))}{more}"
            yield Padding(Text(text, style="dim"), (1, 0, 0, 0))


def to_text(reports: Sequence[LayerReport], width: int = 100) -> str:
    """Plain text without colours."""
    return _recorded(reports, width).export_text()


def to_html(reports: Sequence[LayerReport]) -> str:
    """A page of its own."""
    return page("Network Dissection", to_html_fragment(reports))


def page(title: str, body: str) -> str:
    """HTML of its own; ``body`` is HTML already."""
    head = f'<meta charset="utf-8"><title>{title}</title>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def to_html_fragment(reports: Sequence[LayerReport]) -> str:
    """A piece of HTML, for notebooks."""
    page = '<pre style="font-family:Menlo,Consolas,monospace;line-height:1.2">{code}</pre>'
    return _recorded(reports, 100).export_html(inline_styles=True, code_format=page)


def to_svg(reports: Sequence[LayerReport]) -> str:
    """A picture of a terminal."""
    return _recorded(reports, 88).export_svg(title="nd report")


def _recorded(reports: Sequence[LayerReport], width: int) -> Console:
    console = Console(
        record=True, file=io.StringIO(), width=width, force_terminal=True, color_system="truecolor"
    )
    for report in reports:
        console.print(render(report))
        console.print()
    return console
