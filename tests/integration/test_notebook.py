"""The notebook in examples/ runs from top to bottom, and shows what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "captum.ipynb"


def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return found


def test_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="the extra 'demo' is not installed")
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells():
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), space)
    assert (
        space["units"].contribution == "linear"
        and abs(space["logit"] - space["explanations"][0].output) < 1e-4
    )
    assert all(unit.detector for unit in space["explanations"][0].units)
    assert space["tomorrow"].dissection.layer == space["layer"] and (tmp_path / "block").is_dir()
    assert "= logit" in capsys.readouterr().out


def test_its_outputs_are_kept_and_are_nobodys_own() -> None:
    shown = [output for cell in cells() for output in cell.get("outputs", ())]
    kinds = {kind for output in shown for kind in output.get("data", {})}
    assert {"image/png", "text/html", "text/plain"} <= kinds
    assert not any(output["output_type"] == "error" for output in shown)
    text = json.dumps([output for output in shown if output["output_type"] == "stream"])
    assert "/home" not in text and "/root" not in text and "/tmp" not in text
