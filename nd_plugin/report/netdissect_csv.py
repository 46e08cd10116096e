"""Reader of CSV files of the original NetDissect code, as the authors published them.

One line per unit, numbered from 1: ``unit,category,label,score`` and, for each category,
``{category}-label, -truth, -activation, -intersect, -iou``. A blank label is Broden's label 0, no
concept.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from nd_plugin.errors import RunInvalid
from nd_plugin.report.layer_report import LayerReport, UnitScore, summarise

COLUMNS = ("unit", "category", "label", "score")
# of its figures
PAPER_ORDER = ("object", "part", "scene", "material", "texture", "color")
Row = Mapping[str, str]


def read_netdissect_csv(path: str | Path, min_iou: float = 0.04) -> LayerReport:
    """Read the report of a layer from a NetDissect CSV file. Raises RunInvalid for others."""
    rows = _read_rows(Path(path))
    categories = _categories(rows[0])
    try:
        units = sorted(
            (_unit(row, min_iou) for row in rows), key=lambda unit: unit.unit
        )
        per_category = sum(
            len(_best_labels(rows, name, min_iou)) for name in categories
        )
    except (KeyError, ValueError, TypeError) as error:
        raise RunInvalid(
            f"{path} is no NetDissect CSV file: {type(error).__name__}: {error}"
        ) from error
    layer = Path(path).stem
    return LayerReport(
        layer=layer,
        categories=categories,
        scores=tuple(units),
        summary=summarise(layer, categories, units, per_category, None, None),
        min_iou=min_iou,
        facts={
            "source": f"{path}, a NetDissect CSV file",
            "settings": f"IoU > {min_iou:g}",
        },
    )


def _categories(row: Row) -> tuple[str, ...]:
    """Return the categories of the file's columns, in the order of the paper's figures."""
    names = [
        column.removesuffix("-iou") for column in row if column.endswith("-iou")
    ]

    def rank(name: str) -> int:
        return PAPER_ORDER.index(name) if name in PAPER_ORDER else len(PAPER_ORDER)

    return tuple(sorted(names, key=rank))


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            _check_columns(path, reader.fieldnames or ())
            rows = list(reader)
    except FileNotFoundError as error:
        raise RunInvalid(f"no file {path}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunInvalid(f"{path} cannot be read: {error}") from error
    if not rows:
        raise RunInvalid(f"{path} has no units")
    for line, row in enumerate(rows, start=2):
        if None in row.values() or None in row:
            raise RunInvalid(
                f"{path}, line {line}: the line is cut short or too long; the file is damaged"
            )
    return rows


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    missing = [repr(column) for column in COLUMNS if column not in columns]
    if missing:
        raise RunInvalid(
            f"{path} is no NetDissect CSV file: it has no column {', '.join(missing)}"
        )


def _unit(row: Row, min_iou: float) -> UnitScore:
    category = row["category"]
    score = float(row["score"])
    return UnitScore(
        unit=int(row["unit"]) - 1,
        concept=row["label"],
        category=category,
        iou=score,
        threshold=None,
        intersection=_count(row, f"{category}-intersect"),
        unit_area=_count(row, f"{category}-activation"),
        concept_area=_count(row, f"{category}-truth"),
        detector=score > min_iou and row["label"].strip() != "",
    )


def _count(row: Row, column: str) -> int:
    return int(float(row.get(column) or 0))


def _best_labels(rows: Sequence[Row], category: str, min_iou: float) -> set[str]:
    labels = set()
    for row in rows:
        label = row[f"{category}-label"]
        if label.strip() and float(row[f"{category}-iou"]) > min_iou:
            labels.add(label)
    return labels
