"""``nd probe``: accuracies of layers and rotations, beside the detectors of runs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from labelled_pictures import MODEL, save_pictures

pytest.importorskip("sklearn")
PREPROCESSING = (
    "--input-size",
    "16",
    "--mean",
    "0",
    "--std",
    "1",
    "--scale",
    "0.0039",
)
OPTIONS = (*PREPROCESSING, "--workers", "0")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    return save_pictures(folder, {"train": 20, "test": 15}, noise=45)


@pytest.fixture(scope="module")
def saved(
    tmp_path_factory: pytest.TempPathFactory, pictures: Path, nd: Any
) -> Path:
    """Saved accuracies of two layers and their rotations."""
    folder = tmp_path_factory.mktemp("results") / "probe"
    done = nd("probe", MODEL, pictures, "-l", "0", "-l", "2", "-o", folder,
              "--rotate", "0.5,1", "--repeats", "2", *OPTIONS, "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert [layer["layer"] for layer in result["layers"]] == ["0", "2"]
    for layer in result["layers"]:
        assert len(layer["rotations"]) == 4 and layer["as_discriminative"] is True
        low, high = layer["interval"]
        assert low < layer["accuracy"] < high
    return folder


@pytest.fixture(scope="module")
def dissected(
    tmp_path_factory: pytest.TempPathFactory, probe_set: Path, nd: Any
) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = nd("dissect", MODEL, "-l", "0", "-c", f"masks:{probe_set}", "-o", folder,
              "--quantile", "0.2", "--no-pictures", *OPTIONS)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


class TestReport:
    def test_saved_accuracies_need_no_model(self, saved: Path, nd: Any) -> None:
        done = nd("probe", "--from", saved)
        assert done.returncode == 0, done.stderr
        text = " ".join(done.stdout.split())
        assert "3 classes, 60 for training, 45 for tests" in text
        assert "linear SVM, C = 0.001" in text
        assert "average over the locations of the map" in text
        assert "chance is 0.3333" in text
        assert (
            "all rotations of 0 are within its interval: they differ by at" in text
        )

    def test_a_layer_of_them(self, saved: Path, nd: Any) -> None:
        done = nd("probe", "--from", saved, "-l", "2", "--json")
        (result,) = json.loads(done.stdout)["results"]
        assert [layer["layer"] for layer in result["layers"]] == ["2"]
        refused = nd("probe", "--from", saved, "-l", "conv9")
        assert refused.returncode == 2 and "there are 0, 2" in refused.stderr

    def test_detectors_beside_accuracies(
        self, saved: Path, dissected: Path, tmp_path: Path, nd: Any
    ) -> None:
        figure = tmp_path / "figure.svg"
        done = nd(
            "probe", "--from", saved, "--run", dissected, "--plot", figure, "--json"
        )
        assert done.returncode == 0, done.stderr
        networks = json.loads(done.stdout)["networks"]
        (point,) = networks["points"]
        assert point["layer"] == "0" and point["detectors"] >= 1
        assert "left out" in networks["notes"][0], "layer 2 has no dissection"
        written = re.findall(r"<text[^>]*>([^<]+)</text>", figure.read_text())
        assert "unique object detectors" in written
        table = nd("probe", "--from", saved, "--run", dissected)
        assert "accuracy against unique detectors" in table.stdout

    def test_a_figure_of_accuracies(
        self, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        figure = tmp_path / "figure.svg"
        done = nd("probe", "--from", saved, "--plot", figure)
        assert done.returncode == 0, done.stderr
        written = re.findall(r"<text[^>]*>([^<]+)</text>", figure.read_text())
        assert "accuracy, averaged over classes" in written and "2" in written

    def test_nothing_is_cut_in_a_narrow_terminal(
        self, saved: Path, dissected: Path, nd: Any
    ) -> None:
        done = nd("probe", "--from", saved, "--run", dissected, COLUMNS="40")
        # the path of the images is one long word, which is folded
        assert max(map(len, done.stdout.splitlines())) <= 40
        assert "averaged over classes" in " ".join(done.stdout.split())


class TestRun:
    def test_an_earlier_result_stays(
        self, saved: Path, pictures: Path, nd: Any
    ) -> None:
        command = ("probe", MODEL, pictures, "-l", "0", "-o", saved, *OPTIONS)
        done = nd(*command)
        assert done.returncode == 2 and "exists already" in done.stderr

    def test_another_result_replaces_it_when_asked(
        self, tmp_path: Path, pictures: Path, nd: Any
    ) -> None:
        command = (
            "probe",
            MODEL,
            pictures,
            "-l",
            "0",
            "-o",
            tmp_path / "p",
            *OPTIONS,
        )
        assert nd(*command).returncode == 0
        assert nd(*command, "--overwrite", "--svm-c", "1").returncode == 0
        content = json.loads((tmp_path / "p" / "probe.json").read_text())
        assert content["svm"] == {"c": 1.0, "scaling": "layer"}

    def test_without_scikit_learn(
        self,
        pictures: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        nd: Any,
    ) -> None:
        monkeypatch.setitem(sys.modules, "sklearn.svm", None)
        done = nd(
            "probe", MODEL, pictures, "-l", "0", "-o", tmp_path / "p", *OPTIONS
        )
        assert done.returncode == 3
        assert "pip install 'nd_plugin[sklearn]'" in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((), "nd probe MODEL FOLDER -l LAYER"),
            ((MODEL,), "nd probe MODEL FOLDER -l LAYER"),
            ((MODEL, "none"), "--layer (-l) is missing"),
            ((MODEL, "none", "-l", "0"), "no folder 'none' of labelled images"),
            ((MODEL, "none", "-l", "0", "--rotate", "2"), "rotation α 2.0 is not"),
            ((MODEL, "none", "-l", "0", "--svm-c", "0"), "C 0.0 is not a positive"),
            (("--from", "none"), "is no result of nd probe"),
            ((MODEL, "x", "--from", "none"), "and MODEL, FOLDER are for a run"),
            ((MODEL, "x", "-l", "1", "--run", "none"), "no run '"),
            (("--from", "none", "--svm-c", "1"), "--svm-c is for a run; leave one"),
            (
                (MODEL, "x", "-l", "1", "--category", "all"),
                "--category is of the detectors of runs",
            ),
            (
                (MODEL, "x", "-l", "1", "--repeats", "2"),
                "--repeats is the number of",
            ),
            (("--from", "none", "--plot", "x.doc"), "a plot is written as one of"),
            (
                ("--from", "none", "--plot", "x.svg", "--plot-kind", "detectors"),
                "needs the runs of the networks",
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
        done = nd("probe", *arguments)
        assert done.returncode == 2 and message in done.stderr
        assert done.stdout == ""
