"""``nd`` in this process, for readers of what a command line takes."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import lru_cache
from typing import Any

from typer.main import get_command

from nd_plugin import BadInput
from nd_plugin.cli import console
from nd_plugin.cli.app import app

TRACEBACK = "Traceback (most recent call last)"


class SilentSuccess(AssertionError):
    """Command that ends with 0 and says nothing."""


class PrintedTraceback(AssertionError):
    """Command that prints a traceback and goes on."""


@lru_cache(1)
def _command() -> Any:
    """Return the command line; building it takes longer than most cases."""
    return get_command(app)


def run_nd(arguments: Sequence[str]) -> str:
    """Run ``nd``; return its output. Raises BadInput where it ends with another code than 0.

    What the command line does not translate passes through.
    """
    stdout, stderr = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["nd", *arguments]
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr):
            console.guarded(_command())
    except SystemExit as exit_request:
        code = exit_request.code
        if TRACEBACK in stderr.getvalue() + stdout.getvalue():
            raise PrintedTraceback(stderr.getvalue()[-2000:]) from None
        if code not in (0, None):
            raise BadInput(
                f"exit code {code}: {stderr.getvalue()[-500:]}"
            ) from None
        if not stdout.getvalue().strip() and not stderr.getvalue().strip():
            raise SilentSuccess(" ".join(arguments)) from None
    finally:
        sys.argv = before
    return stdout.getvalue()
