"""Reads the CSV files of the original NetDissect code, the authors' published results among them.

One line per unit, 1-based: ``unit,category,label,score`` and per category ``{category}-label, -truth, -activation,
-intersect, -iou``. A blank label is Broden's label 0 and no concept.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from nd_plugin.errors import RunInvalid
from nd_plugin.report.layer_report import LayerReport, UnitScore, summarise

COLUMNS = ("unit", "category", "label", "score")


CATEGORIES = (
    "object",
    "part",
    "scene",
    "material",
    "texture",
    "color",
)  # in the order of the paper's figures


def read_netdissect_csv(path: str | Path, min_iou: float = 0.04) -> LayerReport:
    """A layer's report from a NetDissect CSV file. Raises RunInvalid for any other file."""
    rows = _read(Path(path))
    found = [name.removesuffix("-iou") for name in rows[0] if name.endswith("-iou")]
    categories = tuple(
        sorted(
            found,
            key=lambda name: CATEGORIES.index(name) if name in CATEGORIES else len(CATEGORIES),
        )
    )
    try:
        units = tuple(sorted((_unit(row, min_iou) for row in rows), key=lambda unit: unit.unit))
        per_category = sum(len(_best_labels(rows, category, min_iou)) for category in categories)
    except (KeyError, ValueError, TypeError) as error:
        raise RunInvalid(
            f"{path} is no NetDissect CSV file: {type(error).__name__}: {error}"
        ) from error
    layer = Path(path).stem
    return LayerReport(
        layer=layer,
        categories=categories,
        scores=units,
        summary=summarise(layer, categories, units, per_category, None, None),
        min_iou=min_iou,
        facts={"source": f"{path}, a NetDissect CSV file", "settings": f"IoU > {min_iou:g}"},
    )


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise RunInvalid(
                    f"{path} is no NetDissect CSV file: it has no column {', '.join(map(repr, missing))}"
                )
            rows = list(reader)
    except FileNotFoundError as error:
        raise RunInvalid(f"no file {path}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunInvalid(f"{path} cannot be read: {error}") from error
    if not rows:
        raise RunInvalid(f"{path} has no units")
    short = [
        place for place, row in enumerate(rows, start=2) if None in row.values() or None in row
    ]
    if short:
        raise RunInvalid(
            f"{path}, line {short[0]}: the line is cut short or too long; the file is damaged"
        )
    return rows


def _unit(row: Mapping[str, str], min_iou: float) -> UnitScore:
    category, score = row["category"], float(row["score"])
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


def _count(row: Mapping[str, str], column: str) -> int:
    return int(float(row.get(column) or 0))


def _best_labels(rows: Sequence[Mapping[str, str]], category: str, min_iou: float) -> set[str]:
    named = (row for row in rows if row[f"{category}-label"].strip())
    return {row[f"{category}-label"] for row in named if float(row[f"{category}-iou"]) > min_iou}
