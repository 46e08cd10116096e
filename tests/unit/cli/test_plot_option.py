"""``--plot`` and ``--plot-kind``: files, kinds, refusals; LaTeX; several runs."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nd_plugin import Dissection
from nd_plugin.results.run_folder import save_run

HEAD = "unit,category,label,score,object-label,object-iou"
MODEL = "networks:ResNet18"


@pytest.fixture
def saved(pictured: Dissection, tmp_path: Path) -> Path:
    return save_run(tmp_path / "run", [pictured])


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    path = tmp_path / "authors.csv"
    path.write_text(f"{HEAD}\n1,object,dog,0.2,dog,0.2\n2,object,cat,0.1,cat,0.1\n")
    return path


def texts(path: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", path.read_text())


class TestReport:
    @pytest.mark.parametrize(
        ("name", "start"),
        [("x.png", b"\x89PNG"), ("x.svg", b"<?xml"), ("x.PDF", b"%PDF")],
    )
    def test_an_ending_says_the_format(
        self, saved: Path, tmp_path: Path, name: str, start: bytes, nd: Any
    ) -> None:
        done = nd("report", saved, "--plot", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name).read_bytes().startswith(start)
        assert done.stdout == "" and f"written to {tmp_path / name}" in done.stderr

    @pytest.mark.parametrize("name", ["x.jpg", "x.eps", "x.html", "x"])
    def test_other_endings_are_refused_with_the_list(
        self, tmp_path: Path, name: str, nd: Any
    ) -> None:
        done = nd("report", tmp_path / "none", "--plot", tmp_path / name)
        assert done.returncode == 2, "before the run is read"
        assert "one of .png, .svg, .pdf, .pgf, and x" in done.stderr
        assert not (tmp_path / name).exists()

    @pytest.mark.parametrize(
        ("kind", "word"),
        [
            ("detectors", "unique detectors"),
            ("ratio", "unique detectors / units"),
            ("iou", "IoU with the best concept"),
            ("mean-iou", "mean IoU of the detectors"),
            ("heat-map", "units that detect the concept"),
            ("concepts", "units that detect the concept (IoU &gt; 0.04)"),
            ("units", "unit 2  cat (object)  IoU 0.273"),
        ],
    )
    def test_kinds(
        self, saved: Path, tmp_path: Path, kind: str, word: str, nd: Any
    ) -> None:
        path = tmp_path / "x.svg"
        done = nd("report", saved, "--plot", path, "--plot-kind", kind)
        assert done.returncode == 0, done.stderr
        assert word in texts(path)

    def test_an_unknown_kind(self, saved: Path, tmp_path: Path, nd: Any) -> None:
        path = tmp_path / "x.svg"
        done = nd("report", saved, "--plot", path, "--plot-kind", "pie")
        assert done.returncode == 2 and not path.exists()
        assert "no kind of plot 'pie'; known are detectors, ratio" in done.stderr

    def test_a_kind_without_a_file(self, saved: Path, nd: Any) -> None:
        done = nd("report", saved, "--plot-kind", "iou")
        assert done.returncode == 2
        assert (
            "--plot-kind iou needs a file to draw into: --plot FILE" in done.stderr
        )

    def test_beside_other_formats(
        self, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        path = tmp_path / "x.svg"
        done = nd("report", saved, "--json", "--plot", path)
        assert json.loads(done.stdout)["layers"] and path.is_file()
        done = nd("report", saved, "--format", "csv", "--plot", path)
        assert done.stdout.startswith("layer,unit,")

    def test_runs_and_files_side_by_side(
        self, saved: Path, csv_file: Path, tmp_path: Path, nd: Any
    ) -> None:
        path = tmp_path / "x.svg"
        done = nd("report", saved, csv_file, "--plot", path)
        assert done.returncode == 0, done.stderr
        assert {"run block.1/relu", "authors"} <= set(texts(path))

    def test_quantiles(
        self, dissection: Dissection, tmp_path: Path, nd: Any
    ) -> None:
        settings = replace(dissection.settings, quantile=0.01)
        run = save_run(
            tmp_path / "run", [dissection, replace(dissection, settings=settings)]
        )
        path = tmp_path / "x.svg"
        done = nd("report", run, "--plot", path, "--plot-kind", "quantiles")
        assert done.returncode == 0, done.stderr
        assert "fraction τ above the threshold" in texts(path)

    def test_min_iou_counts_again(
        self, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        path = tmp_path / "x.svg"
        nd("report", saved, "--plot", path, "--min-iou", "0.26")
        assert "part" not in texts(path)

    @pytest.mark.skipif(
        any(map(shutil.which, ("lualatex", "xelatex", "pdflatex"))),
        reason="LaTeX is installed",
    )
    def test_pgf_without_latex(self, tmp_path: Path, nd: Any) -> None:
        done = nd("report", tmp_path / "none", "--plot", tmp_path / "x.pgf")
        assert done.returncode == 3, "before the run is read"
        assert "needs LaTeX" in done.stderr and "write x.pdf" in done.stderr

    def test_pgf_of_pictures(self, saved: Path, tmp_path: Path, nd: Any) -> None:
        path = tmp_path / "x.pgf"
        done = nd("report", saved, "--plot", path, "--plot-kind", "units")
        assert done.returncode == 2 and "holds no pictures" in done.stderr


def test_no_display_is_needed(saved: Path, tmp_path: Path, nd_process: Any) -> None:
    path = tmp_path / "x.png"
    done = nd_process(
        "report", saved, "--plot", path, DISPLAY=":99", MPLBACKEND="tkagg"
    )
    assert done.returncode == 0, done.stderr
    assert path.is_file()


class TestLatex:
    def test_table(self, saved: Path, csv_file: Path, nd: Any) -> None:
        done = nd("report", saved, csv_file, "--format", "latex")
        assert done.returncode == 0, done.stderr
        rows = [line for line in done.stdout.splitlines() if line.endswith("\\\\")]
        assert rows[1] == r"run block.1/relu & 5 & 3 & 2 & 1 & 1 \\"
        assert rows[2] == r"authors & 2 & 2 & 2 & 2 & -- \\"

    def test_an_ending_says_the_format(
        self, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        path = tmp_path / "x.tex"
        assert nd("report", saved, "-o", path).returncode == 0
        assert path.read_text().startswith("% needs \\usepackage{booktabs}")


class TestRuns:
    def test_dissect(self, probe_set: Path, tmp_path: Path, nd: Any) -> None:
        path = tmp_path / "x.svg"
        done = nd("dissect", MODEL, "-l", "layer1", "-c", f"masks:{probe_set}",
                  "-o", tmp_path / "run", "--input-size", "64", "--quantile", "0.2",
                  "--plot", path)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "layer1" in texts(path) and "unique detector" in done.stdout

    def test_dissect_is_refused_before_the_run(
        self, probe_set: Path, tmp_path: Path, nd: Any
    ) -> None:
        common = ["dissect", MODEL, "-l", "layer1", "-c", f"masks:{probe_set}",
                  "-o", tmp_path / "run"]  # fmt: skip
        done = nd(*common, "--plot", tmp_path / "x.gif")
        assert done.returncode == 2 and "x.gif ends in .gif" in done.stderr
        done = nd(*common, "--plot", tmp_path / "x.svg", "--shard", "1/2")
        assert (
            done.returncode == 2 and "--shard has no result to plot" in done.stderr
        )
        wanted = ["--plot", tmp_path / "x.svg", "--plot-kind"]
        done = nd(
            *common, "-l", "layer2.0", "--input-size", "64", *wanted, "concepts"
        )
        assert done.returncode == 2
        assert "shows one layer, and there will be 2 results" in done.stderr
        done = nd(*common, "--input-size", "64", *wanted, "units", "--no-pictures")
        assert done.returncode == 2 and "leave --no-pictures out" in done.stderr
        assert not (tmp_path / "run").exists()

    def test_parity(self, probe_set: Path, tmp_path: Path, nd: Any) -> None:
        path = tmp_path / "x.svg"
        done = nd("parity", MODEL, MODEL, "-l", "layer1", "-c", f"masks:{probe_set}",
                  "--input-size", "64", "--quantile", "0.2", "--plot", path)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert {"MODEL", "ORIGIN"} <= set(texts(path))
        done = nd("parity", MODEL, MODEL, "-c", f"masks:{probe_set}", "--plot", path,
                  "--plot-kind", "units")  # fmt: skip
        assert done.returncode == 2 and "there will be 2 results" in done.stderr
