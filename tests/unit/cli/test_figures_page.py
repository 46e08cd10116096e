"""docs/figures.md: every line of it runs, and draws or writes what it says."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from labelled_pictures import MODEL, save_pictures
from matplotlib import pyplot
from matplotlib.axes import Axes
from staged_training import MODEL as STAGED_MODEL
from staged_training import save_probe_set, save_stages

import nd_plugin.plots
from nd_plugin import Dissection
from nd_plugin.plots.kinds import KINDS
from nd_plugin.results.run_folder import save_run

PAGE = Path(__file__).parents[3] / "docs" / "figures.md"
WISHES, REFERENCE = PAGE.read_text(encoding="utf-8").split("## Kinds of plots")
COMMANDS = re.findall(r"^nd .*$", WISHES, re.MULTILINE)
LINES = re.findall(r"^plot_.*$", WISHES, re.MULTILINE)
INPUTS = ("--input-size", "16", "--mean", "0", "--std", "1", "--scale", "0.0039")
OPTIONS = (*INPUTS, "--workers", "0")
DISSECTION = ("--quantile", "0.2", "--no-pictures", *OPTIONS)
HEAD = "unit,category,label,score,object-label,object-iou"


@pytest.fixture(scope="module")
def experiments(
    tmp_path_factory: pytest.TempPathFactory, probe_set: Path, nd: Any
) -> Path:
    """Folder with a training, a run and its accuracies, as the commands write them."""
    folder = tmp_path_factory.mktemp("experiments")
    concepts = save_probe_set(folder / "set")
    save_stages(folder / "weights")
    images = save_pictures(folder / "images", {"train": 20, "test": 15}, noise=45)
    dissect = ("dissect", MODEL, "-c", f"masks:{probe_set}", *DISSECTION)
    evolve = ("evolve", STAGED_MODEL, folder / "weights", "-c", concepts)
    commands = {
        "training": (*evolve, *DISSECTION),
        "a": dissect,
        "a-probe": ("probe", MODEL, images, *OPTIONS),
    }
    for name, words in commands.items():
        done = nd(*words, "-l", "0", "-o", folder / name)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def here(
    pictured: Dissection,
    experiments: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Folder with the runs that the page speaks of, as the current one."""
    for name in ("resnet18", "alexnet", "epoch-1", "epoch-10", "epoch-90"):
        save_run(tmp_path / "runs" / name, [pictured])
    settings = replace(pictured.settings, quantile=0.01)
    swept = [pictured, replace(pictured, settings=settings)]
    save_run(tmp_path / "runs" / "quantiles", swept)
    for name in ("training", "a", "a-probe"):
        shutil.copytree(experiments / name, tmp_path / "runs" / name)
    for name in ("a", "a-probe"):
        copy = tmp_path / "runs" / name.replace("a", "b", 1)
        shutil.copytree(experiments / name, copy)
    (tmp_path / "ResNet-152-model_imagenet.csv").write_text(
        f"{HEAD}\n1,object,dog,0.2,dog,0.2\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_has_a_line_for_each_wish() -> None:
    assert len(re.findall(r"^```", WISHES, re.MULTILINE)) == 2 * 10


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(here: Path, command: str, nd: Any) -> None:
    words = shlex.split(command)[1:]
    done = nd(*words)
    assert done.returncode == 0, done.stderr
    targets = [word for word in words if re.search(r"\.(pdf|csv|tex)$", word)]
    written = [here / name for name in targets if "ResNet" not in name]
    for path in written:
        assert path.stat().st_size > 0
    assert written or "side by side" in done.stdout


@pytest.mark.parametrize("line", LINES)
def test_python(here: Path, pictured: Dissection, line: str) -> None:
    names = {
        name: getattr(nd_plugin.plots, name) for name in nd_plugin.plots.__all__
    }
    worse = replace(pictured, intersection=pictured.intersection // 4)
    rotations = {
        "first_at_0": pictured,
        "second_at_0": pictured,
        "first_at_1": worse,
        "second_at_1": pictured,
        "epoch_1": worse,
        "epoch_10": worse,
        "epoch_90": pictured,
    }
    ax = eval(line, {**names, **rotations, "Dissection": Dissection})
    assert isinstance(ax, Axes) and ax.lines
    pyplot.close("all")


def test_the_program(here: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", REFERENCE, re.DOTALL)
    exec(program, {})
    assert (here / "figure.pdf").read_bytes().startswith(b"%PDF")


def test_the_table_names_every_kind_and_function() -> None:
    for name, kind in KINDS.items():
        assert re.search(
            rf"^\| `{name}` \| `{kind.function}`", REFERENCE, re.MULTILINE
        )
    for name in nd_plugin.plots.__all__:
        if name.startswith("plot_") and name != "plot_explanations":
            assert f"`{name}`" in REFERENCE


def test_pictures_of_the_page_are_there() -> None:
    for name in re.findall(r"!\[[^]]*\]\((.*?)\)", PAGE.read_text()):
        assert (PAGE.parent / name).stat().st_size < 300_000
