"""``nd rotate`` and ``--basis``: run, saved, reported again without the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import ResNet18

from nd_plugin import Dissection
from nd_plugin.experiments.rotation.folder import load_study
from nd_plugin.results.run_folder import load_run

MODEL = "networks:ResNet18"
OPTIONS = ("--input-size", "64", "--quantile", "0.2", "--workers", "0")
PLAN = ("--alpha", "0,1", "--repeats", "2", "--seed", "3")


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options of a model with the same weights each time."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    torch.save(ResNet18().state_dict(), path)
    return (*OPTIONS, "--weights", str(path))


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("basis") / "order.npz"
    np.savez(path, directions=np.eye(4)[[2, 0, 3, 1]])
    return path


@pytest.fixture(scope="module")
def study(
    nd: Any,
    options: tuple[str, ...],
    probe_set: Path,
    matrix: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("studies") / "study"
    done = nd("rotate", MODEL, "-l", "layer1", "-c", f"masks:{probe_set}",
              "-o", folder, *options, *PLAN, "--basis", matrix)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, done


def test_the_table_and_what_is_saved(study: tuple[Path, Any]) -> None:
    folder, done = study
    assert "2 rotations of 4 units" in done.stderr
    assert f"saved in {folder} (nd rotate --from {folder}" in done.stderr
    assert "95 %" in done.stdout and "order.npz" in done.stdout
    assert "α: 0 is the layer's own basis" in done.stderr
    loaded = load_study(folder)
    assert loaded.alphas == (0, 1) and loaded.seeds == (3, 4)
    own, permuted = loaded.own, loaded.bases["order.npz"]
    assert isinstance(own, Dissection)
    assert np.array_equal(permuted.intersection, own.intersection[[2, 0, 3, 1]])
    names = [dissection.layer for dissection in load_run(folder / "run")]
    assert names == [
        "layer1",
        "layer1@rotation(alpha=1,seed=3)",
        "layer1@rotation(alpha=1,seed=4)",
        "layer1@order.npz",
    ]


def test_masks_and_cells_as_asked_for(
    nd: Any, options: tuple[str, ...], probe_set: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    asked = ("--mask-size", "20", "--anchor", "cell", "--max-pixels", "9999")
    done = nd("rotate", MODEL, "-l", "layer1", "-c", f"masks:{probe_set}",
              "-o", folder, *options, *asked, "--alpha", "0", "--repeats", "1")  # fmt: skip
    assert done.returncode == 0, done.stderr
    settings = load_study(folder).own.settings
    assert (settings.mask_size, settings.anchor, settings.max_pixels) == (
        "20",
        "cell",
        9999,
    )


def test_alpha_0_is_what_dissect_finds(
    nd: Any,
    options: tuple[str, ...],
    study: tuple[Path, Any],
    probe_set: Path,
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    done = nd("dissect", MODEL, "-l", "layer1", "-c", f"masks:{probe_set}",
              "-o", run, *options)  # fmt: skip
    assert done.returncode == 0, done.stderr
    (plain,) = load_run(run)
    own = load_study(study[0]).own
    assert np.array_equal(plain.intersection, own.intersection)
    assert np.array_equal(plain.unit_area, own.unit_area)
    assert plain.provenance.model == own.provenance.model


def test_reports_without_the_model(
    nd: Any, study: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, first = study
    again = nd("rotate", "--from", folder)
    assert again.returncode == 0 and again.stdout == first.stdout
    as_json = json.loads(nd("rotate", "--from", folder, "--json").stdout)
    saved = json.loads((folder / "rotation.json").read_text())
    for key in ("points", "best", "bases", "layer", "seeds"):
        assert as_json[key] == saved[key]
    both = nd("rotate", "--from", folder, "--from", folder, "--json")
    assert len(json.loads(both.stdout)["studies"]) == 2
    strict = nd("rotate", "--from", folder, "--min-iou", "0.9", "--json")
    point = json.loads(strict.stdout)["points"][0]
    assert point["unique_detectors"]["values"] == [0]
    for kind in ("rotation", "concepts", "pictures", "complete"):
        path = tmp_path / f"{kind}.svg"
        done = nd("rotate", "--from", folder, "--plot", path, "--plot-kind", kind)
        assert done.returncode == 0, done.stderr
        assert path.read_text().startswith("<?xml")
    path = tmp_path / "both.svg"
    done = nd("rotate", "--from", folder, "--from", folder, "--plot", path,
              "--plot-kind", "complete")  # fmt: skip
    assert done.returncode == 0 and "ResNet18 layer1" in path.read_text()
    assert nd("report", folder / "run").returncode == 0


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_narrow_terminals(nd: Any, study: tuple[Path, Any], columns: int) -> None:
    done = nd("rotate", "--from", study[0], COLUMNS=str(columns))
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= columns
    assert "order.npz" in done.stdout.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--alpha", "0,2"), "α 2 is not between 0"),
        (("--alpha", "a"), "is not numbers with commas between"),
        (("--basis", "none.npz"), "no file none.npz"),
        (("--plot-kind", "rotation"), "needs a file to draw into"),
        (("--plot", "a.svg", "--plot-kind", "bars"), "no kind of plot 'bars'"),
        (("--plot", "a.txt"), "a plot is written as one of"),
        (("--no-pictures", "--plot", "a.svg", "--plot-kind", "pictures"),
         "needs pictures"),
        (
            ("--from", "nowhere", "--alpha", "0.5"),
            "--from reports what is saved, and MODEL, --layer, --concepts, --alpha, ",
        ),
        (("-l", "layer7"), "no layer 'layer7' in ResNet18"),
    ],
)  # fmt: skip
def test_errors(
    nd: Any,
    options: tuple[str, ...],
    probe_set: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    done = nd("rotate", MODEL, "-l", "layer1", "-c", f"masks:{probe_set}",
              "-o", tmp_path / "study", *options, *arguments)  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "study").exists()


def test_errors_of_saved_studies(
    nd: Any, study: tuple[Path, Any], tmp_path: Path
) -> None:
    done = nd("rotate", "--from", tmp_path)
    assert done.returncode == 2 and "is no rotation study" in done.stderr
    done = nd("rotate")
    assert done.returncode == 2
    assert "MODEL, --layer and --concepts are needed" in done.stderr
    folder = study[0]
    done = nd(
        "rotate", "--from", folder, "--from", folder, "--plot", tmp_path / "a.svg"
    )
    assert done.returncode == 2 and "'complete' shows several" in done.stderr


def test_nothing_is_overwritten_by_accident(
    nd: Any,
    options: tuple[str, ...],
    study: tuple[Path, Any],
    probe_set: Path,
    tmp_path: Path,
) -> None:
    command = ("rotate", MODEL, "-l", "layer1", "-c", f"masks:{probe_set}", *options,
               "--alpha", "0", "-o")  # fmt: skip
    done = nd(*command, study[0])
    assert done.returncode == 2 and "exists already" in done.stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    done = nd(*command, tmp_path / "mine", "--overwrite")
    assert done.returncode == 2 and "is not overwritten" in done.stderr
    first = nd(*command, tmp_path / "study")
    again = nd(*command, tmp_path / "study", "--overwrite")
    assert first.returncode == again.returncode == 0


def test_dissect_in_a_basis_is_resumed_and_merged(
    nd: Any,
    options: tuple[str, ...],
    study: tuple[Path, Any],
    probe_set: Path,
    matrix: Path,
    tmp_path: Path,
) -> None:
    command = (
        "dissect",
        MODEL,
        "-l",
        "layer1",
        "-c",
        f"masks:{probe_set}",
        *options,
    )
    whole = tmp_path / "whole"
    done = nd(*command, "--basis", matrix, "-o", whole, "--batch-size", "2")
    assert done.returncode == 0, done.stderr
    (dissection,) = load_run(whole)
    assert dissection.layer == "layer1@order.npz"
    permuted = load_study(study[0]).bases["order.npz"]
    assert np.array_equal(dissection.intersection, permuted.intersection)
    # a finished run of the same basis is found, one of another basis refused
    again = nd(*command, "--basis", matrix, "-o", whole, "--resume")
    assert again.returncode == 0 and "is complete" in again.stderr
    other = tmp_path / "order.npz"
    np.savez(other, directions=np.eye(4))
    again = nd(*command, "--basis", other, "-o", whole, "--resume")
    assert again.returncode == 2 and "model.fingerprint" in again.stderr
    for number in (1, 2):
        done = nd(*command, "--basis", matrix, "-o", tmp_path / f"part{number}",
                  "--shard", f"{number}/2", "--batch-size", "2")  # fmt: skip
        assert done.returncode == 0, done.stderr
    merged = tmp_path / "merged"
    shards = (tmp_path / "part1", tmp_path / "part2")
    done = nd(
        "merge",
        *shards,
        "-o",
        merged,
        "--model",
        MODEL,
        "--weights",
        options[-1],
        "--basis",
        matrix,
    )
    assert done.returncode == 0, done.stderr
    assert np.array_equal(load_run(merged)[0].intersection, dissection.intersection)
    done = nd(
        "merge",
        *shards,
        "-o",
        tmp_path / "m2",
        "--model",
        MODEL,
        "--weights",
        options[-1],
    )
    assert (
        done.returncode == 2 and "the model differs in fingerprint" in done.stderr
    )


def test_batches_of_many_directions_are_smaller(
    nd: Any, options: tuple[str, ...], probe_set: Path, tmp_path: Path
) -> None:
    path = tmp_path / "many.npz"
    np.savez(path, directions=np.random.default_rng(0).normal(size=(512, 4)))
    # a map has 16 x 16 cells; 4 of 6 images in an eighth of the memory
    memory = 4 * 8 * 512 * 256 * 4
    done = nd("dissect", MODEL, "-l", "layer1", "-c", f"masks:{probe_set}", *options,
              "--basis", path, "-o", tmp_path / "run", "--memory", str(memory))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "batches of 4, not 24 images" in done.stderr
    (dissection,) = load_run(tmp_path / "run")
    assert dissection.units == 512
