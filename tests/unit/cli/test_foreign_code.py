"""Code of others under the command line: it cannot end ``nd`` with a code of 0 and no result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nd_plugin.cli import console
from nd_plugin.errors import RunFailed

Run = Callable[..., tuple[int, str, str]]
EXITS = ["sys.exit(0)", "sys.exit(7)", "raise GeneratorExit", "raise OwnEnd"]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """File of a module in the current folder, which a test writes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path / "script_of_test.py"
    sys.modules.pop("script_of_test", None)


HEADER = (
    "import sys\nfrom torch import nn\n\nclass OwnEnd(BaseException):\n    pass\n"
)


@pytest.mark.parametrize("code", EXITS)
@pytest.mark.parametrize("place", ["import", "factory", "forward"])
def test_a_script_that_exits_fails_and_is_named(
    nd: Run, module: Path, place: str, code: str
) -> None:
    sources = {
        "import": f"\n{code}\n",
        "factory": f"\ndef make():\n    {code}\n",
        "forward": (
            "\nclass make(nn.Module):\n    def forward(self, images):\n"
            f"        {code}\n"
        ),
    }
    module.write_text(HEADER + sources[place])
    returncode, stdout, stderr = nd("layers", "script_of_test:make", "--json")
    assert returncode in (1, 2, 3)
    error = json.loads(stdout)["error"]
    assert error["exit_code"] == returncode
    assert error["type"] in ("Unavailable", "ModelNotFound", "ModelFailed")
    name = (
        code.partition("(")[0]
        .removeprefix("raise ")
        .replace("sys.exit", "SystemExit")
    )
    assert name in error["message"] and name in stderr
    assert "Traceback" not in stderr


def test_the_log_file_has_the_original_error(
    nd: Run, module: Path, tmp_path: Path
) -> None:
    module.write_text(HEADER + "\ndef make():\n    raise ValueError('odd')\n")
    log = tmp_path / "nd.log"
    returncode, _, stderr = nd("layers", "script_of_test:make", "--log-file", log)
    assert returncode == 2 and "Traceback" not in stderr
    assert "ValueError: odd" in log.read_text()
    assert 'script_of_test.py", line' in log.read_text()


@pytest.mark.parametrize("exit_of_others", [SystemExit(0), GeneratorExit()])
def test_no_exit_ends_a_command(exit_of_others: BaseException) -> None:
    def command() -> None:
        raise exit_of_others

    with pytest.raises(
        RunFailed, match=r"ended by code that it ran \(.*, line \d+\)"
    ):
        console.without_foreign_exits(command)()


def test_a_warning_as_an_error_is_a_line(
    nd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warn(*_: object, **__: object) -> None:
        raise UserWarning("deprecated")

    monkeypatch.setattr("nd_plugin.cli.plugin_commands.listing.print_plugins", warn)
    returncode, _, stderr = nd("plugins")
    assert returncode == 1 and "UserWarning: deprecated" in stderr
    assert "Traceback" not in stderr


def test_threads_that_a_model_leaves_do_not_hold_the_command(
    tmp_path: Path,
) -> None:
    """They are named and, after a while, left: with the exit code of the command."""
    (tmp_path / "script_of_test.py").write_text(
        "import threading\nfrom torch import nn\n"
        "threading.Thread(target=threading.Event().wait, name='uploader').start()\n"
        "make = nn.Sequential(nn.Conv2d(3, 2, 1))\n"
    )
    command = (
        "from nd_plugin.shell import leftover_threads\n"
        "leftover_threads.SAID_AFTER = leftover_threads.ENDED_AFTER = 0.1\n"
        "from nd_plugin.cli import main; main()"
    )
    paths = [path for path in sys.path if path]
    arguments = ["layers", "script_of_test:make", "--input-size", "16"]
    finished = subprocess.run(
        [sys.executable, "-c", command, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0
    assert "Conv2d" in finished.stdout
    assert "uploader" in finished.stderr
