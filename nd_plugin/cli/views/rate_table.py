"""Table 3 for the terminal and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.rating.sampling import Share
from nd_plugin.rating.study import NO_LABEL
from nd_plugin.rating.table import ALL, RatingRow, RatingTable
from nd_plugin.report.colours import FAINT, category_colours
from nd_plugin.report.elements import AdaptiveTable, Heading, facts_table

HEADERS = (
    "category",
    "units",
    "rated",
    "interpretable",
    "human consistency",
    "Network Dissection",
)


def show_table(table: RatingTable) -> None:
    """Print a table of each layer, and what it rests on."""
    for layer in dict.fromkeys(row.layer for row in table.rows):
        rows = [row for row in table.rows if row.layer == layer]
        console.show(Heading(Text(layer, style="bold")))
        console.show(_layer_table(rows))
        console.write("")
    console.show(facts_table(_facts(table)))
    console.print_notes(table.notes)


def table_content(table: RatingTable) -> dict[str, Any]:
    """Return a table as JSON content: of each layer its sums, and its categories."""
    layers = []
    for total in (row for row in table.rows if row.category == ALL):
        categories = [
            _row_content(row)
            for row in table.rows
            if row.layer == total.layer and row.category != ALL
        ]
        content = _row_content(total)
        del content["category"]
        layers.append({**content, "categories": categories})
    return {
        "layers": layers,
        "votes": table.votes,
        "raters": table.raters,
        "agreement": table.agreement,
        "notes": list(table.notes),
    }


def _row_content(row: RatingRow) -> dict[str, Any]:
    return asdict(row)


def _layer_table(rows: list[RatingRow]) -> AdaptiveTable:
    categories = {row.category for row in rows} - {ALL, NO_LABEL}
    styles = {ALL: "bold", NO_LABEL: FAINT, **category_colours(categories)}
    lines = []
    for row in rows:
        shares = (row.interpretable, row.human_consistency, row.network_dissection)
        lines.append(
            (
                Text(row.category, style=styles[row.category]),
                Text(str(row.units)),
                Text(str(row.rated)),
                *map(_share_text, shares),
            )
        )
    return AdaptiveTable(HEADERS, tuple(lines), lead=0, right=(1, 2))


def _share_text(share: Share | None) -> Text:
    """Return ``57/96  59 % (49 to 69)``; of chosen units, ``≈`` instead of the fraction."""
    if share is None:
        return Text("-", style=FAINT)
    interval = f"({100 * share.low:.0f} to {100 * share.high:.0f})"
    fraction = f"{share.accepted}/{share.units}" if share.is_complete else "≈"
    return Text.assemble(
        f"{fraction} {100 * share.value:.0f} % ", (interval, FAINT)
    )


def _facts(table: RatingTable) -> list[tuple[str, str]]:
    facts = [("votes", f"{table.votes} of {table.raters} raters")]
    if table.agreement is not None:
        agreement = (
            f"{100 * table.agreement:.0f} % of pairs of raters of a phrase agree"
        )
        facts.append(("agreement", agreement))
    facts.append(("intervals", "95 %, Wilson"))
    return facts
