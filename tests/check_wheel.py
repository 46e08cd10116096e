"""Builds sdist and wheel, installs the wheel in a clean environment, runs the contract tests there.

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
TESTS = REPOSITORY / "tests"
PACKAGES = {
    "nd_plugin": REPOSITORY / "nd_plugin",
    "nd_torch": REPOSITORY / "adapters" / "nd_torch",
    "nd_onnxruntime": REPOSITORY / "adapters" / "nd_onnxruntime",
    "nd_broden": REPOSITORY / "concept_sets" / "nd_broden",
    "nd_masks": REPOSITORY / "concept_sets" / "nd_masks",
    "nd_shapes": REPOSITORY / "concept_sets" / "nd_shapes",
    "nd_ade20k": REPOSITORY / "concept_sets" / "nd_ade20k",
    "nd_dtd": REPOSITORY / "concept_sets" / "nd_dtd",
    "nd_opensurfaces": REPOSITORY / "concept_sets" / "nd_opensurfaces",
    "nd_pascal": REPOSITORY / "concept_sets" / "nd_pascal",
    "nd_cityscapes": REPOSITORY / "concept_sets" / "nd_cityscapes",
    "nd_coco": REPOSITORY / "concept_sets" / "nd_coco",
    "nd_dataset": REPOSITORY / "concept_sets" / "nd_dataset",
    "nd_folders": REPOSITORY / "concept_sets" / "nd_folders",
    "nd_huggingface": REPOSITORY / "concept_sets" / "nd_huggingface",
}
PACKAGERS_FILES = {
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "tox.ini",
    "tests/reference.py",
}


def main(folder: Path) -> None:
    """Build, install and test in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", REPOSITORY)
    (wheel,) = (folder / "dist").glob("*.whl")
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    check_wheel(wheel)
    check_sdist(sdist)
    venv.create(folder / "clean", with_pip=True)
    python = folder / "clean" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[demo]", "pytest")
    elsewhere = folder / "elsewhere"
    shutil.copytree(TESTS / "contract", elsewhere / "contract")
    helpers = (
        "made_sources_a.py",
        "made_sources_b.py",
        "networks.py",
        "onnx_files.py",
        "png_writer.py",
    )
    for name in ("conftest.py", *helpers):
        shutil.copy(TESTS / name, elsewhere)
    data = os.environ.get("ND_DATA", str(REPOSITORY.parent / "shared" / "data"))
    options = (
        "-o",
        "pythonpath=.",
        "-W",
        "error",
        "--import-mode=importlib",
        "-ra",
    )
    run(python, "-m", "pytest", *options, "contract", cwd=elsewhere, ND_DATA=data)
    run(folder / "clean" / "bin" / "nd", "plugins", cwd=elsewhere)


def check_wheel(wheel: Path) -> None:
    """Check that the wheel holds the packages, all their files, and no shelf as a package."""
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    roots = {name.partition("/")[0] for name in names}
    packages = {root for root in roots if not root.endswith(".dist-info")}
    assert packages == set(PACKAGES), packages
    for package, folder in PACKAGES.items():
        missing = {f"{package}/{name}" for name in files_in(folder)} - names
        assert not missing, f"the wheel lacks {missing}"
    assert "nd_plugin/py.typed" in names, "the wheel is typed"


def files_in(folder: Path) -> list[str]:
    """Return the files of a package, templates and other data included, by relative path."""
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]


def check_sdist(sdist: Path) -> None:
    """Check that the source distribution has what a packager needs."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= PACKAGERS_FILES, PACKAGERS_FILES - names


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> None:
    """Run a command, and stop where it fails."""
    print("$", *command, flush=True)  # noqa: T201
    texts = [str(argument) for argument in command]
    subprocess.run(texts, check=True, cwd=cwd, env={**os.environ, **environment})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
