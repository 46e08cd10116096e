"""Triton's kernels run by its interpreter on the CPU: slow, and exact.

The interpreter is chosen when Triton is imported, so the tests in ``interpreted`` have a process of
their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "interpreted"
ROOT = Path(__file__).parents[3]
# the interpreter of older ones does not run with NumPy 2.4
LEAST_TRITON = (3, 7)


def triton_version() -> tuple[int, ...]:
    try:
        installed = version("triton")
    except PackageNotFoundError:
        pytest.skip("Triton is not installed")
    return tuple(int(part) for part in installed.split(".")[:2])


@pytest.mark.parametrize("name", [path.stem for path in FOLDER.glob("*.py")])
def test_kernels_equal_plain_loops(name: str) -> None:
    if triton_version() < LEAST_TRITON:
        pytest.skip(f"the interpreter of Triton {triton_version()} is too old")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    finished = subprocess.run(
        [*command, str(FOLDER / f"{name}.py")],
        cwd=ROOT,
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
