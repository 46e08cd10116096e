"""What ``nd concepts build`` shows of a union, in the terminal and in files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.errors import BadInput

if TYPE_CHECKING:
    from nd_plugin.concepts.union.report import ReportedLabel, UnionReport

LISTED = 20  # merged concepts in the terminal; the report has all


def report_format(path: Path) -> Callable[[UnionReport], str]:
    """Return the function that gives the text of a report. Raises BadInput for another ending."""
    from nd_plugin.concepts.union.report_text import union_csv, union_markdown
    from nd_plugin.report.json_text import document_text
    from nd_plugin.storage.targets import check_file

    def as_json(union: UnionReport) -> str:
        return document_text(union.record())

    formats: dict[str, Callable[[UnionReport], str]] = {
        ".md": union_markdown,
        ".csv": union_csv,
        ".json": as_json,
    }
    if path.suffix not in formats:
        raise BadInput(f"--report {str(path)!r} does not end in .md, .csv or .json")
    check_file(path)
    return formats[path.suffix]


def print_union(output: Path, union: UnionReport) -> None:
    """Print what the union is, its sources, and the concepts that were merged."""
    from nd_plugin.concepts.union.report_text import summary_lines

    console.show(Text(f"broden:{output}", style="bold"))
    for line in summary_lines(union):
        console.show(Text(line))
    table = console.new_table(
        "source", "images", "in the set", "labels", "concepts"
    )
    for source in union.sources:
        cells: list[Any] = [
            source.images,
            source.written,
            source.labels,
            source.concepts,
        ]
        table.add_row(Text(source.name), *map(str, cells))
    console.show(table)
    _print_merged(union.merged)
    console.print_notes(union.notes)


def _print_merged(merged: Sequence[ReportedLabel]) -> None:
    """Print the first merged concepts, with the labels that they consist of and why."""
    if not merged:
        return
    table = console.new_table("", "merged", "labels", "why")
    for concept in merged[:LISTED]:
        labels = [
            f"{member.source}/{member.category}/{member.label}"
            for member in concept.carried
        ]
        reasons = dict.fromkeys(member.reason for member in concept.carried[1:])
        table.add_row(
            str(concept.number),
            Text(concept.name),
            Text(", ".join(labels)),
            Text("; ".join(reasons)),
        )
    console.show(table)
    if len(merged) > LISTED:
        console.show(
            Text(f"… and {len(merged) - LISTED} more: union.csv lists all of them")
        )
