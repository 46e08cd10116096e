"""Labels of units without IoU: tables of CLIP-Dissect and MILAN, and of whoever writes such ones.

One line per unit: ``layer,unit,description``, units from 0. CLIP-Dissect has the column
``similarity``, too, which is no IoU and is not compared with one.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from nd_plugin.errors import RunInvalid
from nd_plugin.report.layer_report import LayerReport, UnitScore, summarise

DESCRIBED_COLUMNS = ("layer", "unit", "description")
MOST_UNITS = 2**31
LABELS_NOTE = (
    "labels without IoU: there are no detectors, and names alone are compared"
)
Row = Mapping[str, str]


def read_described_units(path: Path) -> list[LayerReport]:
    """Return the layers of a table, in their order in it. Raises RunInvalid for a damaged one."""
    units: dict[str, dict[int, str]] = {}
    for line, row in _numbered_rows(path):
        layer = row["layer"].strip()
        unit = _unit(path, line, row["unit"])
        labels = units.setdefault(layer, {})
        if unit in labels:
            raise RunInvalid(
                f"{path}, line {line}: unit {unit} of layer {layer!r} is there twice"
            )
        labels[unit] = " ".join(row["description"].split())
    return [_layer_report(path, layer, labels) for layer, labels in units.items()]


def _numbered_rows(path: Path) -> list[tuple[int, Row]]:
    """Return the rows of a table, each with its number as a line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows: list[tuple[int, Row]] = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunInvalid(f"{path} cannot be read: {error}") from error
    if not rows:
        raise RunInvalid(f"{path} has no units")
    for line, row in rows:
        if None in row.values() or None in row:
            raise RunInvalid(
                f"{path}, line {line}: the line is cut short or too long; the file is damaged"
            )
    return rows


def _unit(path: Path, line: int, text: str) -> int:
    """Return the number of a unit. Raises RunInvalid for what is none."""
    try:
        unit = int(text)
    except ValueError:
        unit = -1
    if not 0 <= unit < MOST_UNITS:
        raise RunInvalid(
            f"{path}, line {line}: the unit is {text!r}; expected a number from 0 on"
        )
    return unit


def _layer_report(path: Path, layer: str, labels: Mapping[int, str]) -> LayerReport:
    scores = [_score(unit, label) for unit, label in sorted(labels.items())]
    return LayerReport(
        layer=layer,
        categories=(),
        scores=tuple(scores),
        summary=summarise(layer, (), scores, 0, None, None),
        min_iou=0.0,
        facts={"source": f"{path}, a table of labels without IoU"},
        notes=(LABELS_NOTE,),
        recorded="labels",
    )


def _score(unit: int, label: str) -> UnitScore:
    """Return a unit with its label, which has no IoU."""
    return UnitScore(
        unit=unit,
        concept=label,
        category="",
        iou=0.0,
        threshold=None,
        intersection=0,
        unit_area=0,
        concept_area=0,
        detector=False,
    )
