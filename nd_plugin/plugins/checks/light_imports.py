"""Heavy packages that modules of plugins import when they are listed, found in new processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence

from nd_plugin.errors import PluginFailed

# that take a good part of a second to import; a spec names what needs them by a text
HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "transformers",
    "datasets",
    "onnx",
    "onnxruntime",
    "openvino",
    "jax",
    "flax",
    "tensorflow",
    "keras",
    "captum",
    "scipy",
    "sklearn",
    "skimage",
    "pandas",
    "pyarrow",
    "matplotlib",
    "cv2",
)
SECONDS = 120.0
CHILD = """
import importlib, json, sys
modules, heavy = json.load(sys.stdin)
stdout, sys.stdout = sys.stdout, sys.stderr
for module in modules:
    importlib.import_module(module)
json.dump([name for name in heavy if name in sys.modules], stdout)
"""


def heavy_imports(modules: Sequence[str]) -> dict[str, list[str]]:
    """Return the heavy packages that each module imports, at any depth.

    Raises PluginFailed for a module that a new process cannot import.
    """
    if not _imported_by(modules):
        return {module: [] for module in modules}
    return {module: _imported_by([module]) for module in modules}


def _imported_by(modules: Sequence[str]) -> list[str]:
    """Return the heavy packages that modules import together."""
    path = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run(
            [sys.executable, "-c", CHILD],
            input=json.dumps([modules, HEAVY]),
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PluginFailed(
            f"importing {', '.join(modules)} takes more than {SECONDS:g} seconds"
        ) from error
    if done.returncode:
        last_line = done.stderr.strip().rpartition("\n")[2]
        raise PluginFailed(f"{', '.join(modules)} cannot be imported: {last_line}")
    names: list[str] = json.loads(done.stdout)
    return names
