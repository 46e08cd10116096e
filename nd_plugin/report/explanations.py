"""Display of explanations in terminals, notebooks and HTML pages.

Readable at 60 columns; long names are folded, never cut. Names come from data sets and users: HTML
escapes them.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nd_plugin.report.explanation_record import ExplanationRecord
from nd_plugin.report.html_page import page, rendered
from nd_plugin.report.mask_overlays import data_uri, overlay
from nd_plugin.report.narrow import FittingTable, Heading
from nd_plugin.report.terminal import COLOURS, EIGHTHS

LONGEST_BAR = 6  # terminal cells

CONTRIBUTIONS = {
    "linear": "w_n * x_n: exact, by the linear head",
    "gradient": "activation times gradient: first-order approximation",
    "ablation": "decrease of the output without the unit",
}

MASKS = {
    "image": "highest activations of the image's own map",
    "dissection": "activations above the unit's threshold T_k",
}


def render_all(records: Sequence[ExplanationRecord]) -> RenderableType:
    """Render explanations one below the other."""
    blank_line_below = (0, 0, 1, 0)
    return Group(*(Padding(render(record), blank_line_below) for record in records))


def render(record: ExplanationRecord) -> RenderableType:
    """Render an explanation: target and output, settings, table of units, ablation check, notes."""
    blank_line_above = (1, 0, 0, 0)
    remarks = sentences(record) + [f"! {note}" for note in record.notes]
    return Group(
        _title(record),
        FittingTable(_facts_table(record)),
        Padding(FittingTable(_units_table(record)), blank_line_above),
        Padding(Text("\n".join(remarks)), blank_line_above),
    )


def _title(record: ExplanationRecord) -> RenderableType:
    title = Text(record.name, style="bold")
    title.append(f"  {record.output:.4g}", style="bold green")
    return Heading(title)


def _facts_table(record: ExplanationRecord) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts(record).items():
        table.add_row(name, Text(value))
    return table


def facts(record: ExplanationRecord) -> dict[str, str]:
    """Describe layer, contributions, masks, and the predicted class if it is another."""
    descriptions = {
        "layer": record.layer,
        "contributions": CONTRIBUTIONS[record.contribution],
        "masks": MASKS[record.mask],
    }
    if record.predicted not in ("", record.name):
        descriptions["predicted"] = record.predicted
    return descriptions


def _units_table(record: ExplanationRecord) -> Table:
    table = Table(
        box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False
    )
    table.add_column("unit", justify="right")
    table.add_column("concept", overflow="fold")
    table.add_column("category", overflow="fold")
    table.add_column("IoU", justify="right")
    table.add_column("contribution", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    largest = max((abs(unit.contribution) for unit in record.units), default=0.0)
    for unit in record.units:
        colour = COLOURS.get(unit.category, "white")
        table.add_row(
            str(unit.unit),
            Text(unit.label, style="bold" if unit.detector else "dim"),
            Text(unit.category, style=colour),
            f"{unit.iou:.3f}",
            f"{unit.contribution:+.3g}",
            f"{unit.share:.1%}",
            Text(_bar(unit.contribution, largest), style=colour),
        )
    return table


def _bar(value: float, largest: float) -> str:
    """Draw a bar in eighths of a terminal cell; empty for negative values."""
    if not largest:
        return ""
    length_in_eighths = round(8 * LONGEST_BAR * max(value, 0.0) / largest)
    full_cells, eighths = divmod(length_in_eighths, 8)
    return EIGHTHS[8] * full_cells + EIGHTHS[eighths].strip()


def sentences(record: ExplanationRecord) -> list[str]:
    """Summarise in words: sum of the contributions, ablation check, meaning of the parentheses."""
    contributed = sum(unit.contribution for unit in record.units)
    summary = (
        f"Together these units contribute {contributed:+.4g} of {record.output:.4g}"
    )
    if record.bias is not None:
        summary += f" (the head's bias is {record.bias:+.3g})"
    lines = [f"{summary}."]
    if record.check is not None:
        lines.append(
            f"Ablation check: zeroing these units changes the output by "
            f"{-record.check.measured:+.4g} (predicted {-record.check.predicted:+.4g})."
        )
    if any(not unit.detector for unit in record.units):
        lines.append(
            "Concepts in parentheses: best match of a unit that is not a detector."
        )
    return lines


def to_html(records: Sequence[ExplanationRecord]) -> str:
    """Return a complete HTML page."""
    return page("Explanation", to_html_fragment(records))


def to_html_fragment(records: Sequence[ExplanationRecord]) -> str:
    """Return HTML for notebooks: images are embedded, nothing is fetched."""
    return rendered(
        "explanations.html.jinja",
        records=records,
        facts=facts,
        sentences=sentences,
        data_uri=data_uri,
        overlay=overlay,
    )
