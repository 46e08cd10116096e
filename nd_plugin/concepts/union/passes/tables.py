"""Last pass: tables of Broden's layout and the reports, which make a folder of images a set."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nd_plugin.concepts.broden_layout.samples import IndexRow
from nd_plugin.concepts.broden_layout.tables import Label, write_tables
from nd_plugin.concepts.broden_layout.tally import LabelCounts
from nd_plugin.concepts.union.labels.numbering import Numbering
from nd_plugin.concepts.union.passes.workspace import Workspace
from nd_plugin.concepts.union.report import FILE, UnionReport
from nd_plugin.concepts.union.report_text import union_csv
from nd_plugin.concepts.union.settings import BuildSettings
from nd_plugin.results.atomic_files import write_file
from nd_plugin.storage.lock_file import not_saved

CSV_FILE = "union.csv"


def write_union_tables(
    workspace: Workspace,
    settings: BuildSettings,
    numbering: Numbering,
    rows: Sequence[IndexRow],
    counts: LabelCounts,
    report: UnionReport,
) -> None:
    """Write all tables and reports, and remove what killed processes have left. Raises NotSaved."""
    workspace.remove_strays(_image_files(rows))
    content = json.dumps(report.record(), indent=1, ensure_ascii=False)
    write_file(workspace.new_set / FILE, f"{content}\n".encode())
    write_file(workspace.new_set / CSV_FILE, union_csv(report).encode())
    labels = [
        Label(number, label.name, label.merged.synonyms)
        for number, label in enumerate(numbering.labels, start=1)
    ]
    try:
        write_tables(
            workspace.new_set,
            labels,
            numbering.categories,
            rows,
            counts,
            description=_readme_head(settings, report),
        )
    except OSError as error:
        raise not_saved(workspace.new_set, error) from error


def _image_files(rows: Sequence[IndexRow]) -> set[str]:
    """Return the images and masks of rows, relative to the set; cells hold numbers, too."""
    files = {row.image for row in rows}
    for row in rows:
        for entries in row.entries.values():
            files.update(entries)
    return {f"images/{name}" for name in files}


def _readme_head(settings: BuildSettings, report: UnionReport) -> list[str]:
    """Return the lines that README.txt begins with."""
    lines = ["Joined segmentation data set", "Joins the following data sets:"]
    lines += [
        f"    {source.name}: {source.written} images ({source.concept_set})"
        for source in report.sources
    ]
    shares = [f"{name} {share:g}" for name, share in settings.splits.shares]
    return [
        *lines,
        f"size: {settings.size}",
        f"segmentation_size: {settings.mask_size}",
        f"splits: {', '.join(shares)}",
        f"min_frequency: {settings.min_samples}",
        f"min_coverage: {settings.min_coverage:g}",
        f"{FILE}, {CSV_FILE}: which labels were merged, and why",
    ]
