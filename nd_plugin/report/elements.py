"""Elements of terminal reports: headings and tables that suit any terminal.

They turn into paragraphs where a terminal is too narrow for them. A table whose
columns were folded to fit would cut words and numbers::

    best    concept     IoU  unit         best
    object  cat      0.2727     2         object
            dog      0.2500     1           cat: IoU 0.2727, unit 2
                                            dog: IoU 0.2500, unit 1
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from nd_plugin.borders.printable import on_one_line, one_line
from nd_plugin.report.colours import FAINT

BAR_CELLS = 30  # width of the longest bar
EIGHTHS = " ▏▎▍▌▋▊▉█"
GAP = 2  # terminal cells between columns, and before an indented line
HISTOGRAM_CELLS = 32
LEVELS = " ▁▂▃▄▅▆▇█"
RULE_CELLS = 2  # of a heading: a blank and a dash at least


@dataclass(frozen=True)
class Heading:
    """Title with a rule behind it, as far as there is room for one."""

    title: Text

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        if self.title.cell_len + RULE_CELLS <= options.max_width:
            yield Rule(on_one_line(self.title), align="left", style=FAINT)
        else:
            yield _folding(self.title)


@dataclass(frozen=True)
class AdaptiveTable:
    """Table of texts; a paragraph for each row where it does not fit without cutting words.

    Only texts of the column ``lead`` are wrapped, between words. In a paragraph the lead comes
    first, and the other texts follow behind their headers; texts without a header are left out.
    Texts of the column ``group`` stand above the rows that they begin, and its header above all.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    lead: int
    group: int | None = None
    right: tuple[int, ...] = ()  # columns that are aligned on the right
    gap: int = GAP  # terminal cells between columns
    # columns that a narrow table goes without, the first of them first; paragraphs have them
    optional: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Put each text on one line: a break in a name would begin a row that is none."""
        rows = tuple(tuple(map(on_one_line, row)) for row in self.rows)
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "headers", tuple(map(one_line, self.headers)))

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        for dropped in range(len(self.optional) + 1):
            columns = self._columns_without(self.optional[:dropped])
            if self._narrowest(columns) <= options.max_width:
                yield self._table(columns)
                return
        yield from self._paragraphs()

    def _columns_without(self, dropped: Sequence[int]) -> list[int]:
        return [
            column for column in range(len(self.headers)) if column not in dropped
        ]

    def _narrowest(self, columns: Sequence[int]) -> int:
        """Return the width of the table when the lead is wrapped between its words."""
        widths = []
        for column in columns:
            header = self.headers[column]
            texts = [Text(header), *(row[column] for row in self.rows)]
            measure = _longest_word if column == self.lead else _cells
            widths.append(max(map(measure, texts)))
        return sum(widths) + self.gap * (len(widths) - 1)

    def _table(self, columns: Sequence[int]) -> Table:
        has_headers = any(self.headers)
        table = Table(
            box=None,
            padding=(0, self.gap, 0, 0),
            header_style=FAINT,
            pad_edge=False,
            show_header=has_headers,
        )
        for column in columns:
            table.add_column(
                Text(self.headers[column]),
                justify="right" if column in self.right else "left",
                no_wrap=column != self.lead,
                overflow="fold",
            )
        for row in self.rows:
            table.add_row(*(row[column] for column in columns))
        return table

    def _paragraphs(self) -> Iterator[RenderableType]:
        if self.group is not None and self.headers[self.group]:
            yield Text(self.headers[self.group], style=FAINT)
        for row in self.rows:
            if self.group is not None and row[self.group]:
                yield _folding(row[self.group])
            indent = 0 if self.group is None else GAP
            yield Padding(_folding(self._paragraph(row)), (0, 0, 0, indent))

    def _paragraph(self, row: Sequence[Text]) -> Text:
        details: list[Text] = []
        for column, header in enumerate(self.headers):
            is_detail = column not in (self.lead, self.group)
            if is_detail and header and row[column]:
                details.append(Text.assemble((f"{header} ", FAINT), row[column]))
        if not details:
            return row[self.lead]
        return Text.assemble(row[self.lead], ": ", Text(", ").join(details))


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


def facts_table(facts: Sequence[tuple[str, str]]) -> AdaptiveTable:
    """Return a table of names and values, without headers."""
    rows = [(Text(name, style=FAINT), Text(value)) for name, value in facts]
    return AdaptiveTable(("", ""), tuple(rows), lead=1, group=0)


def histogram_text(
    counts: npt.NDArray[np.int64],
    edges: npt.NDArray[np.float64],
    threshold: float,
    colour: str,
) -> Text:
    """Return a histogram of activations, (bin,) and (bin + 1,), with a mark at the threshold.

    The bars are logarithmic, and those above the threshold in ``colour``.
    """
    bins_in_cell = max(1, len(counts) // HISTOGRAM_CELLS)
    first_bins = np.arange(0, len(counts), bins_in_cell)
    heights = np.log1p(np.add.reduceat(counts, first_bins))
    levels = np.ceil(heights / max(float(heights.max()), 1.0) * (len(LEVELS) - 1))
    starts = edges[first_bins]
    ends = np.append(starts[1:], edges[-1])
    text = Text("activations (a sample; bars are logarithmic)\n", style=FAINT)
    for level, end in zip(levels.astype(int).tolist(), ends, strict=True):
        text.append(LEVELS[level], colour if end > threshold else FAINT)
    cell = int(np.searchsorted(starts, threshold, side="right")) - 1
    mark = f"{' ' * max(cell, 0)}▲ T_k"
    lowest, highest = float(edges[0]), float(edges[-1])
    text.append(f"\n{mark}", "default")
    text.append(f"\n{lowest:.4g} to {highest:.4g}", FAINT)
    return text


def _folding(text: Text) -> Text:
    """Return a text that is wrapped between words, and folded where a word is too long."""
    folding = text.copy()
    folding.overflow = "fold"
    return folding


def _cells(text: Text) -> int:
    return text.cell_len


def _longest_word(text: Text) -> int:
    return max((Text(word).cell_len for word in text.plain.split()), default=0)
