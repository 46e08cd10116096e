"""Display of explanations in terminals, and the texts of all their forms.

Readable at 40 columns; nothing is cut.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nd_plugin.report.colours import FAINT, GOOD, category_colour
from nd_plugin.report.elements import EIGHTHS, AdaptiveTable, Heading, facts_table
from nd_plugin.report.explanation_record import ExplanationRecord, RankedUnit

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
    return Group(
        _title(record),
        facts_table(tuple(facts(record).items())),
        Padding(_units_table(record), blank_line_above),
        Padding(Text("\n".join(remarks(record))), blank_line_above),
    )


def _title(record: ExplanationRecord) -> RenderableType:
    title = Text(record.name, style="bold")
    title.append(f"  {record.output:.4g}", style=f"bold {GOOD}")
    return Heading(title)


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


def _units_table(record: ExplanationRecord) -> RenderableType:
    headers = ("unit", "concept", "category", "IoU", "contribution", "share", "")
    largest = max((abs(unit.contribution) for unit in record.units), default=0.0)
    rows = [_unit_cells(unit, largest) for unit in record.units]
    lead = headers.index("concept")
    numbers = ("unit", "IoU", "contribution", "share")
    right = tuple(headers.index(name) for name in numbers)
    return AdaptiveTable(headers, tuple(rows), lead=lead, right=right)


def _unit_cells(unit: RankedUnit, largest: float) -> tuple[Text, ...]:
    colour = category_colour(unit.category)
    return (
        Text(str(unit.unit)),
        Text(unit.label, style="bold" if unit.detector else FAINT),
        Text(unit.category, style=colour),
        Text(f"{unit.iou:.3f}"),
        Text(f"{unit.contribution:+.3g}"),
        Text(f"{unit.share:.1%}"),
        Text(_bar(unit.contribution, largest), style=colour),
    )


def _bar(value: float, largest: float) -> str:
    """Draw a bar in eighths of a terminal cell; empty for negative values."""
    if not largest:
        return ""
    length_in_eighths = round(8 * LONGEST_BAR * max(value, 0.0) / largest)
    full_cells, eighths = divmod(length_in_eighths, 8)
    return EIGHTHS[8] * full_cells + EIGHTHS[eighths].strip()


def remarks(record: ExplanationRecord) -> list[str]:
    """Return what is said below the units: sentences, then notes behind a mark."""
    return sentences(record) + [f"! {note}" for note in record.notes]


def sentences(record: ExplanationRecord) -> list[str]:
    """Summarise in words: sum of the contributions, shares, ablation check, parentheses."""
    contributed = sum(unit.contribution for unit in record.units)
    summary = (
        f"Together these units contribute {contributed:+.4g} of {record.output:.4g}"
    )
    if record.bias is not None:
        summary += f" (the head's bias is {record.bias:+.3g})"
    lines = [f"{summary}."]
    if record.units:
        lines.append(
            f"Share: contribution divided by {record.absolute_sum:.4g}, the sum of the absolute "
            f"contributions of all units of the layer."
        )
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
