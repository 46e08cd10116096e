"""Signals to ``nd``: a checkpoint, one line how to resume, and the exit code of the signal.

ND_KILLS, from 36 on, also has torchrun's processes stopped, killed and left without torchrun.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc").is_dir(), reason="needs /proc to see processes"
)
PATIENCE = 600.0  # seconds; only what hangs takes so long
MODEL = """
import os, signal, time
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.near = nn.Conv2d(3, 5, 5, 4, 2)
        self.batches = 0

    def forward(self, x):
        # what opens a run takes batches of other sizes
        self.batches += len(x) == 4
        is_one = os.environ.get("RANK", "1") == "1"
        if len(x) == 4 and self.batches == int(os.environ.get("AT", "-1")) and is_one:
            act(os.environ["ACTION"])
        return self.near(x).relu()

def act(action):
    if action == "BadInput":
        from nd_plugin import BadInput
        raise BadInput("no good")
    if action == "wait":
        open("waiting", "w").close()
        time.sleep(600)
    for name in action.split():
        if name in ("SIGSTOP", "SIGKILL"):
            open("acted", "w").write(str(os.getpid()))
            os.kill(os.getpid(), getattr(signal, name))
        else:
            os.killpg(os.getpgrp(), getattr(signal, name))

def net():
    torch.manual_seed(0)
    return Net()

def interrupted():
    os.kill(os.getpid(), signal.SIGINT)
    return net()
"""
OPTIONS = (
    *("-l", "near", "-c", "shapes?images=40&size=64&seed=0", "--input-size", "64"),
    *("--quantile", "0.05", "--batch-size", "4", "--json", "-o", "run"),
)
DISSECT = ("-m", "nd_plugin", "dissect", "acting:net", *OPTIONS)
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
is_long = int(os.environ.get("ND_KILLS", "0")) >= 36


def start(
    folder: Path,
    *arguments: str,
    at: int = -1,
    action: str = "",
    ignored: tuple[int, ...] = (),
    **variables: str,
) -> subprocess.Popen[str]:
    """Start Python in a group of its own; the model does ``action`` in a batch."""
    (folder / "acting.py").write_text(MODEL)
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
        "AT": str(at),
        "ACTION": action,
        **variables,
    }

    def prepare() -> None:
        # a shell's background jobs ignore Ctrl-C, and so would these
        for name in CODES:
            number = getattr(signal, name)
            is_ignored = number in ignored
            signal.signal(number, signal.SIG_IGN if is_ignored else signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=prepare,
    )


def end_of(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr; a process that hangs is killed."""
    try:
        stdout, stderr = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, stdout, stderr


def await_true(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def children(process: int) -> list[int]:
    path = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in path.read_text().split()]


# tests/unit/cli/test_processes.py has SIGTERM
@pytest.mark.parametrize("name", CODES if is_long else ["SIGINT", "SIGHUP"])
def test_a_signal_saves_a_checkpoint(name: str, tmp_path: Path) -> None:
    """It goes to the whole group, workers too, as terminals and schedulers send it."""
    process = start(tmp_path, *DISSECT, "--workers", "2", at=5, action=name)
    code, stdout, stderr = end_of(process)
    assert code == CODES[name] and "Traceback" not in stderr, stderr
    saved = "nd: progress saved in run.partial/1-of-1; continue with --resume: nd"
    assert stderr.count(saved) == 1
    assert stderr.strip().endswith(f"nd: {WORDS[name]}")
    assert (tmp_path / "run.partial/1-of-1/state.npz").is_file()
    assert not (tmp_path / "run").exists()
    assert json.loads(stdout)["error"]["exit_code"] == CODES[name]
    if name == "SIGHUP":
        code, _, stderr = end_of(start(tmp_path, *DISSECT, "--resume"))
        assert code == 0, stderr
        assert (tmp_path / "run").is_dir()


def test_ctrl_c_twice_ends_at_once(tmp_path: Path) -> None:
    process = start(tmp_path, *DISSECT, at=5, action="SIGINT SIGINT wait")
    code, _, stderr = end_of(process)
    assert code == 130 and "Traceback" not in stderr, stderr
    assert stderr.strip().endswith("nd: interrupted")
    assert "no progress saved" in stderr


def test_what_is_ignored_and_unread_does_not_end_a_run(tmp_path: Path) -> None:
    """As under nohup; and its messages go where nobody reads them."""
    process = start(
        tmp_path, *DISSECT, at=5, action="SIGHUP", ignored=(signal.SIGHUP,)
    )
    assert process.stderr is not None and process.stdout is not None
    process.stderr.close()
    stdout = process.stdout.read()
    process.stdout.close()
    assert process.wait(PATIENCE) == 0
    assert json.loads(stdout)["layers"] and (tmp_path / "run").is_dir()


LOADING = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "nd_plugin.cli.app":
            os.kill(os.getpid(), int(sys.argv[1]))

sys.meta_path.insert(0, Finder())
from nd_plugin.cli import main
main()
"""
SAVING = """
import os, signal, sys
from nd_plugin.results import run_folder
save_run = run_folder.save_run

def interrupted(*arguments):
    os.kill(os.getpid(), signal.SIGINT)
    return save_run(*arguments)

run_folder.save_run = interrupted
from nd_plugin.cli import main
main()
"""


@pytest.mark.parametrize("name", CODES)
def test_a_signal_while_the_program_loads(name: str, tmp_path: Path) -> None:
    number = str(int(getattr(signal, name)))
    code, stdout, stderr = end_of(start(tmp_path, "-c", LOADING, number))
    assert (code, stdout, stderr) == (CODES[name], "", f"nd: {WORDS[name]}\n")


def test_ctrl_c_while_a_model_is_opened(tmp_path: Path) -> None:
    layers = ("-m", "nd_plugin", "layers", "acting:interrupted")
    code, _, stderr = end_of(start(tmp_path, *layers))
    assert (code, stderr) == (130, "nd: interrupted\n")


def test_ctrl_c_while_the_run_is_saved(tmp_path: Path) -> None:
    """What is computed is saved; it takes no time that matters."""
    command = ("-c", SAVING, "dissect", "acting:net", *OPTIONS)
    code, _, stderr = end_of(start(tmp_path, *command))
    assert code == 130 and "Traceback" not in stderr, stderr
    assert (tmp_path / "run/run.json").is_file()
    assert "saved in run" in stderr and stderr.strip().endswith("nd: interrupted")
    assert not (tmp_path / "run.partial").exists()


def test_workers_end_with_the_program(tmp_path: Path) -> None:
    process = start(tmp_path, *DISSECT, "--workers", "2", at=2, action="wait")
    await_true(
        lambda: (tmp_path / "waiting").exists() or process.poll() is not None
    )
    workers = children(process.pid)
    assert len(workers) == 2
    process.kill()
    await_true(lambda: not any(map(is_running, workers)))
    end_of(process)


@pytest.mark.skipif(not is_long, reason="ND_KILLS=36 runs it")
def test_other_ranks_end_with_the_error_of_one(tmp_path: Path) -> None:
    arguments = (*TORCHRUN, *DISSECT)
    process = start(tmp_path, *arguments, at=3, action="BadInput")
    code, _, stderr = end_of(process)
    assert code == 1
    assert "\nnd: no good\n" in stderr and "\nnd: rank 1 of 2: no good\n" in stderr


@pytest.mark.skipif(not is_long, reason="ND_KILLS=36 runs it")
@pytest.mark.parametrize("name", ["SIGSTOP", "SIGKILL"])
def test_a_rank_that_is_lost_is_named(name: str, tmp_path: Path) -> None:
    options = ("--checkpoint-every", "4")
    process = start(
        tmp_path,
        *(*TORCHRUN, *DISSECT, *options),
        at=3,
        action=name,
        ND_RANK_TIMEOUT="10",
    )
    _, _, stderr = end_of(process)
    rank = (tmp_path / "acted").read_text()
    reason = {
        "SIGSTOP": "has made no progress for 10 s",
        "SIGKILL": "has ended without a result",
    }[name]
    assert f"nd: rank 1 of 2 (process {rank} on " in stderr and reason in stderr
    ours = stderr.partition("torch/distributed/elastic")[0]
    assert "Traceback" not in ours
    for part in ("1-of-2", "2-of-2"):
        assert (tmp_path / f"run.partial/{part}/state.npz").is_file()
    code, _, stderr = end_of(
        start(tmp_path, *(*TORCHRUN, *DISSECT, *options, "--resume"))
    )
    assert code == 0 and (tmp_path / "run").is_dir(), stderr


@pytest.mark.skipif(not is_long, reason="ND_KILLS=36 runs it")
def test_ranks_end_with_torchrun(tmp_path: Path) -> None:
    process = start(tmp_path, *TORCHRUN, *DISSECT, at=3, action="wait")
    await_true(
        lambda: (tmp_path / "waiting").exists() or process.poll() is not None
    )
    ranks = children(process.pid)
    assert len(ranks) == 2
    process.kill()
    await_true(lambda: not any(map(is_running, ranks)))
    end_of(process)
