"""The command line in this process, and models to compare."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import onnx_files
import pytest
import torch
from command_here import run_nd
from parity_models import Files, Origin


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    path = onnx_files.dynamic_batch(tmp_path)
    module = str(tmp_path / "origin.pt")
    code = f"import torch\nbuild = lambda: torch.load({module!r}, weights_only=False).eval()\n"
    (tmp_path / "origin_of_parity.py").write_text(code)
    torch.save(Origin(path), tmp_path / "origin.pt")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "origin_of_parity", raising=False)
    return Files(tmp_path, str(path), "origin_of_parity:build")


@pytest.fixture
def nd(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        return run_nd(*arguments, COLUMNS=os.environ["COLUMNS"])

    return run
