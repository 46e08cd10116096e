"""Builds sdist and wheel, checks both, installs the wheel in a clean environment, tests it there.

They run in a folder without the repository, so that only what the wheel holds can be imported.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from email import message_from_string
from email.message import Message
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
    "nd_cityscapes": REPOSITORY / "concept_sets" / "nd_cityscapes",
    "nd_coco": REPOSITORY / "concept_sets" / "nd_coco",
    "nd_dataset": REPOSITORY / "concept_sets" / "nd_dataset",
    "nd_folders": REPOSITORY / "concept_sets" / "nd_folders",
    "nd_huggingface": REPOSITORY / "concept_sets" / "nd_huggingface",
    "nd_ade20k": REPOSITORY / "concept_sets" / "nd_ade20k",
    "nd_dtd": REPOSITORY / "concept_sets" / "nd_dtd",
    "nd_opensurfaces": REPOSITORY / "concept_sets" / "nd_opensurfaces",
    "nd_pascal": REPOSITORY / "concept_sets" / "nd_pascal",
}
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
PACKAGERS_FILES = {
    "CHANGELOG.md",
    "CITATION.cff",
    "LICENSE",
    "PKG-INFO",
    "README.md",
    "SECURITY.md",
    "constraints.txt",
    "constraints-oldest.txt",
    "docs/method.md",
    "pyproject.toml",
    "tests/contract/test_contract.py",
    "tests/reference.py",
    "tox.ini",
}
# imports every module of the wheel; what triton, an extra, is needed for is left out
IMPORT_ALL = """
import importlib, pkgutil, sys
for package in sys.argv[1:]:
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, package + "."):
        if not module.name.endswith(("_triton", "__main__")):
            importlib.import_module(module.name)
"""


def main(folder: Path) -> None:
    """Build, install and test in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", REPOSITORY)
    (wheel,) = (folder / "dist").glob("*.whl")
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    check_wheel(wheel)
    check_metadata(wheel)
    check_sdist(sdist)
    check_same_wheel(wheel, folder / "again")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    venv.create(folder / "clean", with_pip=True)
    python = folder / "clean" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[demo]", "pytest")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    warned = (python, "-W", "error")
    run(*warned, "-c", IMPORT_ALL, *PACKAGES, cwd=elsewhere)
    run(*warned, "-m", "nd_plugin", "--help", cwd=elsewhere)
    run(*warned, "-m", "nd_plugin", "plugins", cwd=elsewhere)
    check_version(folder / "clean" / "bin" / "nd", elsewhere)
    shutil.copytree(TESTS / "contract", elsewhere / "contract")
    helpers = (
        "conftest.py",
        "made_sources_a.py",
        "made_sources_b.py",
        "networks.py",
        "onnx_files.py",
        "png_writer.py",
    )
    for name in helpers:
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


def check_wheel(wheel: Path) -> None:
    """Check that the wheel holds the packages, all their files, and nothing else."""
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
    expected = {
        f"{package}/{name}"
        for package, folder in PACKAGES.items()
        for name in files_in(folder)
    }
    assert expected <= names, f"the wheel lacks {expected - names}"
    assert names <= expected, f"the wheel has {names - expected}, too"
    untyped = {f"{package}/py.typed" for package in PACKAGES} - names
    assert not untyped, f"the wheel lacks {untyped}"
    print_size(wheel)


def check_metadata(wheel: Path) -> None:
    """Check that the wheel says of itself what pyproject.toml says."""
    (folder,) = {
        name.partition("/")[0]
        for name in zipfile.ZipFile(wheel).namelist()
        if ".dist-info/" in name
    }
    with zipfile.ZipFile(wheel) as file:
        metadata = message_from_string(file.read(f"{folder}/METADATA").decode())
        entry_points = configparser.ConfigParser(delimiters=("=",))
        entry_points.optionxform = str  # type: ignore[assignment,method-assign]
        entry_points.read_string(file.read(f"{folder}/entry_points.txt").decode())
        licenses = {name for name in file.namelist() if "/licenses/" in name}
    assert values(metadata, "Version") == {PROJECT["version"]}
    assert values(metadata, "Requires-Python") == {PROJECT["requires-python"]}
    assert values(metadata, "License-Expression") == {PROJECT["license"]}
    assert values(metadata, "Classifier") == set(PROJECT["classifiers"])
    assert values(metadata, "Provides-Extra") == set(
        PROJECT["optional-dependencies"]
    )
    assert values(metadata, "Description-Content-Type") == {"text/markdown"}
    assert licenses == {
        f"{folder}/licenses/{name}" for name in PROJECT["license-files"]
    }
    assert dict(entry_points["console_scripts"]) == PROJECT["scripts"]
    assert dict(entry_points["nd_plugin"]) == PROJECT["entry-points"]["nd_plugin"]


def values(metadata: Message, field: str) -> set[str]:
    """Return all values of a field of the metadata."""
    return {str(value) for value in metadata.get_all(field, [])}


def check_same_wheel(wheel: Path, folder: Path) -> None:
    """Check that the repository and the source distribution give the same wheel, byte for byte."""
    build = (sys.executable, "-m", "build", "--wheel", "--outdir")
    run(*build, folder, REPOSITORY)
    (again,) = folder.glob("*.whl")
    digests = {
        hashlib.sha256(file.read_bytes()).digest() for file in (wheel, again)
    }
    assert len(digests) == 1, "the wheel differs from one built of the repository"


def check_version(command: Path, folder: Path) -> None:
    """Check what the installed command says of its version."""
    answer = subprocess.run(
        [str(command), "--version"], cwd=folder, capture_output=True, check=True
    )
    assert answer.stdout.decode().split() == ["nd_plugin", PROJECT["version"]]


def print_size(file: Path) -> None:
    """Print the size of a distribution."""
    print(f"{file.name}: {file.stat().st_size / 2**20:.1f} MiB", flush=True)  # noqa: T201


def files_in(folder: Path) -> list[str]:
    """Return the files of a package, templates and other data included, by relative path."""
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]


def check_sdist(sdist: Path) -> None:
    """Check that the source distribution has what a packager needs, and no untracked file."""
    with tarfile.open(sdist) as archive:
        files = [member.name for member in archive.getmembers() if member.isfile()]
    names = {name.partition("/")[2] for name in files}
    assert names >= PACKAGERS_FILES, PACKAGERS_FILES - names
    if (REPOSITORY / ".git").exists():
        tracked = subprocess.run(
            ["git", "-C", str(REPOSITORY), "ls-files", "-z"],
            capture_output=True,
            check=True,
        )
        strangers = names - set(tracked.stdout.decode().split("\0")) - {"PKG-INFO"}
        assert not strangers, f"the source distribution has {strangers}, too"
    print_size(sdist)


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> None:
    """Run a command, and stop where it fails."""
    print("$", *command, flush=True)  # noqa: T201
    texts = [str(argument) for argument in command]
    subprocess.run(texts, check=True, cwd=cwd, env={**os.environ, **environment})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
