"""Report of a union as CSV, as Markdown, and as tables of a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nd_plugin.borders.csv_text import csv_text
from nd_plugin.concepts.union.report import ReportedLabel, UnionReport

CSV_COLUMNS = (
    "number",
    "name",
    "source",
    "category",
    "label",
    "images",
    "reason",
    "left_out",
)
MARKDOWN_SPECIAL = str.maketrans({"|": "\\|", "\n": " "})


def union_csv(report: UnionReport) -> str:
    """Return a line for each label of a source: its concept, and why; left out: without number."""
    return csv_text(CSV_COLUMNS, _csv_rows([*report.concepts, *report.left_out]))


def _csv_rows(labels: Sequence[ReportedLabel]) -> Iterator[Sequence[object]]:
    for label in labels:
        number = label.number or ""
        for member in label.members:
            yield (
                number,
                label.name,
                member.source,
                member.category,
                member.label,
                member.images,
                member.reason,
                label.reason,
            )


def summary_lines(report: UnionReport) -> list[str]:
    """Return what a union is, in a few lines."""
    splits = ", ".join(f"{count} {name}" for name, count in report.splits.items())
    lines = [
        f"{report.images} images ({splits}), {len(report.concepts)} concepts, "
        f"{len(report.merged)} of them merged from several labels",
        f"{len(report.left_out)} labels left out as too rare",
    ]
    for source, count in report.unlabelled.items():
        lines.append(
            f"{count} images of {source} carry no concept and are left out"
        )
    if report.skipped:
        first = report.skipped[0]
        lines.append(
            f"{len(report.skipped)} images skipped, for example {first.image}: {first.reason}"
        )
    return lines


def union_markdown(report: UnionReport) -> str:
    """Return the report as a page of Markdown."""
    lines = ["# Union of concept sets", ""]
    lines += [f"- {line}" for line in summary_lines(report)]
    lines += [f"- {note}" for note in report.notes]
    lines += ["", "## Sources", ""]
    lines += _markdown_table(
        ("source", "concept set", "images", "in the set", "labels", "concepts"),
        [
            (
                source.name,
                source.concept_set,
                source.images,
                source.written,
                source.labels,
                source.concepts,
            )
            for source in report.sources
        ],
    )
    lines += ["", "## Merged", ""]
    lines += _member_table(report.merged)
    lines += ["", "## Kept apart", ""]
    lines += _markdown_table(
        ("word", "label", "other label", "reason"),
        [
            (pair.word, pair.first, pair.second, pair.reason)
            for pair in report.kept_apart
        ],
    )
    lines += ["", "## Left out", ""]
    lines += _markdown_table(
        ("label", "sources", "reason"),
        [
            (label.name, ", ".join(label.sources), label.reason)
            for label in report.left_out
        ],
    )
    lines += ["", "## Skipped images", ""]
    lines += _markdown_table(
        ("image", "reason"),
        [(image.image, image.reason) for image in report.skipped],
    )
    return "\n".join(lines) + "\n"


def _member_table(labels: Sequence[ReportedLabel]) -> list[str]:
    rows = []
    for label in labels:
        for member in label.carried:
            place = f"{member.source}/{member.category}/{member.label}"
            rows.append(
                (label.number, label.name, place, member.images, member.reason)
            )
    return _markdown_table(("number", "name", "label", "images", "reason"), rows)


def _markdown_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> list[str]:
    if not rows:
        return ["None."]
    lines = [_markdown_row(columns), _markdown_row(["---"] * len(columns))]
    return lines + [_markdown_row(row) for row in rows]


def _markdown_row(cells: Sequence[object]) -> str:
    texts = [str(cell).translate(MARKDOWN_SPECIAL) for cell in cells]
    return f"| {' | '.join(texts)} |"
