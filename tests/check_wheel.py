"""Builds sdist and wheel, installs the wheel in a clean environment, and runs the contract tests there.

They run in a folder without the repository, so that only what the wheel holds can be imported.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PACKAGES = {"nd_plugin", "nd_torch", "nd_onnxruntime", "nd_broden", "nd_masks", "nd_shapes"}


def main(folder: Path) -> None:
    """Do it all in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", REPOSITORY)
    (wheel,) = (folder / "dist").glob("*.whl")
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    check_contents(wheel, sdist)
    venv.create(folder / "clean", with_pip=True)
    python = folder / "clean" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[demo]", "pytest")
    elsewhere = folder / "elsewhere"
    shutil.copytree(REPOSITORY / "tests" / "contract", elsewhere / "contract")
    for name in ("conftest.py", "networks.py", "onnx_files.py"):
        shutil.copy(REPOSITORY / "tests" / name, elsewhere)
    data = os.environ.get("ND_DATA", str(REPOSITORY.parent / "shared" / "data"))
    options = ("-o", "pythonpath=.", "-W", "error", "--import-mode=importlib", "-ra")
    run(python, "-m", "pytest", *options, "contract", cwd=elsewhere, ND_DATA=data)
    run(folder / "clean" / "bin" / "nd", "plugins", cwd=elsewhere)


def check_contents(wheel: Path, sdist: Path) -> None:
    """The shelves are no packages in the wheel; the sdist has what a packager needs."""
    with zipfile.ZipFile(wheel) as file:
        top = {name.partition("/")[0] for name in file.namelist()}
        assert "nd_plugin/py.typed" in file.namelist(), "the wheel is typed"
    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES, top
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "tox.ini", "tests/reference.py"} <= names, names


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> None:
    """Run a command, and stop where it fails."""
    print("$", *command, flush=True)  # noqa: T201
    subprocess.run(
        [str(part) for part in command], check=True, cwd=cwd, env={**os.environ, **environment}
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
