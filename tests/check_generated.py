"""Writes a project of each kind with the wheel's ``nd plugins new``, and does what its README says.

Each has a new environment of its own, with nothing but the wheel and what pip fetches for it.
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
    "concept-set": "nd-boxes",
    "reporter": "nd-markdown",
}
BLOCK = re.compile(r"^## Develop\n+```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def main(folder: Path, kinds: list[str]) -> None:
    """Build the wheel, and check a project of each kind, in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wheels = folder / "dist"
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", wheels]
    run(*build, REPOSITORY, cwd=folder)
    for kind in kinds:
        started = time.monotonic()
        check_project(kind, folder / kind, wheels)
        print(f"{kind}: {time.monotonic() - started:.0f} s")  # noqa: T201


def check_project(kind: str, folder: Path, wheels: Path) -> None:
    """Write a project in a new environment, and run the commands of its README there."""
    venv.create(folder / "env", with_pip=True)
    programs = folder / "env" / "bin"
    (wheel,) = wheels.glob("*.whl")
    run(programs / "pip", "install", "--quiet", wheel, cwd=folder)
    name = NAMES[kind]
    run(programs / "nd", "plugins", "new", kind, name, cwd=folder)
    project = folder / name
    readme = (project / "README.md").read_text(encoding="utf-8")
    (block,) = BLOCK.findall(readme)
    environment, *commands = block.splitlines()
    assert environment.startswith("python -m venv"), environment
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    for command in commands:
        # nd_plugin is taken from the wheel; everything else as anywhere
        settings = {"PATH": path, "PIP_FIND_LINKS": str(wheels)}
        run("bash", "-euc", command, cwd=project, **settings)


def run(*command: str | Path, cwd: Path, **environment: str) -> None:
    """Run a command, and stop where it fails."""
    print("$", *command, flush=True)  # noqa: T201
    texts = [str(argument) for argument in command]
    subprocess.run(texts, check=True, cwd=cwd, env={**os.environ, **environment})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or list(NAMES))
