"""The command line in processes: several together, one after the other, killed and continued.

ND_KILLS sets how often the killed run is killed at least.
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
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from made_pictures import pictures_as_bytes
from PIL import ExifTags, Image

from nd_plugin import Dissection
from nd_plugin.results.npz_format import ARRAYS
from nd_plugin.results.run_folder import load_run
from nd_plugin.resuming.checkpoint import STATE

KILLS = int(os.environ.get("ND_KILLS", "3"))
IMAGES, BATCH = 48, 4
# Seconds for a process to get somewhere. Only a process that hangs takes so long: what a test
# waits for is an event, and on a busy machine even the start of torch may take a minute.
PATIENCE = 900.0
FACTORY = """
import os, time
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.near, self.far = nn.Conv2d(3, 5, 5, 4, 2), nn.Conv2d(5, 6, 3, 2, 1)
        self.images = 0

    def forward(self, x):
        # what opens a run takes batches of other sizes
        if len(x) != BATCH_SIZE:
            return self.far(self.near(x).relu()).relu()
        time.sleep(float(os.environ["ND_NAP"]))
        self.images += len(x)
        if self.images > int(os.environ["ND_HALT"]):
            with open(os.environ["ND_HALTED"], "a") as halted:
                halted.write("halted\\n")
            while True:  # until a signal comes
                time.sleep(0.02)
        with open(os.environ["ND_SEEN"], "a") as seen:
            seen.write(f"{len(x)}\\n")
        return self.far(self.near(x).relu()).relu()

def net():
    torch.manual_seed(0)
    return Net()
""".replace("BATCH_SIZE", str(BATCH))
HALT = 16  # images: checkpoints are there, and batches are left
CONCEPTS = f"shapes?images={IMAGES}&size=64&seed=0"
DISSECT = (
    *(
        "dissect",
        "slow:net",
        "-l",
        "near",
        "-l",
        "far",
        "-c",
        CONCEPTS,
        "--input-size",
        "64",
    ),
    *(
        "--quantile",
        "0.05",
        "--quantile",
        "0.2",
        "--batch-size",
        f"{BATCH}",
        "--workers",
        "0",
    ),
    "--json",
)
TORCHRUN = (
    "torch.distributed.run",
    "--standalone",
    "--nproc-per-node",
    "2",
    "-m",
    "nd_plugin",
)


@dataclass
class Bench:
    """A folder in which ``nd`` runs; what it starts is ended with the test."""

    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(
        self, *command: str | Path, nap: float = 0.0, halt: int = 10**9
    ) -> subprocess.Popen[str]:
        """Start ``python -m …`` in a session of its own.

        The model takes ``nap`` seconds for a batch, and halts for good after ``halt`` images.
        """
        for name in ("seen", "halted"):
            (self.folder / name).unlink(missing_ok=True)
        python_path = [
            str(self.folder),
            *filter(None, [os.environ.get("PYTHONPATH")]),
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(python_path),
            "OMP_NUM_THREADS": "1",
            "NO_COLOR": "1",
            "ND_NAP": str(nap),
            "ND_HALT": str(halt),
            "ND_HALTED": str(self.folder / "halted"),
            "ND_SEEN": str(self.folder / "seen"),
        }
        for name in ("COLUMNS", "FORCE_COLOR"):
            environment.pop(name, None)
        process = subprocess.Popen(
            [sys.executable, "-m", *map(str, command)],
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=interruptible,
        )
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

    def halted(
        self,
        output: str,
        module: Sequence[str] = ("nd_plugin",),
        processes: int = 1,
    ) -> subprocess.Popen[str]:
        """Start a run and return it when its processes halt in the middle of the images."""
        process = self.start(
            *module,
            *DISSECT,
            "-o",
            output,
            "--checkpoint-every",
            f"{BATCH}",
            halt=HALT,
        )
        note = self.folder / "halted"
        wait_for(
            lambda: (
                (note.exists() and len(note.read_text().splitlines()) == processes)
                or process.poll() is not None
            )
        )
        assert process.poll() is None, process.communicate()[1]
        for rank in range(1, processes + 1):
            assert self.state(output, f"{rank}-of-{processes}").is_file()
        return process

    def interrupted(
        self, output: str, signal_: signal.Signals = signal.SIGKILL
    ) -> tuple[int, str]:
        """Interrupt a run that has written checkpoints: exit code and stderr."""
        process = self.halted(output)
        process.send_signal(signal_)
        _, stderr = process.communicate(timeout=PATIENCE)
        return process.returncode, stderr

    def seen(self) -> int:
        """How many images went through the model since the last start."""
        path = self.folder / "seen"
        return sum(map(int, path.read_text().split())) if path.exists() else 0

    def state(self, output: str, part: str = "1-of-1") -> Path:
        return self.folder / f"{output}.partial" / part / STATE

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                kill_all(process)
            process.communicate(timeout=PATIENCE)


def interruptible() -> None:
    """A shell's background jobs ignore Ctrl-C, and so would the tests' children in one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def descendants(pid: int) -> list[int]:
    """The children of a process, and theirs: torchrun's processes have sessions of their own."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    pids = []
    for child in map(int, text.split()):
        pids += [child, *descendants(child)]
    return pids


def kill_all(process: subprocess.Popen[str]) -> None:
    for pid in [process.pid, *descendants(process.pid)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.01)


@dataclass(frozen=True)
class Whole:
    """One process, uninterrupted."""

    folder: Path
    dissections: list[Dissection]
    seen: int  # images that went through the model
    report: str

    def copy_to(self, bench: Bench) -> None:
        """Put the finished run into another folder, as if it had been made there."""
        shutil.copytree(self.folder, bench.folder / "run")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    bench = Bench(tmp_path_factory.mktemp("whole"))
    (bench.folder / "slow.py").write_text(FACTORY)
    try:
        code, report, stderr = bench.nd(*DISSECT, "-o", "run")
    finally:
        bench.close()
    assert code == 0, stderr
    dissections = load_run(bench.folder / "run")
    assert len(dissections) == 4
    assert all(dissection.intersection.any() for dissection in dissections)
    assert contents(bench.folder) == ["run"]
    assert bench.seen() >= IMAGES
    return Whole(bench.folder / "run", dissections, bench.seen(), report)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "slow.py").write_text(FACTORY)
    opened = Bench(tmp_path)
    yield opened
    opened.close()


def contents(folder: Path) -> list[str]:
    """What lies in a folder, beside what the tests have put there."""
    ours = ("slow.py", "seen", "halted", "__pycache__")
    return sorted(path.name for path in folder.iterdir() if path.name not in ours)


def assert_same(folder: Path, expected: Sequence[Dissection]) -> None:
    """The run in a folder has the bits of another one."""
    dissections = load_run(folder)
    for one, other in zip(dissections, expected, strict=True):
        assert (one.layer, one.settings) == (other.layer, other.settings)
        for name in ARRAYS:
            array, expected_array = getattr(one, name), getattr(other, name)
            message = f"{name} of {one.layer} at {one.settings.quantile}"
            assert array.tobytes() == expected_array.tobytes(), message
        assert pictures_as_bytes(one) == pictures_as_bytes(other)
        for name in ("skipped", "locations", "image_names"):
            assert getattr(one, name) == getattr(other, name), name


def test_torchrun_gives_the_bits_of_one_process(bench: Bench, whole: Whole) -> None:
    code, stdout, stderr = bench.nd(
        *DISSECT, "-o", "run", "--checkpoint-every", f"{BATCH}", module=TORCHRUN
    )
    assert code == 0, stderr
    assert stdout == whole.report, "one report"
    assert_same(bench.folder / "run", whole.dissections)
    assert contents(bench.folder) == ["run"], "one run, and nothing beside it"
    assert stderr.count("saved in run") == 1
    assert stderr.count("activations: 24 images") == 1, (
        "one of them shows its progress"
    )


def test_torchrun_counts_folds_and_permutations(bench: Bench) -> None:
    options = ("--folds", "3", "--permutations", "4", "--seed", "5")
    runs = []
    for output, module in (("one", ("nd_plugin",)), ("two", TORCHRUN)):
        code, _, stderr = bench.nd(*DISSECT, *options, "-o", output, module=module)
        assert code == 0, stderr
        runs.append(load_run(bench.folder / output))
    for one, other in zip(*runs, strict=True):
        for counts in ("folds", "chance"):
            record = getattr(one, counts)
            assert record is not None
            for name, value in vars(record).items():
                of_group = getattr(getattr(other, counts), name)
                assert np.array_equal(of_group, value), f"{counts}: {name}"


def test_torchrun_counts_remarks_once(bench: Bench) -> None:
    write_turned_images(bench.folder / "street")
    command = list(DISSECT)
    command[command.index(CONCEPTS)] = "masks:street"
    code, one_process, stderr = bench.nd(*command, "-o", "one")
    assert code == 0, stderr
    code, two_processes, stderr = bench.nd(*command, "-o", "two", module=TORCHRUN)
    assert code == 0, stderr
    assert two_processes == one_process
    assert json.loads(two_processes)["layers"][0]["notes"][1:3] == [
        "255 occurs in masks of category 'object', and concepts.csv does not list it "
        f"({IMAGES} images, for example 00.png)",
        f"turned upright as the EXIF orientation says ({IMAGES // 2} images, "
        "for example 00.png)",
    ]


def write_turned_images(root: Path) -> None:
    """Write a set of which every other image has an EXIF orientation."""
    (root / "images").mkdir(parents=True)
    (root / "masks/object").mkdir(parents=True)
    random = np.random.default_rng(0)
    mask = np.repeat([[1, 255]], 16, 0).astype(np.uint8).repeat(8, 1)
    for index in range(IMAGES):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 1 if index % 2 else 3
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        name = f"{index:02}.png"
        Image.fromarray(pixels).save(root / "images" / name, exif=exif)
        Image.fromarray(mask).save(root / "masks/object" / name)
    (root / "concepts.csv").write_text("category,value,name\nobject,1,car\n")


def test_torchrun_is_continued(bench: Bench, whole: Whole) -> None:
    process = bench.halted("run", module=TORCHRUN, processes=2)
    kill_all(process)
    process.communicate(timeout=PATIENCE)
    command = (*DISSECT, "-o", "run", "--checkpoint-every", f"{BATCH}", "--resume")
    code, _, stderr = bench.nd(*command, module=TORCHRUN)
    assert code == 0, stderr
    assert bench.seen() < whole.seen, "what was done is not done again"
    assert_same(bench.folder / "run", whole.dissections)
    assert contents(bench.folder) == ["run"]


def test_an_interrupted_torchrun_is_not_begun_anew_by_one_process(
    bench: Bench,
) -> None:
    """Its parts lie there as much as those of one process."""
    for rank in (1, 2):
        state = bench.state("run", f"{rank}-of-2")
        state.parent.mkdir(parents=True)
        state.write_bytes(b"anything")
    code, _, stderr = bench.nd(*DISSECT, "-o", "run")
    assert code == 2 and "--resume" in stderr and "--overwrite" in stderr, stderr
    code, _, stderr = bench.nd(*DISSECT, "-o", "run", "--overwrite")
    assert code == 0, stderr
    assert contents(bench.folder) == ["run"]


def test_shards_are_merged_to_the_bits_of_one_run(
    bench: Bench, whole: Whole
) -> None:
    for index in (1, 2):
        code, stdout, stderr = bench.nd(
            *DISSECT, "-o", f"s{index}", "--shard", f"{index}/2"
        )
        assert code == 0 and stdout == "", stderr
        assert f"saved shard {index}/2 in s{index}" in stderr
    code, stdout, stderr = bench.nd("merge", "s2", "s1", "-o", "run", "--json")
    assert code == 0, stderr
    assert numbers(stdout) == numbers(whole.report)
    assert_same(bench.folder / "run", whole.dissections)
    assert contents(bench.folder) == ["run", "s1", "s2"]
    code, _, stderr = bench.nd("merge", "s1", "-o", "other")
    assert code == 2 and "shards are missing: 2/2" in stderr
    assert contents(bench.folder) == ["run", "s1", "s2"]


def numbers(report: str) -> list[dict[str, object]]:
    """A report without its notes."""
    layers: list[dict[str, object]] = json.loads(report)["layers"]
    for layer in layers:
        del layer["notes"]
    return layers


def changed_or_ended(
    bench: Bench, earlier: tuple[int, int] | None, process: subprocess.Popen[str]
) -> bool:
    return stamp(bench.state("run")) != earlier or process.poll() is not None


def test_killed_at_any_moment_it_ends_with_the_same_bits(
    bench: Bench, whole: Whole
) -> None:
    dice, run, partial = (
        random.Random(0),
        bench.folder / "run",
        bench.folder / "run.partial",
    )
    command = (
        *DISSECT,
        "-o",
        "run",
        "--checkpoint-every",
        f"{2 * BATCH}",
        "--resume",
    )
    attempts = kills = 0
    while attempts < KILLS or kills == 0:
        attempts += 1
        assert attempts < KILLS + 20, "it always ends before it is killed"
        earlier = stamp(bench.state("run"))
        process = bench.start("nd_plugin", *command, nap=0.1)
        wait_for(lambda: changed_or_ended(bench, earlier, process))  # noqa: B023
        time.sleep(dice.uniform(0, 0.3))
        with suppress(ProcessLookupError):  # it has ended already
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
        kills += process.returncode == -signal.SIGKILL
        assert process.returncode == -signal.SIGKILL or run.is_dir()
        if run.is_dir() and not partial.exists():
            # it was faster: once more from the beginning
            assert_same(run, whole.dissections)
            shutil.rmtree(run)
    continued, saved = partial.exists(), run.is_dir()
    code, stdout, stderr = bench.nd(*DISSECT, "-o", "run", "--resume")
    assert code == 0, stderr
    assert saved or stdout == whole.report
    assert_same(run, whole.dissections)
    assert contents(bench.folder) == ["run"]
    assert not continued or bench.seen() < whole.seen, (
        "what was done is not done again"
    )


def stamp(path: Path) -> tuple[int, int] | None:
    """Changes with every replacement of a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def test_an_interrupted_run_is_begun_anew_only_when_asked_for(
    bench: Bench, whole: Whole
) -> None:
    assert bench.interrupted("run")[0] == -signal.SIGKILL
    state = bench.state("run").read_bytes()
    code, stdout, stderr = bench.nd(*DISSECT, "-o", "run")
    assert (code, bench.seen()) == (2, 0), "refused before the model runs"
    assert json.loads(stdout)["error"]["type"] == "BadInput"
    refusal = "continue it with --resume, or discard it with --overwrite"
    message = f"run.partial holds an interrupted run: {refusal}"
    assert message in " ".join(stderr.split())
    assert bench.state("run").read_bytes() == state
    code, _, stderr = bench.nd(*DISSECT, "-o", "run", "--overwrite")
    assert code == 0, stderr
    assert bench.seen() == whole.seen, "from the first image on"
    assert_same(bench.folder / "run", whole.dissections)
    assert contents(bench.folder) == ["run"]


def test_a_finished_run_is_complete(bench: Bench, whole: Whole) -> None:
    whole.copy_to(bench)
    stamps = {path: stamp(path) for path in (bench.folder / "run").rglob("*")}
    code, stdout, stderr = bench.nd(*DISSECT, "-o", "run", "--resume")
    assert code == 0, stderr
    assert stdout == whole.report and "run is complete (nd report run)" in stderr
    assert bench.seen() == 0
    assert {
        path: stamp(path) for path in (bench.folder / "run").rglob("*")
    } == stamps
    code, _, stderr = bench.nd(
        *DISSECT, "-o", "run", "--resume", "--top-images", "3"
    )
    assert code == 2 and "exists already" in stderr, (
        "this is not the one that was asked for"
    )
    assert_same(bench.folder / "run", whole.dissections)


def test_a_finished_run_is_complete_by_whatever_name_its_concepts_go(
    bench: Bench, whole: Whole
) -> None:
    """The concept set calls itself shapes?images=…&size=…&seed=0 in run.json."""
    whole.copy_to(bench)
    short = [argument.removesuffix("&seed=0") for argument in DISSECT]
    assert short != list(DISSECT)
    code, _, stderr = bench.nd(*short, "-o", "run", "--resume")
    assert code == 0, stderr
    assert "run is complete (nd report run)" in stderr and bench.seen() == 0


def test_ctrl_c_says_how_to_go_on(bench: Bench, whole: Whole) -> None:
    code, stderr = bench.interrupted("run", signal.SIGINT)
    assert code == 130 and "Traceback" not in stderr, stderr
    message = " ".join(stderr.split())
    assert "progress saved in run.partial/1-of-1; continue with --resume" in message
    assert message.endswith("nd: interrupted") and contents(bench.folder) == [
        "run.partial"
    ]
    code, _, stderr = bench.nd(*DISSECT, "-o", "run", "--resume")
    assert code == 0, stderr
    assert bench.seen() < whole.seen
    assert_same(bench.folder / "run", whole.dissections)
    assert contents(bench.folder) == ["run"]
