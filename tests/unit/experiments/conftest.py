"""The command line in this process, and models to compare."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import onnx_files
import pytest
import torch
from parity_models import Files, Origin

from nd_plugin.cli.app import main


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
def nd(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, stdout, stderr."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nd", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return run
