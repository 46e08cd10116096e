"""``nd evolve``: from checkpoints to tables and figures, and again without the model."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from staged_training import (
    MODEL,
    QUANTILE,
    STAGES,
    save_onnx,
    save_probe_set,
    save_stages,
)

PREPROCESSING = (
    "--input-size",
    "32",
    "--mean",
    "0",
    "--std",
    "1",
    "--scale",
    "0.0039",
)
OPTIONS = (
    "--quantile",
    str(QUANTILE),
    *PREPROCESSING,
    "--no-pictures",
    "--workers",
    "0",
)


@pytest.fixture(scope="module")
def concepts(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_probe_set(tmp_path_factory.mktemp("probe") / "set")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    save_stages(folder)
    return folder


@pytest.fixture(scope="module")
def saved(
    tmp_path_factory: pytest.TempPathFactory, concepts: str, weights: Path, nd: Any
) -> Path:
    """Saved evolution of two layers, with accuracies."""
    folder = tmp_path_factory.mktemp("evolution") / "training"
    accuracy = folder.parent / "accuracy.csv"
    accuracy.write_text("step,accuracy\n2,0.25\n10,0.5\n100,0.75\n")
    done = nd(
        "evolve", MODEL, weights, "-l", "0,1", "-c", concepts, "-o", folder,
        "--accuracy", accuracy, *OPTIONS, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert [stage["step"] for stage in content["stages"]] == list(STAGES)
    assert [stage["accuracy"] for stage in content["stages"]] == [0.25, 0.5, 0.75]
    assert [layer["layer"] for layer in content["layers"]] == ["0", "1"]
    overall = content["layers"][0]["overall"]
    assert (overall["detectors_of_both"], overall["kept"]) == (3, 1)
    assert overall["kinds"] == {"shape": 1, "none": 1}
    return folder


class TestReport:
    def test_a_saved_evolution_needs_no_model(self, saved: Path, nd: Any) -> None:
        done = nd("evolve", "--from", saved, "-l", "0")
        assert done.returncode == 0, done.stderr
        lines = [
            re.sub(" +", " ", line.strip()) for line in done.stdout.splitlines()
        ]
        assert "epoch checkpoint detectors unique color shape accuracy" in lines
        assert "10 epoch_10.pt 4 3 1 2 0.5" in lines
        assert "2 to 100 3 1 (33%) 2 0 0 shape 1, none 1" in lines
        assert (
            "1 of 3 kept their concept (33.3%) from epoch 2 to 100" in done.stdout
        )
        assert "! kinds of change are derived" in done.stdout

    def test_json_of_saved_is_that_of_the_run(self, saved: Path, nd: Any) -> None:
        content = json.loads(nd("evolve", "--from", saved, "--json").stdout)
        record = json.loads((saved / "evolution.json").read_text())
        del record["format"]
        assert content == record

    def test_several_trainings_have_a_spread(self, saved: Path, nd: Any) -> None:
        done = nd("evolve", "--from", saved, "--from", saved, "-l", "0")
        assert "0, 2 trainings" in done.stdout
        assert "3 ± 0.0" in done.stdout
        both = nd("evolve", "--from", saved, "--from", saved, "--json")
        content = json.loads(both.stdout)
        assert len(content["trainings"]) == 2
        spread = content["spread"][0]
        assert [item["mean"] for item in spread["unique_detectors"]] == [2, 3, 3]
        assert spread["share_kept"]["mean"] == pytest.approx(1 / 3)
        assert "0.333 ± 0.000 of the detectors of both" in done.stdout

    def test_trainings_of_other_steps_are_refused(
        self, saved: Path, tmp_path: Path, concepts: str, weights: Path, nd: Any
    ) -> None:
        files = [weights / "epoch_2.pt", weights / "epoch_10.pt"]
        done = nd("evolve", MODEL, *files, "-l", "0,1", "-c", concepts, "-o",
                  tmp_path / "short", *OPTIONS)  # fmt: skip
        assert done.returncode == 0, done.stderr
        refused = nd("evolve", "--from", saved, "--from", tmp_path / "short")
        assert refused.returncode == 2
        assert (
            "trainings 1 and 2 have other steps (2, 10, 100 and 2, 10)"
            in refused.stderr
        )

    def test_min_iou_counts_again(self, saved: Path, nd: Any) -> None:
        done = nd("evolve", "--from", saved, "--min-iou", "0.999", "--json")
        layer = json.loads(done.stdout)["layers"][0]
        assert [stage["detectors"] for stage in layer["emergence"]] == [0, 0, 0]

    @pytest.mark.parametrize("columns", ["40", "60"])
    def test_nothing_is_cut_in_a_narrow_terminal(
        self, saved: Path, columns: str, nd: Any
    ) -> None:
        done = nd("evolve", "--from", saved, COLUMNS=columns)
        lines = done.stdout.splitlines()
        assert max(map(len, lines)) <= int(columns)
        assert "epoch_100.pt" in done.stdout and "square" in done.stdout

    def test_layers_of_the_evolution(self, saved: Path, nd: Any) -> None:
        done = nd("evolve", "--from", saved, "-l", "7")
        assert done.returncode == 2
        assert "has no layer '7'; it has 0, 1" in done.stderr


class TestFigures:
    @pytest.mark.parametrize(
        ("kind", "texts"),
        [
            (
                "emergence",
                ["unique detectors of", "accuracy (dashed)", "epoch", "shape"],
            ),
            ("histories", ["square", "circle", "red", "unit", "epoch"]),
            (
                "changes",
                ["kept", "changed: shape", "changed: nothing common", "2 to 100"],
            ),
        ],
    )
    def test_kinds(
        self, saved: Path, tmp_path: Path, kind: str, texts: list[str], nd: Any
    ) -> None:
        path = tmp_path / f"{kind}.svg"
        layer = () if kind == "emergence" else ("-l", "0")
        done = nd(
            "evolve", "--from", saved, *layer, "--plot", path, "--plot-kind", kind
        )
        assert done.returncode == 0, done.stderr
        assert f"written to {path}" in done.stderr
        written = re.findall(r"<text[^>]*>([^<]+)</text>", path.read_text())
        assert set(texts) <= set(written)

    def test_several_layers_or_trainings_are_refused(
        self, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        plot = ("--plot", tmp_path / "x.svg", "--plot-kind", "histories")
        done = nd("evolve", "--from", saved, *plot)
        assert (
            done.returncode == 2
            and "shows one layer, and these are 0, 1" in done.stderr
        )
        done = nd("evolve", "--from", saved, "--from", saved, "-l", "0", *plot)
        assert done.returncode == 2 and "shows one training" in done.stderr

    def test_options_are_checked_first(self, tmp_path: Path, nd: Any) -> None:
        nowhere = ("evolve", "--from", tmp_path / "none")
        done = nd(*nowhere, "--plot", "x.jpg")
        assert done.returncode == 2 and "a plot is written as one of" in done.stderr
        done = nd(*nowhere, "--plot", "x.png", "--plot-kind", "pie")
        assert "known are emergence, histories, changes" in done.stderr
        done = nd(*nowhere, "--plot-kind", "histories")
        assert "needs a file to draw into" in done.stderr


class TestRun:
    def test_what_is_there_is_not_dissected_again(
        self, saved: Path, tmp_path: Path, concepts: str, weights: Path, nd: Any
    ) -> None:
        shutil.copytree(saved, tmp_path / "copy")
        done = nd("evolve", MODEL, weights, "-l", "0", "-c", concepts,
                  "-o", tmp_path / "copy", *OPTIONS)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("is dissected already") == 3
        assert "activations" not in done.stderr

    def test_a_failed_stage_is_exit_code_1_after_the_others(
        self, tmp_path: Path, concepts: str, nd: Any
    ) -> None:
        weights = tmp_path / "weights"
        save_stages(weights)
        (weights / "epoch_50.pt").write_bytes(b"no weights")
        done = nd("evolve", MODEL, weights, "-l", "0", "-c", concepts,
                  "-o", tmp_path / "out", *OPTIONS, "--json")  # fmt: skip
        assert done.returncode == 1
        content = json.loads(done.stdout)
        assert len(content["stages"]) == 3
        assert [stage["name"] for stage in content["failed"]] == ["epoch_50.pt"]
        assert content["error"]["message"].endswith("dissected: epoch_50.pt")
        again = json.loads(
            nd("evolve", "--from", tmp_path / "out", "--json").stdout
        )
        assert again["failed"] == content["failed"]

    def test_onnx_files_need_no_model(
        self, tmp_path: Path, concepts: str, nd: Any
    ) -> None:
        files = [
            save_onnx(tmp_path / f"stage-{step}.onnx", channels)
            for step, channels in STAGES.items()
        ]
        done = nd("evolve", *files[::-1], "-l", "maps", "-c", concepts,
                  "-o", tmp_path / "out", *OPTIONS, "--json")  # fmt: skip
        assert done.returncode == 0, done.stderr
        content = json.loads(done.stdout)
        assert [stage["step"] for stage in content["stages"]] == list(STAGES)
        assert content["layers"][0]["overall"]["kept"] == 1

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((), "nd evolve --from FOLDER"),
            ((MODEL, "-l", "0", "-c", "shapes"), "no checkpoint beside the model"),
            ((MODEL, "w", "-c", "shapes"), "--layer (-l) is missing"),
            ((MODEL, "w", "-l", "0"), "--concepts (-c) is missing"),
            ((MODEL, "w", "-l", "0", "-c", "shapes"), "no checkpoint 'w'"),
            (("no-1.onnx", "-l", "0", "-c", "shapes"), "no checkpoint 'no-1.onnx'"),
            (("--from", "none"), "is no evolution: it has no evolution.json"),
            ((MODEL, "w", "--from", "x"), "and MODEL, CHECKPOINTS are for a run"),
            (("--from", "x", "--folds", "5"), "--folds is for a run; leave one"),
            (
                (MODEL, ".", "-l", "0", "-c", "shapes", "--steps", "1,two"),
                "--steps '1,two' is not numbers separated by commas",
            ),
        ],
    )
    def test_usage(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        arguments: tuple[str, ...],
        message: str,
        nd: Any,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        done = nd("evolve", *arguments)
        assert done.returncode == 2 and message in done.stderr
        assert done.stdout == ""

    def test_a_folder_of_others_is_refused(self, tmp_path: Path, nd: Any) -> None:
        (tmp_path / "thesis.tex").write_text("")
        done = nd("evolve", MODEL, "w", "-l", "0", "-c", "shapes", "-o", tmp_path)
        assert done.returncode == 2 and "such as thesis.tex" in done.stderr
