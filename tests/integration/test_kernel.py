"""A notebook in a real Jupyter kernel: every result is displayed, and displayed once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

NEEDED = "a Jupyter kernel needs nbclient, nbformat and ipykernel"
nbformat = pytest.importorskip("nbformat", reason=NEEDED)
nbclient = pytest.importorskip("nbclient", reason=NEEDED)
pytest.importorskip("ipykernel", reason=NEEDED)

SETUP = """
import torch
from torch import nn
from nd_plugin import LayerDissection, open_concepts

torch.manual_seed(0)
net = nn.Sequential(
    nn.Conv2d(3, 6, 5, 4), nn.ReLU(), nn.Conv2d(6, 8, 3, 2), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
)
concepts = open_concepts("shapes?images=16")
photos = [concepts.image(0), concepts.image(1)]
units = LayerDissection(net, "3")
"""

CELLS = {
    "setup": SETUP,
    "dissection": "dissection = units.dissect(concepts)\ndissection",
    "displayed": "display(dissection)",
    "assigned": "again = units.dissect(concepts); text = dissection._repr_html_()",
    "several": "several = LayerDissection(net, ['1', '3'])\nseveral.dissect(concepts)",
    "quantiles": "several.dissect(concepts, quantile=[0.005, 0.02])",
    "comparison": (
        "from nd_plugin import compare_dissections\n"
        "compare_dissections([dissection, again], ['first', 'second'])"
    ),
    "unit": "dissection.show(0)",
    "report": "dissection.report()",
    "summary": "dissection.summary()",
    "detectors": "dissection.detectors()",
    "units": "units",
    "explanations": "explanations = units.explain(photos, 1)\nexplanations",
    "explanation": "explanations[0]",
    "result": "explanations.plot()",
    "silent": "figure = explanations.plot();",
    "shown": "from matplotlib import pyplot\nexplanations.plot(); pyplot.show()",
    "loop": "for explanation in explanations:\n    explanation.plot()",
    "later": "figure",
    "open": "print(pyplot.get_fignums())",
    "ax": (
        "own, axes = pyplot.subplots(1, 2)\n"
        "same = explanations[0].plot(ax=axes[0]) is own\n"
        "explanations[1].plot(units=explanations[1].units[0].unit, ax=axes[1])\n"
        "print(same, len(axes[0].child_axes), len(axes[1].images))"
    ),
    "console": (
        "from nd_plugin.cli import console\n"
        "console.show('a result')\n"
        "console.say('a remark')"
    ),
    "progress": (
        "import logging, sys\n"
        "logging.basicConfig(level=logging.INFO, stream=sys.stderr)\n"
        "from nd_plugin.captum_api.progress import StageProgress\n"
        "with StageProgress(summary_lines=True) as progress:\n"
        "    progress('activations', 0, 2)\n"
        "    progress('activations', 2, 2)"
    ),
    "chart": "dissection.plot()",
    "chart in axes": (
        "own, ax = pyplot.subplots()\n"
        "same = dissection.plot(units=[0, 1], ax=ax) is own\n"
        "print(same, '2 units' in ax.get_title())"
    ),
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Outputs of each cell."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(code) for code in CELLS.values()]
    folder: Path = tmp_path_factory.mktemp("notebook")
    client = nbclient.NotebookClient(
        notebook,
        timeout=1200,
        startup_timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    cells = zip(CELLS, notebook.cells, strict=True)
    return {name: list(cell.outputs) for name, cell in cells}


def kinds(cell_outputs: list[Any]) -> list[str]:
    """Kind of each output: of a stream its name, of a display its best format."""
    names = []
    for output in cell_outputs:
        formats = output.get("data", {})
        best = [kind for kind in ("text/html", "image/png") if kind in formats]
        names.append((best or [output.get("name", "text/plain")])[0])
    return names


@pytest.mark.parametrize(
    "cell",
    [
        "dissection",
        "displayed",
        "several",
        "quantiles",
        "explanations",
        "explanation",
        "comparison",
        "unit",
    ],
)
def test_results_are_displayed_once(
    outputs: dict[str, list[Any]], cell: str
) -> None:
    assert kinds(outputs[cell]) == ["text/html"]


def test_nothing_is_displayed_unasked(outputs: dict[str, list[Any]]) -> None:
    assert outputs["assigned"] == []


def test_consoles_print_and_display_nothing(
    outputs: dict[str, list[Any]],
) -> None:
    printed = {output["name"]: output["text"] for output in outputs["console"]}
    assert printed.keys() == {"stdout", "stderr"}
    # kernels ask for colours: codes stand around the text
    assert "a result" in printed["stdout"] and "a remark" in printed["stderr"]
    (stream,) = outputs["progress"]
    assert stream["name"] == "stderr"
    assert "activations: 2 images in " in stream["text"]


def html(outputs: dict[str, list[Any]], cell: str) -> str:
    (output,) = outputs[cell]
    text: str = output["data"]["text/html"]
    return text


def test_each_layer_and_quantile_has_its_report(
    outputs: dict[str, list[Any]],
) -> None:
    assert html(outputs, "dissection").count("unique detector") == 1
    assert html(outputs, "several").count("unique detector") == 2
    reports = html(outputs, "quantiles")
    for quantile in ("0.005", "0.02"):
        assert len(re.findall(rf"quantile {re.escape(quantile)}\b", reports)) == 2


@pytest.mark.parametrize(
    ("cell", "pictures"),
    [
        ("dissection", 1),
        ("explanations", 12),
        ("explanation", 6),
        ("unit", 5),
        ("comparison", 0),
    ],
)
def test_pictures_are_small_and_there_is_no_script(
    outputs: dict[str, list[Any]], cell: str, pictures: int
) -> None:
    text = html(outputs, cell)
    assert text.count("<img ") >= pictures
    assert text.count('src="data:image/jpeg;base64,') == text.count("<img ")
    assert "<script" not in text and "<style" not in text
    assert len(text) < 300_000


@pytest.mark.parametrize(
    ("cell", "start"),
    [
        ("report", "LayerReport('3': "),
        ("summary", "Summary('3': 8 units, "),
        ("detectors", "["),
        ("units", "LayerDissection(Sequential, '3', Dissection('3': "),
        ("dissection", "Dissection('3': "),
        ("several", "[Dissection('1': "),
        ("quantiles", "[[Dissection('1': "),
        ("explanations", "Explanations([Explanation(class 1: "),
        ("comparison", "LayerComparison(first: "),
        ("unit", "UnitView(3: unit 0 of 8; "),
    ],
)
def test_texts_say_what_it_is(
    outputs: dict[str, list[Any]], cell: str, start: str
) -> None:
    (output,) = outputs[cell]
    text = output["data"]["text/plain"]
    assert text.startswith(start)
    assert max(map(len, text.splitlines())) < 250


@pytest.mark.parametrize(
    ("cell", "figures"),
    [
        ("result", 1),
        ("silent", 1),
        ("shown", 1),
        ("loop", 2),
        ("later", 1),
        ("chart", 1),
    ],
)
def test_figures_show_once(
    outputs: dict[str, list[Any]], cell: str, figures: int
) -> None:
    assert kinds(outputs[cell]) == ["image/png"] * figures


def test_no_figure_stays_open(outputs: dict[str, list[Any]]) -> None:
    (output,) = outputs["open"]
    assert output["text"] == "[]\n"


@pytest.mark.parametrize(
    ("cell", "text"), [("ax", "True 6 1\n"), ("chart in axes", "True True\n")]
)
def test_figures_are_drawn_into_axes(
    outputs: dict[str, list[Any]], cell: str, text: str
) -> None:
    stream, figure = outputs[cell]
    assert stream["text"] == text
    assert kinds([figure]) == ["image/png"]
