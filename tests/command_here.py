"""Command line ``nd``, run in the process of the tests as its entry point does."""

from __future__ import annotations

import io
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from nd_plugin.cli import main


class Finished(NamedTuple):
    """Exit code and output of a command."""

    returncode: int
    stdout: str
    stderr: str


def run_nd(*arguments: str | Path, **environment: str) -> Finished:
    """Run ``nd`` in this process; keywords are environment variables."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        warnings.catch_warnings(),  # `main` shows warnings its own way
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        warnings.simplefilter("default")
        patch.setattr(sys, "argv", ["nd", *map(str, arguments)])
        patch.delenv("COLUMNS", raising=False)
        patch.setenv("NO_COLOR", "1")
        for name, value in environment.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as exit_request:
            main()
    code = exit_request.value.code
    return Finished(int(code or 0), stdout.getvalue(), stderr.getvalue())
