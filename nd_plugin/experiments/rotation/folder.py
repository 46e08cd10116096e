"""Rotation study on disk: a run with the dissections of all bases, and ``rotation.json``.

::

    FOLDER/rotation.json    tables, and which layer of the run is which α and seed
    FOLDER/run              a run like any other: nd report FOLDER/run
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nd_plugin.borders.damage import damage_refused
from nd_plugin.errors import RunInvalid
from nd_plugin.experiments.records import (
    at_min_iou,
    is_folder_of_runs,
    read_record,
    record_bytes,
)
from nd_plugin.experiments.rotation.study import RotationStudy
from nd_plugin.results import run_folder
from nd_plugin.results.atomic_files import recovered, write_folder
from nd_plugin.results.dissection import Dissection

SUMMARY = "rotation.json"
RUN = "run"
FORMAT = 1


def save_study(
    study: RotationStudy, folder: Path, command: Sequence[str] = ()
) -> Path:
    """Write a study as a folder; an earlier one there is replaced as a whole. Raises NotSaved."""
    content = {**_contents(study), **study.to_dict()}
    files = {
        f"{RUN}/{name}": data
        for name, data in run_folder.run_files(study.dissections, command).items()
    }
    files[SUMMARY] = record_bytes(content, FORMAT)
    return write_folder(folder, files, may_replace=is_study)


def _contents(study: RotationStudy) -> dict[str, Any]:
    """Return which layer of the run is which part of the study."""
    return {
        "own_layer": study.own.layer,
        "rotated_layers": [
            {"alpha": alpha, "seed": seed, "layer": dissection.layer}
            for (alpha, seed), dissection in study.rotated.items()
        ],
        "basis_layers": [
            {"basis": name, "layer": dissection.layer}
            for name, dissection in study.bases.items()
        ],
    }


def is_study(folder: Path) -> bool:
    """Return whether a folder is empty, or holds a rotation study and nothing else."""
    return is_folder_of_runs(folder, SUMMARY, [RUN])


def load_study(folder: str | Path, min_iou: float | None = None) -> RotationStudy:
    """Load a study; ``min_iou`` replaces the one it was made with. Raises RunInvalid."""
    path = recovered(Path(folder))
    summary = path / SUMMARY
    if not summary.is_file():
        raise RunInvalid(f"{path} is no rotation study: it has no {SUMMARY}")
    dissections = run_folder.load_run(path / RUN)
    if min_iou is not None:
        dissections = [at_min_iou(item, min_iou) for item in dissections]
    content = read_record(summary, FORMAT)
    with damage_refused(summary):
        return _study(content, {item.layer: item for item in dissections})


def _study(
    content: dict[str, Any], by_layer: dict[str, Dissection]
) -> RotationStudy:
    rotated: dict[tuple[float, int], Dissection] = {}
    for entry in content["rotated_layers"]:
        key = (float(entry["alpha"]), int(entry["seed"]))
        rotated[key] = by_layer[entry["layer"]]
    bases = {
        str(entry["basis"]): by_layer[entry["layer"]]
        for entry in content["basis_layers"]
    }
    own = by_layer[content["own_layer"]]
    return RotationStudy(str(content["layer"]), own, rotated, bases)
