"""The command line in processes of its own: several together, one after the other, killed and continued.

ND_KILLS sets how often the killed run is killed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nd_plugin import Dissection
from nd_plugin.results.npz_format import ARRAYS
from nd_plugin.results.run_folder import load_run
from nd_plugin.resuming.checkpoint import STATE

KILLS = int(os.environ.get("ND_KILLS", "3"))
IMAGES, BATCH = 48, 4
PATIENCE = 60.0  # seconds, for a process to get somewhere
FACTORY = """
import os, time
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.near, self.far = nn.Conv2d(3, 5, 5, 4, 2), nn.Conv2d(5, 6, 3, 2, 1)

    def forward(self, x):
        time.sleep(float(os.environ.get("ND_NAP", "0")))
        with open(os.environ["ND_SEEN"], "a") as seen:
            seen.write(f"{len(x)}\\n")
        return self.far(self.near(x).relu()).relu()

def net():
    torch.manual_seed(0)
    return Net()
"""
CONCEPTS = f"shapes?images={IMAGES}&size=64&seed=0"
DISSECT = (
    "dissect", "slow:net", "-l", "near", "-l", "far", "-c", CONCEPTS, "--input-size", "64", "--quantile", "0.05",
    "--quantile", "0.2", "--batch-size", f"{BATCH}", "--workers", "0", "--json",
)  # fmt: skip


@dataclass
class Bench:
    """A folder in which ``nd`` runs; what it starts is ended with the test."""

    place: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *command: str | Path, nap: float = 0.0) -> subprocess.Popen[str]:
        """Start ``python -m …`` in a session of its own; the model takes ``nap`` seconds for a batch."""
        surroundings = {
            **{
                name: value
                for name, value in os.environ.items()
                if name not in ("COLUMNS", "FORCE_COLOR")
            },
            "PYTHONPATH": os.pathsep.join(
                [str(self.place), *filter(None, [os.environ.get("PYTHONPATH")])]
            ),
            "OMP_NUM_THREADS": "1",
            "NO_COLOR": "1",
            "ND_NAP": str(nap),
            "ND_SEEN": str(self.place / "seen"),
        }
        (self.place / "seen").unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", *map(str, command)],
            cwd=self.place, env=surroundings, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, preexec_fn=interruptible,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def nd(
        self, *arguments: str | Path, module: Sequence[str] = ("nd_plugin",)
    ) -> tuple[int, str, str]:
        """Run ``nd`` to its end: exit code, stdout, stderr."""
        process = self.start(*module, *arguments)
        stdout, stderr = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in stderr, stderr
        return process.returncode, stdout, stderr

    def seen(self) -> int:
        """How many images went through the model since the last start."""
        path = self.place / "seen"
        return sum(map(int, path.read_text().split())) if path.exists() else 0

    def killed_after_a_checkpoint(
        self, output: str, signal_: signal.Signals = signal.SIGKILL
    ) -> tuple[int, str]:
        """Interrupt a run that has just begun to keep its state: exit code and stderr."""
        process = self.start(
            "nd_plugin", *DISSECT, "-o", output, "--checkpoint-every", f"{BATCH}", nap=0.2
        )
        state = self.state(output)
        wait_for(lambda: state.is_file() or process.poll() is not None)
        assert process.poll() is None, process.communicate()[1]
        process.send_signal(signal_)
        _, stderr = process.communicate(timeout=PATIENCE)
        return process.returncode, stderr

    def state(self, output: str) -> Path:
        return self.place / f"{output}.partial" / "1-of-1" / STATE

    def close(self) -> None:
        for process in self.processes:
            for pid in [process.pid, *descendants(process.pid)] if process.poll() is None else []:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            process.communicate(timeout=PATIENCE)


def interruptible() -> None:
    """Whatever started the tests: a shell's background jobs ignore Ctrl-C, and so would their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def descendants(pid: int) -> list[int]:
    """The children of a process, and theirs: torchrun starts its processes in sessions of their own."""
    try:
        children = [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []
    return [*children, *(grandchild for child in children for grandchild in descendants(child))]


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Dissection], int, str]:
    """One process, uninterrupted: what it found, how many images went through the model, its report."""
    one = Bench(tmp_path_factory.mktemp("whole"))
    (one.place / "slow.py").write_text(FACTORY)
    try:
        code, stdout, stderr = one.nd(*DISSECT, "-o", "run")
        assert code == 0, stderr
        found = load_run(one.place / "run")
        assert len(found) == 4 and all(one.intersection.any() for one in found)
        assert contents(one.place) == ["run"]
        return found, one.seen(), stdout
    finally:
        one.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "slow.py").write_text(FACTORY)
    opened = Bench(tmp_path)
    yield opened
    opened.close()


def contents(place: Path) -> list[str]:
    """What lies in a folder, beside what the tests have put there."""
    return sorted(
        path.name for path in place.iterdir() if path.name not in ("slow.py", "seen", "__pycache__")
    )


def assert_same(folder: Path, expected: Sequence[Dissection]) -> None:
    found = load_run(folder)
    assert [(one.layer, one.settings) for one in found] == [
        (one.layer, one.settings) for one in expected
    ]
    for one, other in zip(found, expected, strict=True):
        for name in ARRAYS:
            mine, its = getattr(one, name), getattr(other, name)
            assert mine.tobytes() == its.tobytes(), (
                f"{name} of {one.layer} at {one.settings.quantile}"
            )
        assert (one.skipped, one.locations, one.image_names) == (
            other.skipped,
            other.locations,
            other.image_names,
        )


TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "nd_plugin")


def test_torchrun_gives_the_bits_of_one_process(
    bench: Bench, whole: tuple[list[Dissection], int, str]
) -> None:
    expected, _, report = whole
    code, stdout, stderr = bench.nd(
        *DISSECT, "-o", "run", "--checkpoint-every", f"{BATCH}", module=TORCHRUN
    )
    assert code == 0, stderr
    assert stdout == report, "one report"
    assert_same(bench.place / "run", expected)
    assert contents(bench.place) == ["run"], "one run, and nothing beside it"
    assert stderr.count("saved in run") == 1
    assert stderr.count("activations: 24 images") == 1, "one of them shows its progress"


def test_torchrun_is_continued(bench: Bench, whole: tuple[list[Dissection], int, str]) -> None:
    command = (*DISSECT, "-o", "run", "--checkpoint-every", f"{BATCH}")
    process = bench.start(*TORCHRUN, *command, nap=0.3)
    states = [bench.place / "run.partial" / f"{rank}-of-2" / STATE for rank in (1, 2)]
    wait_for(lambda: all(state.is_file() for state in states) or process.poll() is not None)
    for pid in [process.pid, *descendants(process.pid)]:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert all(state.is_file() for state in states)
    code, _, stderr = bench.nd(*command, "--resume", module=TORCHRUN)
    assert code == 0, stderr
    assert_same(bench.place / "run", whole[0])
    assert contents(bench.place) == ["run"]


def test_an_interrupted_torchrun_is_not_begun_anew_by_one_process(bench: Bench) -> None:
    """Its parts lie there as much as those of one process."""
    for rank in (1, 2):
        part = bench.place / "run.partial" / f"{rank}-of-2"
        part.mkdir(parents=True)
        (part / STATE).write_bytes(b"anything")
    code, _, stderr = bench.nd(*DISSECT, "-o", "run")
    assert code == 2 and "--resume" in stderr and "--overwrite" in stderr, stderr
    code, _, stderr = bench.nd(*DISSECT, "-o", "run", "--overwrite")
    assert code == 0, stderr
    assert contents(bench.place) == ["run"]


def test_shards_are_merged_to_the_bits_of_one_run(
    bench: Bench, whole: tuple[list[Dissection], int, str]
) -> None:
    expected, _, report = whole
    for index in (1, 2):
        code, stdout, stderr = bench.nd(*DISSECT, "-o", f"s{index}", "--shard", f"{index}/2")
        assert code == 0 and stdout == "", stderr
        assert f"saved shard {index}/2 in s{index}" in stderr
    code, stdout, stderr = bench.nd("merge", "s2", "s1", "-o", "run", "--json")
    assert code == 0, stderr
    assert numbers(stdout) == numbers(report)
    assert_same(bench.place / "run", expected)
    assert contents(bench.place) == ["run", "s1", "s2"]
    code, _, stderr = bench.nd("merge", "s1", "-o", "other")
    assert code == 2 and "shards are missing: 2/2" in stderr
    assert contents(bench.place) == ["run", "s1", "s2"]


def numbers(report: str) -> list[dict[str, object]]:
    return [
        {name: value for name, value in layer.items() if name != "notes"}
        for layer in json.loads(report)
    ]


def test_killed_at_any_moment_it_ends_with_the_same_bits(
    bench: Bench, whole: tuple[list[Dissection], int, str]
) -> None:
    dice, hits, moved = random.Random(0), 0, bench.place / "run.partial"
    for _ in range(KILLS):
        before = stamp(bench.state("run"))
        process = bench.start(
            "nd_plugin",
            *DISSECT,
            "-o",
            "run",
            "--checkpoint-every",
            f"{2 * BATCH}",
            "--resume",
            nap=0.1,
        )
        wait_for(lambda: stamp(bench.state("run")) != before or process.poll() is not None)  # noqa: B023
        time.sleep(dice.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
        hits += process.returncode == -signal.SIGKILL
        assert process.returncode == -signal.SIGKILL or (bench.place / "run").is_dir()
        if (
            bench.place / "run"
        ).is_dir() and not moved.exists():  # it was faster: once more from the beginning
            assert_same(bench.place / "run", whole[0])
            shutil.rmtree(bench.place / "run")
    assert hits >= 1
    left, saved = moved.exists(), (bench.place / "run").is_dir()
    code, stdout, stderr = bench.nd(*DISSECT, "-o", "run", "--resume")
    assert code == 0, stderr
    assert saved or stdout == whole[2]
    assert_same(bench.place / "run", whole[0])
    assert contents(bench.place) == ["run"]
    assert not left or bench.seen() < whole[1], "what was done is not done again"


def stamp(path: Path) -> tuple[int, int] | None:
    """Changes with every replacement of a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def test_an_interrupted_run_is_begun_anew_only_when_asked_for(
    bench: Bench, whole: tuple[list[Dissection], int, str]
) -> None:
    assert bench.killed_after_a_checkpoint("run")[0] == -signal.SIGKILL
    kept = bench.state("run").read_bytes()
    code, stdout, stderr = bench.nd(*DISSECT, "-o", "run")
    assert (code, stdout, bench.seen()) == (2, "", 0), "refused before the model runs"
    assert (
        "run.partial holds an interrupted run: continue it with --resume, or begin anew with --overwrite"
        in (" ".join(stderr.split()))
    )
    assert bench.state("run").read_bytes() == kept
    code, _, stderr = bench.nd(*DISSECT, "-o", "run", "--overwrite")
    assert code == 0, stderr
    assert bench.seen() == whole[1], "from the first image on"
    assert_same(bench.place / "run", whole[0])
    assert contents(bench.place) == ["run"]


def test_a_finished_run_is_complete(bench: Bench, whole: tuple[list[Dissection], int, str]) -> None:
    code, printed, _ = bench.nd(*DISSECT, "-o", "run")
    assert code == 0
    before = {path: stamp(path) for path in (bench.place / "run").rglob("*")}
    code, stdout, stderr = bench.nd(*DISSECT, "-o", "run", "--resume")
    assert code == 0, stderr
    assert stdout == printed and "run is complete (nd report run)" in stderr
    assert (
        bench.seen() == 0
        and {path: stamp(path) for path in (bench.place / "run").rglob("*")} == before
    )
    code, _, stderr = bench.nd(*DISSECT, "-o", "run", "--resume", "--top-images", "3")
    assert code == 2 and "exists already" in stderr, "this is not the one that was asked for"
    assert_same(bench.place / "run", whole[0])


def test_a_finished_run_is_complete_by_whatever_name_its_concepts_go(bench: Bench) -> None:
    """The concept set calls itself shapes?images=…&size=…&seed=0 in run.json."""
    short = [argument.removesuffix("&seed=0") for argument in DISSECT]
    assert bench.nd(*short, "-o", "run")[0] == 0
    code, _, stderr = bench.nd(*short, "-o", "run", "--resume")
    assert code == 0, stderr
    assert "run is complete (nd report run)" in stderr and bench.seen() == 0


def test_ctrl_c_says_how_to_go_on(bench: Bench, whole: tuple[list[Dissection], int, str]) -> None:
    code, stderr = bench.killed_after_a_checkpoint("run", signal.SIGINT)
    assert code == 130 and "Traceback" not in stderr, stderr
    said = " ".join(stderr.split())
    assert "kept in run.partial/1-of-1 up to its last checkpoint; --resume continues it" in said
    assert said.endswith("nd: interrupted") and contents(bench.place) == ["run.partial"]
    code, _, stderr = bench.nd(*DISSECT, "-o", "run", "--resume")
    assert code == 0, stderr
    assert bench.seen() < whole[1]
    assert_same(bench.place / "run", whole[0])
    assert contents(bench.place) == ["run"]
