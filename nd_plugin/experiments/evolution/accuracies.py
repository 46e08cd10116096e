"""Accuracies of the stages of a training, from a CSV file."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nd_plugin.errors import BadInput
from nd_plugin.experiments.evolution.stages import Stage

CHECKPOINT = "checkpoint"
STEP = "step"
ACCURACY = "accuracy"
NAMES_SAID = 5


@dataclass(frozen=True)
class Accuracies:
    """Accuracy of each stage, NaN where the file has none, and notes about gaps."""

    values: tuple[float, ...]
    notes: tuple[str, ...] = ()


def read_accuracies(path: Path, stages: Sequence[Stage]) -> Accuracies:
    """Read the accuracies of stages from the columns ``checkpoint`` or ``step``, and ``accuracy``.

    A checkpoint is named by its file's name, with or without folder or ending. Raises BadInput for
    other columns, for what is no number, for a stage named twice, and where no row is of a stage.
    """
    rows = _read_rows(path)
    values: dict[Stage, float] = {}
    strangers: list[str] = []
    for line, row in rows:
        stage = _stage_of(row, stages, path, line)
        if stage is None:
            strangers.append(row.get(CHECKPOINT) or row.get(STEP) or "")
            continue
        if stage in values:
            raise BadInput(
                f"{path}, line {line}: {stage.name} has an accuracy already"
            )
        values[stage] = _number(row[ACCURACY], path, line)
    if not values:
        names = ", ".join(stage.name for stage in stages[:NAMES_SAID])
        raise BadInput(
            f"{path}: no row is of a stage; the column {CHECKPOINT} takes names such as "
            f"{names}, the column {STEP} their steps"
        )
    return Accuracies(
        tuple(values.get(stage, math.nan) for stage in stages),
        tuple(_notes(path, stages, values, strangers)),
    )


def _read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the rows with the numbers of their lines. Raises BadInput."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{path} cannot be read: {reason}") from error
    try:
        return _parse_rows(path, text)
    except csv.Error as error:
        raise BadInput(f"{path} is no CSV file: {error}") from error


def _parse_rows(path: Path, text: str) -> list[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    columns = [name.strip().lower() for name in reader.fieldnames or ()]
    if ACCURACY not in columns or not {CHECKPOINT, STEP} & set(columns):
        listed = ", ".join(columns) or "none"
        raise BadInput(
            f"{path} has the columns {listed}; expected {CHECKPOINT} or {STEP}, and "
            f"{ACCURACY}"
        )
    reader.fieldnames = columns
    return [(reader.line_num, _stripped(row)) for row in reader]


def _stripped(row: Mapping[str | None, str | None]) -> dict[str, str]:
    return {
        name: (value or "").strip()
        for name, value in row.items()
        if name is not None
    }


def _stage_of(
    row: Mapping[str, str], stages: Sequence[Stage], path: Path, line: int
) -> Stage | None:
    name = row.get(CHECKPOINT)
    if name:
        matches = [stage for stage in stages if name in _names(stage)]
        if len(matches) > 1:
            listed = ", ".join(stage.name for stage in matches)
            raise BadInput(f"{path}, line {line}: {name!r} may be each of {listed}")
        return matches[0] if matches else None
    step = _number(row.get(STEP, ""), path, line)
    return next((stage for stage in stages if stage.step == step), None)


def _names(stage: Stage) -> set[str]:
    """Return the names by which a file may call a stage."""
    file = stage.path.name
    return {
        stage.name,
        str(stage.path),
        file,
        stage.path.stem,
        file.partition(".")[0],
    }


def _number(text: str, path: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(f"{path}, line {line}: {text!r} is no number")
    return value


def _notes(
    path: Path,
    stages: Sequence[Stage],
    values: Mapping[Stage, float],
    strangers: Sequence[str],
) -> list[str]:
    notes: list[str] = []
    missing = [stage.name for stage in stages if stage not in values]
    if missing:
        notes.append(f"{path} has no accuracy of {_listed(missing)}")
    if strangers:
        notes.append(f"{path}: no stage is {_listed(strangers)}")
    return notes


def _listed(names: Sequence[str]) -> str:
    beyond = len(names) - NAMES_SAID
    more = f" and {beyond} more" if beyond > 0 else ""
    return ", ".join(names[:NAMES_SAID]) + more
