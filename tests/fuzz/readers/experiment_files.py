"""Reader of files of experiments: records of rotations, trainings and probes; accuracies."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
from fuzz.cases import Files, Numbers, Reader, Sample, read_files
from fuzz.mutators.archives import NPY
from fuzz.mutators.json_values import JSON
from fuzz.mutators.tables import TABLES
from fuzz.readers.command_line import run_nd
from fuzz.readers.onnx_models import make_samples as make_onnx_samples
from fuzz.readers.runs import small_dissection

from nd_plugin import Identity
from nd_plugin.experiments.evolution.accuracies import read_accuracies
from nd_plugin.experiments.evolution.dissecting import RUNS, DissectedStage
from nd_plugin.experiments.evolution.evolution import evolution_of
from nd_plugin.experiments.evolution.evolution_files import save_evolution
from nd_plugin.experiments.evolution.stages import Stage, StageList
from nd_plugin.experiments.probing.discrimination import (
    Discrimination,
    LayerAccuracy,
    RotatedAccuracy,
)
from nd_plugin.experiments.probing.discrimination_files import save_discrimination
from nd_plugin.experiments.probing.linear_svm import ClassAccuracy, SvmSettings
from nd_plugin.experiments.rotation.folder import save_study
from nd_plugin.experiments.rotation.study import RotationStudy
from nd_plugin.results import run_folder

STAGES = tuple(
    Stage(Path(f"w/step_{step}.pt"), f"step_{step}.pt", step) for step in (1, 10)
)


def make_samples(folder: Path) -> Sequence[Sample]:
    """Return results of each experiment, accuracies, and a value that is fed to a model."""
    plain = replace(small_dissection("conv1"), stored_pictures=None)
    rotated = {(0.5, 1): replace(plain, layer="conv1@0.5")}
    bases = {"sae": replace(plain, layer="conv1@sae")}
    save_study(RotationStudy("conv1", plain, rotated, bases), folder / "rotation")
    _save_evolution(folder / "evolution")
    save_discrimination(folder / "probe", _discrimination())
    samples = [
        _sample(name, folder / name) for name in ("rotation", "evolution", "probe")
    ]
    accuracies = b"checkpoint,accuracy,step\nstep_1.pt,0.25,1\nstep_10,0.5,10\n"
    samples.append(Sample("accuracies", {"accuracies.csv": accuracies}))
    array = io.BytesIO()
    np.save(array, np.ones((1, 2), np.float32))
    onnx = next(iter(make_onnx_samples(folder))).files["net.onnx"]
    samples.append(Sample("feed", {"feed.npy": array.getvalue(), "net.onnx": onnx}))
    return samples


def _save_evolution(folder: Path) -> None:
    dissected = []
    for stage in STAGES:
        dissection = replace(
            small_dissection("conv1"),
            stored_pictures=None,
            locations=int(stage.step) + 1000,
        )
        key = f"key{stage.step}"
        run_folder.save_run(folder / RUNS / key, [dissection])
        dissected.append(DissectedStage(stage, {"conv1": key}, (dissection,)))
    save_evolution(
        folder, evolution_of("pkg:Net", StageList(STAGES, "step"), dissected)
    )


def _discrimination() -> Discrimination:
    accuracy = ClassAccuracy((3, 5), (10, 12))
    layer = LayerAccuracy(
        "conv1", 5, accuracy, (RotatedAccuracy(0.5, 0, accuracy),)
    )
    return Discrimination(
        model=Identity("Net", "pkg:Net", "1", "abc"),
        images=Identity("images", "folder", "1", "def"),
        classes=("cat", "dog"),
        train_images=40,
        test_images=22,
        svm=SvmSettings(),
        layers=(layer,),
        preprocess={"size": (64, 64)},
    )


def _sample(name: str, folder: Path) -> Sample:
    files: Files = {
        f"{name}/{path}": content for path, content in read_files(folder).items()
    }
    return Sample(name, files)


def read(folder: Path, random: Random) -> Numbers:
    """Show what the folder holds, as the command line does."""
    names = {path.name for path in folder.iterdir()}
    as_json = random.choice(([], ["--json"]))
    if "rotation" in names:
        run_nd(["rotate", "--from", "rotation", *as_json])
    elif "evolution" in names:
        run_nd(["evolve", "--from", "evolution", *as_json])
    elif "probe" in names:
        run_nd(["probe", "--from", "probe", *as_json])
    elif "net.onnx" in names:
        run_nd(["layers", "net.onnx", "--feed", "image=feed.npy", *as_json])
    else:
        return {
            "accuracies": read_accuracies(folder / "accuracies.csv", STAGES).values
        }
    return {}


EXPERIMENTS = Reader(
    "experiments",
    make_samples,
    read,
    {".json": JSON, ".csv": TABLES, ".npy": NPY},
    fixed=(".npz", "net.onnx", "units.csv"),
)
