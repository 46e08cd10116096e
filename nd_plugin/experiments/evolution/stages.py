"""Stages of a training: files of weights, or ONNX files, in the order of their steps."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nd_plugin.errors import BadInput, ModelNotFound
from nd_plugin.experiments.evolution.step_names import (
    STEP,
    number_stages,
    parse_steps,
)

ONNX_ENDING = ".onnx"
CHECKPOINT_ENDINGS = (
    ".safetensors",
    ".pt",
    ".pth",
    ".pth.tar",
    ".pt.tar",
    ".tar",
    ".bin",
    ".ckpt",
    ".caffemodel",
    ONNX_ENDING,
)
# of weights, beside the states of optimiser and scheduler
MAIN_NAMES = ("model.safetensors", "pytorch_model.bin", "model.pt", "model.pth")
DIGITS = re.compile("([0-9]+)")
NAMES_SAID = 6
SortKey = tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Stage:
    """State of a network at one time of its training."""

    path: Path  # of the file
    name: str  # short, and different from those of the other stages
    step: float  # iteration or epoch; else a number in the order of the stages

    @property
    def is_model(self) -> bool:
        """Whether the file is a model of its own, not weights for one."""
        return is_model_file(self.path)


@dataclass(frozen=True)
class StageList:
    """Stages by ascending step, what the steps count, and guesses about them."""

    stages: tuple[Stage, ...]
    unit: str  # "step" | "iteration" | "epoch" | "stage"
    notes: tuple[str, ...] = ()


def is_model_file(path: Path) -> bool:
    """Return whether a file is a model of its own: an ONNX file."""
    return path.suffix.lower() == ONNX_ENDING


def find_stages(
    paths: Sequence[Path], steps: Sequence[float] | None = None
) -> StageList:
    """Return the stages that files and folders hold, by ascending step.

    A folder stands for the checkpoints in it, in the natural order of their names (2 before 10);
    ``steps`` are in this order. Without ``steps`` they are taken from the names; else the stages
    are numbered in their order, and a note says so. Files that a shell has listed in the order of
    their letters are put into natural order. Raises BadInput for wrong steps, ModelNotFound where
    there is no checkpoint.
    """
    files = find_checkpoints(paths)
    if steps is None and files == sorted(files):
        files.sort(key=natural_key)
    names = short_names(files)
    if steps is not None:
        _check_steps(steps, names)
        return _ordered(files, names, [float(step) for step in steps], STEP)
    reading = parse_steps(names) or number_stages(names)
    stages = _ordered(files, names, reading.steps, reading.unit)
    return StageList(stages.stages, stages.unit, reading.notes)


def _ordered(
    files: Sequence[Path], names: Sequence[str], steps: Sequence[float], unit: str
) -> StageList:
    stages = [
        Stage(path, name, step)
        for path, name, step in zip(files, names, steps, strict=True)
    ]
    return StageList(tuple(sorted(stages, key=lambda stage: stage.step)), unit)


def _check_steps(steps: Sequence[float], names: Sequence[str]) -> None:
    if len(steps) != len(names):
        listed = ", ".join(names[:NAMES_SAID])
        more = " …" if len(names) > NAMES_SAID else ""
        raise BadInput(
            f"{len(steps)} steps for {len(names)} checkpoints ({listed}{more}); give one "
            "for each, in this order"
        )
    if len(set(steps)) < len(steps):
        raise BadInput(
            f"steps {', '.join(f'{step:g}' for step in steps)} are not all different"
        )


def find_checkpoints(paths: Sequence[Path]) -> list[Path]:
    """Return files as they are, each once, and the checkpoints of folders in natural order.

    Raises ModelNotFound for a path that does not exist and for a folder without checkpoints.
    """
    files: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            files.update(dict.fromkeys(_checkpoints_in(path)))
        elif path.exists():
            files[path] = None
        else:
            raise ModelNotFound(f"no checkpoint {str(path)!r}")
    distinct: dict[Path, Path] = {}
    for file in files:
        distinct.setdefault(file.resolve(), file)
    if not distinct:
        raise BadInput("no checkpoint is given: name files of weights, or a folder")
    return list(distinct.values())


def _checkpoints_in(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, or else those that its folders hold one each of."""
    files = _checkpoint_files(folder)
    if not files:
        folders = [path for path in folder.iterdir() if path.is_dir()]
        for path in folders:
            files += _main_file(path)
    if not files:
        raise ModelNotFound(
            f"no checkpoint in the folder {str(folder)!r}: no file ends in one of "
            f"{', '.join(CHECKPOINT_ENDINGS)}; name the files"
        )
    return sorted(files, key=natural_key)


def _main_file(folder: Path) -> list[Path]:
    """Return the weights among the files of one checkpoint: the only file, or by its name."""
    files = _checkpoint_files(folder)
    if len(files) > 1:
        files = [path for path in files if path.name in MAIN_NAMES]
    return files[:1]


def _checkpoint_files(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.iterdir()
        if path.is_file()
        and not path.name.startswith(".")
        and path.name.lower().endswith(CHECKPOINT_ENDINGS)
    ]


def natural_key(path: Path) -> SortKey:
    """Return a key that sorts names by the numbers in them: 2 before 10."""
    pieces = DIGITS.split(path.as_posix().lower())
    return tuple(
        (int(piece), "") if DIGITS.fullmatch(piece) else (-1, piece)
        for piece in pieces
    )


def short_names(files: Sequence[Path]) -> list[str]:
    """Return the paths of files below the folder that holds them all."""
    parents = [str(file.absolute().parent) for file in files]
    common = os.path.commonpath(parents)
    return [
        Path(os.path.relpath(file.absolute(), common)).as_posix() for file in files
    ]
