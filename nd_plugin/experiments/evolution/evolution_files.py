"""Evolutions on disk: a record and tables beside the runs of the stages.

::

    FOLDER/evolution.json    stages with the keys of their runs; everything that is reported
    FOLDER/emergence.csv     detectors by stage
    FOLDER/histories.csv     labels of every unit at every stage
    FOLDER/changes.csv       units that detect another concept
    FOLDER/runs/KEY          run of one layer of a stage
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from nd_plugin.borders.damage import damage_refused
from nd_plugin.borders.json_values import read_list, read_value
from nd_plugin.borders.printable import utf8
from nd_plugin.errors import BadInput, RunFailed, RunInvalid
from nd_plugin.experiments.evolution.dissecting import (
    PARTIAL,
    RUNS,
    DissectedStage,
    FailedStage,
    load_stage_layer,
)
from nd_plugin.experiments.evolution.evolution import Evolution, evolution_of
from nd_plugin.experiments.evolution.evolution_tables import (
    changes_csv,
    emergence_csv,
    evolution_content,
    histories_csv,
)
from nd_plugin.experiments.evolution.stages import Stage, StageList
from nd_plugin.experiments.records import read_record, record_bytes
from nd_plugin.results.atomic_files import write_file
from nd_plugin.results.folder_names import LOCK_FILE
from nd_plugin.storage import targets

RECORD = "evolution.json"
FORMAT = 1
TABLES = {
    "emergence.csv": emergence_csv,
    "histories.csv": histories_csv,
    "changes.csv": changes_csv,
}
OWN_NAMES = {RECORD, *TABLES, RUNS, PARTIAL, LOCK_FILE}


def check_folder(folder: Path) -> None:
    """Raise BadInput for a folder that holds other things than an evolution."""
    targets.check_folder(folder, "an evolution")
    strangers = [
        path.name
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.name not in OWN_NAMES and not path.name.startswith(".")
    ]
    if strangers:
        raise BadInput(
            f"{folder} holds other things than an evolution, such as {strangers[0]}; choose "
            "another folder"
        )


def save_evolution(folder: Path, evolution: Evolution) -> None:
    """Write record and tables beside the runs. Raises NotSaved."""
    for name, table in TABLES.items():
        write_file(folder / name, utf8(table(evolution)))
    record = record_bytes(evolution_content(evolution), FORMAT)
    # last: where it is, the tables are complete
    write_file(folder / RECORD, record)


def load_evolution(folder: str | Path, min_iou: float | None = None) -> Evolution:
    """Load an evolution, without model and data; ``min_iou`` replaces its own.

    Raises RunInvalid for a folder that is none, and for a damaged or missing run.
    """
    path = Path(folder)
    record = _read_record(path)
    with damage_refused(path / RECORD):
        stages = [_stage(entry) for entry in record["stages"]]
        keys = [
            read_value(dict[str, str], entry["runs"], "runs")
            for entry in record["stages"]
        ]
        accuracies = [_accuracy(entry) for entry in record["stages"]]
        unit = str(record["unit"])
        own_min_iou = float(record["min_iou"])
        model = str(record["model"])
        notes = tuple(read_list(str, record["notes"], "notes"))
        failed = [_failed(entry) for entry in record["failed"]]
    limit = own_min_iou if min_iou is None else min_iou
    dissected = [
        _load_stage(path, stage, layer_keys, limit)
        for stage, layer_keys in zip(stages, keys, strict=True)
    ]
    evolution = evolution_of(
        model, StageList(tuple(stages), unit), dissected, failed
    )
    all_notes = dict.fromkeys([*notes, *evolution.notes])
    return replace(evolution, accuracies=tuple(accuracies), notes=tuple(all_notes))


def _read_record(folder: Path) -> dict[str, Any]:
    path = folder / RECORD
    if not path.is_file():
        hint = ""
        if (folder / RUNS).is_dir():
            hint = ": it was interrupted; run nd evolve with its checkpoints again"
        raise RunInvalid(f"{folder} is no evolution: it has no {RECORD}{hint}")
    return read_record(path, FORMAT)


def _stage(entry: dict[str, Any]) -> Stage:
    return Stage(Path(entry["path"]), str(entry["name"]), float(entry["step"]))


def _failed(entry: dict[str, Any]) -> FailedStage:
    return FailedStage(_stage(entry), RunFailed(str(entry["error"])))


def _accuracy(entry: dict[str, Any]) -> float:
    accuracy = entry.get("accuracy")
    return float("nan") if accuracy is None else float(accuracy)


def _load_stage(
    folder: Path, stage: Stage, keys: dict[str, str], min_iou: float
) -> DissectedStage:
    dissections = []
    for key in keys.values():
        if Path(key).name != key:
            raise RunInvalid(f"{folder / RECORD} is damaged: {key!r} is no run")
        dissections.append(load_stage_layer(folder, key, min_iou))
    return DissectedStage(stage, keys, tuple(dissections))
