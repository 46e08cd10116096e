"""Run the notebooks of examples/ and keep what they show: ``python docs/run_notebooks.py [NAME…]``.

Each runs in a Jupyter kernel of its own, in an empty folder, by nbclient. Its outputs are written
into its file; of its code and texts nothing is changed.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "examples"
# commands of a notebook print as into a file; tqdm warns in a kernel without ipywidgets
ENVIRONMENT = {
    "COLUMNS": "84",
    "NO_COLOR": "1",
    "PYTHONWARNINGS": "ignore:IProgress not found",
    "TERM": "dumb",
}
# kernels have commands colour their lines, and fill them up
PADDING = re.compile(r" +$", re.MULTILINE)
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def read_notebook(name: str) -> Any:
    """Read a notebook of examples/ by its name without ending."""
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def run_notebook(notebook: Any, folder: Path) -> None:
    """Run all cells in a kernel whose working folder is ``folder``; outputs are replaced.

    Raises CellExecutionError for a cell that fails.
    """
    client = NotebookClient(
        notebook,
        timeout=1200,
        startup_timeout=600,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    commands = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ["PATH"]]
    )
    client.execute(env={**os.environ, **ENVIRONMENT, "PATH": commands})
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
            for output in cell.outputs:
                _clean(output, folder)


def _joined(outputs: Sequence[Any]) -> list[Any]:
    """Join texts of a stream, which arrive in pieces of any length."""
    joined: list[Any] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output.get("name") and output.get("name") == last.get("name"):
            last.text += output.text
        else:
            joined.append(output)
    return joined


def _clean(output: Any, folder: Path) -> None:
    """Take colours and padding, and the folder that the notebook ran in, out of a text."""
    texts = output.get("data", output)
    for kind in ("text", "text/plain", "text/html"):
        if kind in texts:
            text = PADDING.sub("", ESCAPE.sub("", texts[kind]))
            texts[kind] = text.replace(f"{folder}/", "").replace(str(folder), ".")


def main(names: Sequence[str]) -> None:
    """Run notebooks, all where none is named, and write them with their outputs."""
    for name in names or sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")):
        notebook = read_notebook(name)
        metadata = deepcopy(notebook.metadata)
        with tempfile.TemporaryDirectory() as folder:
            run_notebook(notebook, Path(folder).resolve())
        notebook.metadata = metadata  # not of this machine's Python
        path = NOTEBOOKS / f"{name}.ipynb"
        nbformat.write(notebook, path)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
