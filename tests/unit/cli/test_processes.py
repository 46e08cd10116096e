"""The command line in processes of its own: streams, signals, terminals, and what is imported."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

MODEL = "networks:ResNet18"


def test_exit_codes_reach_the_shell(
    nd_process: Any, probe_set: Path, tmp_path: Path
) -> None:
    assert nd_process("--version").stdout.startswith("nd_plugin ")
    done = nd_process("dissect", MODEL, "-l", "layer7", "-c", f"masks:{probe_set}",
                      "-o", tmp_path / "run")  # fmt: skip
    assert (
        done.returncode == 2
        and done.stdout == ""
        and "Traceback" not in done.stderr
    )
    assert "nd: no layer 'layer7' in ResNet18; the nearest are" in done.stderr
    done = nd_process(
        "dissect", "networks:UNet?mode=wrong", "-l", "up2", "-c", f"masks:{probe_set}",
        "--input-size", "64", "-o", tmp_path / "run",
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "the model failed in its forward pass" in done.stderr


def test_what_a_factory_prints_is_no_result(
    nd_process: Any, tmp_path: Path
) -> None:
    (tmp_path / "noisy.py").write_text(
        "from networks import dilated\ndef net():\n    print('hello')\n    return dilated()\n"
    )
    paths = os.pathsep.join(
        [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    )
    done = nd_process(
        "layers", "noisy:net", "--json", PYTHONPATH=f"{tmp_path}{os.pathsep}{paths}"
    )
    assert json.loads(done.stdout)["layers"] and "hello" in done.stderr


def test_help_needs_no_heavy_package() -> None:
    code = (
        "import sys; from nd_plugin.cli.app import app; "
        "app(['--help'], standalone_mode=False); "
        "heavy = {'torch', 'numpy', 'scipy', 'PIL', 'matplotlib'} & {*sys.modules}; "
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["report", "compare"])
def test_what_is_saved_needs_no_torch(run: Path, command: str) -> None:
    code = (
        "import sys; from nd_plugin.cli.app import app; "
        f"app(['{command}', sys.argv[1]], standalone_mode=False); "
        "assert 'torch' not in sys.modules, 'torch'"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_reader_that_has_seen_enough_is_no_failure(run: Path) -> None:
    command = [sys.executable, "-m", "nd_plugin", "report", str(run)]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        command, stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_an_output_that_is_full_is_named(run: Path) -> None:
    command = [sys.executable, "-m", "nd_plugin", "report", str(run)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert "nd: the output cannot be written: No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_poor_encoding(run: Path, nd_process: Any) -> None:
    done = nd_process("report", run, PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and "unique detector" in done.stdout


def test_a_disk_that_fills_up_loses_no_result(
    probe_set: Path, tmp_path: Path, surroundings: dict[str, str]
) -> None:
    limited = (
        "import resource, sys\n"
        "from nd_plugin import cli\n"
        "from nd_plugin.results import run_folder\n"
        "save_run = run_folder.save_run\n"
        "def save(*a):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); return save_run(*a)\n"
        "run_folder.save_run = save\n"
        "cli.main()"
    )
    command = [sys.executable, "-c", limited, "dissect", MODEL, "-l", "layer1",
               "-c", f"masks:{probe_set}", "--input-size", "64", "-o", str(tmp_path / "run"),
               "--json"]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, env=surroundings, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "cannot be written: File too large" in done.stderr
    document = json.loads(done.stdout)
    assert document["layers"][0]["layer"] == "layer1"
    assert document["error"]["type"] == "NotSaved"
    assert document["error"]["exit_code"] == 1
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_nothing_half_written(
    tmp_path: Path, surroundings: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "nd_plugin", "dissect", MODEL, "-l", "layer4",
               "-c", "shapes?images=100000", "-o", str(tmp_path / "run"),
               "--workers", "1"]  # fmt: skip
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings,
        start_new_session=True,
        preexec_fn=interruptible,
    ) as process:
        deadline = time.monotonic() + 600
        while (
            not children(process.pid)
            and time.monotonic() < deadline
            and process.poll() is None
        ):
            time.sleep(0.2)
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
        try:
            stdout, stderr = process.communicate(timeout=600)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 130, stderr
    assert "nd: interrupted" in stderr and "Traceback" not in stderr
    assert stdout == "" and not (tmp_path / "run").exists()
    # a whole checkpoint, where the first batch had begun
    partial = tmp_path / "run.partial"
    has_state = (partial / "1-of-1" / "state.npz").is_file()
    assert list(tmp_path.iterdir()) == [partial] * has_state


def interruptible() -> None:
    """Let Ctrl-C through: a shell's background jobs ignore it, and so would their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def children(pid: int) -> list[str]:
    """Return the worker processes of a process; there are some while it runs."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_progress_on_a_terminal_leaves_one_line_per_stage(
    probe_set: Path, tmp_path: Path, surroundings: dict[str, str]
) -> None:
    """In a pseudo-terminal: no bar is left behind, nothing is shown twice."""
    import pty
    import termios

    command = [sys.executable, "-m", "nd_plugin", "dissect", MODEL, "-l", "layer1",
               "-c", f"masks:{probe_set}", "--input-size", "64", "--mean", "0.5", "--std", "0.25",
               "-o", str(tmp_path / "run")]  # fmt: skip
    environment = {**surroundings, "TERM": "xterm"}
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 90))
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=follower, env=environment
    ) as process:
        os.close(follower)
        written = read_to_end(leader)
    os.close(leader)
    assert process.returncode == 0
    assert re.search(r"activations: +\d+%\|", written), "a bar was shown"
    lines = screen_of(written)
    starts = ["activations: 6 images in", "masks: 6 images in", "saved in"]
    assert len(lines) == 3, lines
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start) and "%|" not in line


def read_to_end(terminal: int) -> str:
    """Return all that is written to a pseudo-terminal until its other end is closed."""
    content = b""
    while True:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        content += chunk
    return content.decode()


def screen_of(written: str) -> list[str]:
    """Return the lines that a terminal shows in the end; a carriage return begins a line anew."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    lines = []
    for line in plain.replace("\r\n", "\n").split("\n"):
        cells = ""
        for overwriting in line.split("\r"):
            cells = overwriting + cells[len(overwriting) :]
        lines.append(cells.rstrip())
    return [line for line in lines if line]


KILLING_MODEL = """
import os, signal
import networks, torch

def net():
    torch.manual_seed(0)
    model = networks.dilated()
    batches = []
    def count(module, inputs, output):
        batches.append(len(output))
        open("passes", "w").write(str(len(batches)))
        if len(batches) == int(os.environ.get("KILL_AT", "0")):
            os.killpg(os.getpgrp(), signal.SIGTERM)
    model[-1].register_forward_hook(count)
    return model
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_sigterm_saves_a_checkpoint_and_says_how_to_resume(
    workers: int, probe_set: Path, tmp_path: Path, surroundings: dict[str, str]
) -> None:
    """The signal goes to the whole group, workers too, as `timeout` and schedulers send it."""
    (tmp_path / "killing.py").write_text(KILLING_MODEL)
    options = ["-l", "0,2", "-c", f"masks:{probe_set}", "--input-size", "64",
               "--batch-size", "1", "--workers", str(workers)]  # fmt: skip

    def nd(*arguments: str, kill_at: int = 0) -> tuple[int, str]:
        command = [sys.executable, "-m", "nd_plugin", "dissect", "killing:net"]
        environment = {**surroundings, "KILL_AT": str(kill_at)}
        done = subprocess.run(
            [*command, *options, *arguments],
            cwd=tmp_path,
            env=environment,
            start_new_session=True,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr

    assert nd("-o", "whole")[0] == 0
    code, stderr = nd(
        "-o", "run", kill_at=int((tmp_path / "passes").read_text()) - 3
    )
    assert code == 143 and "Traceback" not in stderr, stderr
    message = " ".join(stderr.split())
    assert (
        "progress saved in run.partial/1-of-1; continue with --resume: nd"
        in message
    )
    assert f"nd dissect killing:net {' '.join(options)} -o run --resume" in message
    assert message.endswith("nd: terminated")
    assert (tmp_path / "run.partial" / "1-of-1" / "state.npz").exists()
    assert not (tmp_path / "run").exists()
    code, stderr = nd("-o", "run", "--resume")
    assert code == 0, stderr
    for layer in ("0", "2"):
        first = (tmp_path / "whole" / layer / "units.csv").read_bytes()
        assert (tmp_path / "run" / layer / "units.csv").read_bytes() == first


def test_sigterm_before_a_run_ends_at_once(
    tmp_path: Path, surroundings: dict[str, str]
) -> None:
    (tmp_path / "killing.py").write_text(
        "import os, signal\ndef net():\n    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    command = [sys.executable, "-m", "nd_plugin", "layers", "killing:net"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.strip()) == (143, "nd: terminated")
    done = subprocess.run(
        [*command, "--json"],
        cwd=tmp_path,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )
    error = {"type": "Terminated", "message": "terminated", "exit_code": 143}
    assert json.loads(done.stdout) == {"schema": 1, "error": error}


@pytest.mark.parametrize(
    "environment",
    # tox asks for UTF-8 by the variable that is cleared
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONIOENCODING": ""}],
    ids=str,
)
def test_ascii_where_the_locale_has_no_more(
    environment: dict[str, str], run: Path, nd_process: Any
) -> None:
    for arguments in (
        ["report", run],
        ["dissect", "--help"],
        ["dissect", "--nothing"],
    ):
        done = nd_process(*arguments, **environment, COLUMNS="40")
        assert done.stdout.isascii() and done.stderr.isascii()
        assert "Traceback" not in done.stderr
    report = nd_process("report", run, **environment, COLUMNS="40")
    assert "layer1 ---" in report.stdout and " - " in report.stdout
    done = nd_process("report", run, "--format", "csv", **environment)
    assert done.stdout == nd_process("report", run, "--format", "csv").stdout
