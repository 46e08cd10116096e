"""docs/experiments.md, comparison: every line of it runs."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from published_files import LITE, cells, write_summary, write_text

from nd_plugin import Concept, Dissection
from nd_plugin.cli import main
from nd_plugin.plots.kinds import KINDS
from nd_plugin.results.run_folder import save_run

PAGE = Path(__file__).parents[4] / "docs" / "experiments.md"
SECTION = (
    PAGE.read_text(encoding="utf-8").partition("## Comparison")[2].split("\n## ")[0]
)
COMMANDS = re.findall(r"^nd compare .*$", SECTION, re.MULTILINE)


@pytest.fixture
def here(
    pictured: Dissection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Folder with the results that the page speaks of, as the current one."""
    airplane = (Concept("airplane", "object"), *pictured.concepts[1:])
    named = replace(pictured, concepts=airplane)
    layers = [replace(named, layer=name) for name in ("features.21", "features.28")]
    for run in ("alexnet", "vgg16", "base", "new"):
        save_run(tmp_path / "runs" / run, layers)
    write_text(tmp_path / "caffe_reference_places365.csv", LITE)
    write_summary(
        tmp_path / "semantics_cvpr_release.mat",
        networks_name=cells("caffenet_random", "weakly_audio", "vgg16_imagenet"),
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_has_a_line_for_each_kind() -> None:
    assert len(COMMANDS) == 7


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(
    here: Path,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = shlex.split(command, comments=True)
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as exit_request:
        main()
    assert exit_request.value.code == 0, capsys.readouterr().err
    for word in words:
        if re.search(r"\.(pdf|png|xml)$", word):
            assert (here / word).stat().st_size > 0


def test_the_program(here: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)
    assert len(names["comparison"]) == 4


def test_kinds_of_figures_are_there() -> None:
    named = re.findall(r"--plot-kind ([\w-]+)", SECTION)
    assert len(named) >= 4 and set(named) <= set(KINDS)
