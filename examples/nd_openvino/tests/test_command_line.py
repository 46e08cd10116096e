"""The command line on an OpenVINO model, in a new process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nd_openvino.example import write_example
from nd_plugin import Dissection


def test_dissect(tmp_path: Path) -> None:
    model = write_example(tmp_path)
    command = [sys.executable, "-m", "nd_plugin", "dissect", model, "-l", "relu2"]
    command += ["-c", "shapes?images=20&size=64", "-o", str(tmp_path / "run")]
    finished = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    dissection = Dissection.load(tmp_path / "run")
    assert (dissection.layer, dissection.units) == ("relu2", 12)
    provenance = dissection.provenance
    assert (provenance.backend, provenance.precision) == ("openvino", "float32")
    assert provenance.model.version.startswith("openvino ")
