"""Writes a project of each kind with the wheel's ``nd plugins new``, and does what its README says.

Each has a new environment of its own, with nothing but the wheel and what pip fetches for it. So
has the tutorial of plugin authors, all of whose commands and Python blocks run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
NAMES = {
    "backend": "nd-filters",
    "concept-set": "nd-street",
    "reporter": "nd-markdown",
}
TUTORIAL = "tutorial"
PAGE = REPOSITORY / "docs" / "tutorials" / "plugins.md"
PAGE_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
DEVELOP = re.compile(r"^## Develop\n+```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def main(folder: Path, parts: list[str]) -> None:
    """Build the wheel, and check the projects, and the tutorial, in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", folder / "dist"]
    run(*build, REPOSITORY, cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    for part in parts:
        started = time.monotonic()
        if part == TUTORIAL:
            check_tutorial(folder / part, wheel)
        else:
            check_project(part, folder / part, wheel)
        print(f"{part}: {time.monotonic() - started:.0f} s")  # noqa: T201


def check_project(kind: str, folder: Path, wheel: Path) -> None:
    """Write a project in a new environment, and run the commands of its README there."""
    settings = new_environment(folder, wheel, "")
    name = NAMES[kind]
    run("nd", "plugins", "new", kind, name, cwd=folder, **settings)
    readme = (folder / name / "README.md").read_text(encoding="utf-8")
    (block,) = DEVELOP.findall(readme)
    first, *commands = block.splitlines()
    assert first.startswith("python -m venv"), first
    for command in commands:
        run("bash", "-euc", command, cwd=folder / name, **settings)


def check_tutorial(folder: Path, wheel: Path) -> None:
    """Run all blocks of the tutorial in a new environment, in one folder."""
    settings = new_environment(folder, wheel, "[demo]")
    page = PAGE.read_text(encoding="utf-8")
    for language, block in PAGE_BLOCK.findall(page):
        program = ["python", "-c"] if language == "python" else ["bash", "-euc"]
        run(*program, block, cwd=folder, **settings)


def new_environment(folder: Path, wheel: Path, extras: str) -> dict[str, str]:
    """Install the wheel in a new environment; return the variables that make it the current one."""
    venv.create(folder / "env", with_pip=True)
    programs = folder / "env" / "bin"
    run(programs / "pip", "install", "--quiet", f"{wheel}{extras}", cwd=folder)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    # nd_plugin is taken from the wheel; everything else as anywhere
    return {"PATH": path, "PIP_FIND_LINKS": str(wheel.parent)}


def run(*command: str | Path, cwd: Path, **environment: str) -> None:
    """Run a command, and stop where it fails."""
    print("$", *command, flush=True)  # noqa: T201
    texts = [str(argument) for argument in command]
    settings = {**os.environ, **environment}
    # the program, too, is looked up in the new environment
    texts[0] = shutil.which(texts[0], path=settings["PATH"]) or texts[0]
    subprocess.run(texts, check=True, cwd=cwd, env=settings)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or [*NAMES, TUTORIAL])
