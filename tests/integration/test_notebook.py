"""Notebook in examples/: it runs from top to bottom, and shows what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "captum.ipynb"


def cells() -> list[dict[str, Any]]:
    notebook: dict[str, list[dict[str, Any]]] = json.loads(
        NOTEBOOK.read_text(encoding="utf-8")
    )
    return notebook["cells"]


def test_it_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip(
        "efficientnet_lite_pytorch", reason="the extra 'demo' is not installed"
    )
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells():
        if cell["cell_type"] == "code":
            code = compile("".join(cell["source"]), cell["id"], "exec")
            exec(code, namespace)
    explanation = namespace["explanations"][0]
    assert namespace["units"].contribution == "linear"
    # two forward passes of one network: kernels may add in another order
    assert explanation.output == pytest.approx(namespace["logit"], rel=1e-4)
    assert explanation.units and all(unit.detector for unit in explanation.units)
    assert namespace["tomorrow"].dissection.layer == namespace["layer"]
    assert (tmp_path / "block").is_dir()
    assert "= logit" in capsys.readouterr().out


def test_its_outputs_are_kept_and_are_nobodys_own() -> None:
    outputs, kinds = list[dict[str, Any]](), set[str]()
    for cell in cells():
        outputs += cell.get("outputs", ())
    for output in outputs:
        kinds |= set(output.get("data", {}))
    assert {"image/png", "text/html", "text/plain"} <= kinds
    assert not any(output["output_type"] == "error" for output in outputs)
    text = json.dumps(
        [output for output in outputs if output["output_type"] == "stream"]
    )
    assert "/home" not in text and "/root" not in text and "/tmp" not in text
