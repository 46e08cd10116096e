"""Runs that are killed at chosen and at random moments, and what is left of them.

``python tests/kill_harness.py --kills 120`` kills as many processes of ``nd``, continues each run
as its user would, and prints a table by moment: the bits of an uninterrupted run, or our error.

Processes are forked from one that has imported everything and computed nothing, so a run takes as
long as its work.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from killing import Killer, names
from made_pictures import pictures_as_bytes
from PIL import Image

from nd_plugin import Dissection
from nd_plugin.cli import main as nd_main
from nd_plugin.engine import passes, state
from nd_plugin.engine.host_strategy import HostStrategy
from nd_plugin.method import lower_bound
from nd_plugin.results.npz_format import ARRAYS
from nd_plugin.results.run_folder import load_run
from nd_plugin.resuming import shards
from nd_plugin.resuming.checkpoint import CheckpointSaver
from nd_plugin.storage import folder_swap

IMAGES, BATCH = 24, 4
NET = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 5, 5, 4, 2), nn.ReLU(), nn.Conv2d(5, 6, 3, 2, 1), nn.ReLU()
    ).eval()
"""
DISSECT = (
    *("dissect", "killed_net:net", "-l", "1", "-l", "3"),
    *(
        "-c",
        "masks:../street",
        "--input-size",
        "32",
        "--mean",
        "0.5",
        "--std",
        "0.25",
    ),
    *("--quantile", "0.05,0.2", "--batch-size", f"{BATCH}", "--device", "cpu"),
)
NO_WORKERS = ("--workers", "0")
EARLIER = (*DISSECT, *NO_WORKERS, "--min-iou", "0.5", "--no-pictures", "-o", "run")
ALWAYS = ("--checkpoint-every", f"{BATCH}", *NO_WORKERS)
LONGEST = 600.0  # seconds: only a process that hangs takes so long

Install = Callable[[pytest.MonkeyPatch, Killer], None]


@dataclass
class Ended:
    """Process that has ended."""

    code: int  # exit code; of a signal, its number below 0
    stderr: str
    calls: int = 0  # that a killer has counted


@dataclass(frozen=True)
class Moment:
    """Moment at which runs are killed, and how they are continued."""

    name: str
    install: Install  # makes a killer count, in the forked process
    command: Sequence[str]
    again: Sequence[str]  # what the user does then
    prepare: Callable[[Path], None] = lambda folder: None
    expected: str = "run"  # folder of the run to compare with
    left: tuple[str, ...] = ("run",)  # in the folder at the end


@dataclass
class Outcome:
    """What came of the kills of a moment."""

    kills: int = 0
    same_bits: int = 0
    errors: Counter[str] = field(default_factory=Counter)  # ours, by their text
    failures: list[str] = field(default_factory=list)


def within(owner: Any, name: str) -> Install:
    """Count the system's calls inside a function."""

    def install(patches: pytest.MonkeyPatch, killer: Killer) -> None:
        function = getattr(owner, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            with pytest.MonkeyPatch.context() as inner:
                killer.patch(inner)
                return function(*arguments, **options)

        patches.setattr(owner, name, watched)

    return install


def at_each(owner: Any, name: str) -> Install:
    """Count the calls of a function."""

    def install(patches: pytest.MonkeyPatch, killer: Killer) -> None:
        patches.setattr(owner, name, killer.counted(getattr(owner, name)))

    return install


def in_second_pass(patches: pytest.MonkeyPatch, killer: Killer) -> None:
    """Make a second pass needed, and count its batches and the system's calls in it."""
    patches.setattr(lower_bound, "poisson_upper_bound", lambda _: 1)
    within(passes, "observe_again")(patches, killer)
    at_each(HostStrategy, "store")(patches, killer)


def in_merge(patches: pytest.MonkeyPatch, killer: Killer) -> None:
    """Count batches whose masks are counted, and all calls of the system while it saves."""
    at_each(state.CountState, "update")(patches, killer)
    within(folder_swap, "write_folder")(patches, killer)
    within(shards, "load")(patches, killer)


def kill_worker(patches: pytest.MonkeyPatch, killer: Killer) -> None:
    """Kill a data-loading worker, or one that counts, at the n-th batch of a pass."""

    def kill_child() -> None:
        killer.count += 1
        if killer.count == killer.call:
            for child in children_of(os.getpid())[:1]:
                os.kill(child, signal.SIGKILL)
                Path(KILLED).touch()

    tick = CheckpointSaver.tick

    def watched(*arguments: Any, **options: Any) -> Any:
        kill_child()
        return tick(*arguments, **options)

    patches.setattr(CheckpointSaver, "tick", watched)


def at_any_time(patches: pytest.MonkeyPatch, killer: Killer) -> None:
    """Count nothing: the harness kills by the clock."""


def children_of(process: int) -> list[int]:
    """Return the processes that a process has started."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return sorted(map(int, text.split()))


class Harness:
    """Folder in which ``nd`` runs, is killed, and runs again."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.dice = random.Random(seed)
        self.cases = 0
        self.expected: dict[str, list[Dissection]] = {}

    def build(self) -> None:
        """Make what the cases begin with and are compared with: runs and shards."""
        write_images(self.folder / "street")
        whole = self.folder / "whole"
        whole.mkdir()
        run_here(whole, (*DISSECT, *NO_WORKERS, "-o", "run"))
        self.expected["run"] = load_run(whole / "run")
        assert all(item.intersection.any() for item in self.expected["run"])
        earlier = self.folder / "earlier"
        earlier.mkdir()
        self.must(earlier, EARLIER)
        self.expected["earlier"] = load_run(earlier / "run")
        shard_folder = self.folder / "shards"
        shard_folder.mkdir()
        for index in (1, 2):
            shard = ("-o", f"s{index}", "--shard", f"{index}/2")
            self.must(shard_folder, (*DISSECT, *NO_WORKERS, *shard))
        self.must(shard_folder, ("merge", "s1", "s2", "-o", "run"))
        assert same_bits(load_run(shard_folder / "run"), self.expected["run"])
        shutil.rmtree(shard_folder / "run")

    def moments(self) -> list[Moment]:
        """Return all moments."""

        def with_earlier(folder: Path) -> None:
            shutil.copytree(self.folder / "earlier" / "run", folder / "run")

        def with_shards(folder: Path) -> None:
            shutil.copytree(self.folder / "shards", folder, dirs_exist_ok=True)

        def with_earlier_shard(folder: Path) -> None:
            with_shards(folder)
            shutil.copytree(self.folder / "earlier" / "run", folder / "s3")

        run = (*DISSECT, *ALWAYS, "-o", "run")
        resume = (*run, "--resume")
        replace = (*run, "--overwrite")
        loading = (*DISSECT, "--workers", "2", "--checkpoint-every", f"{BATCH}")
        shard = (*DISSECT, *ALWAYS, "-o", "s3", "--shard", "2/2", "--overwrite")
        merge = ("merge", "s1", "s2", "-o", "run", "--overwrite")
        return [
            Moment("any time", at_any_time, run, resume),
            Moment("checkpoint", within(CheckpointSaver, "_save"), run, resume),
            Moment(
                "swap",
                within(folder_swap, "write_folder"),
                replace,
                (*replace, "--resume"),
                with_earlier,
            ),
            Moment("second pass", in_second_pass, run, resume),
            Moment("counting", at_each(state.CountState, "update"), run, resume),
            Moment(
                "shard moved",
                within(folder_swap, "move_folder"),
                shard,
                (*shard, "--resume"),
                with_earlier_shard,
                "",
                ("s1", "s2", "s3"),
            ),
            Moment(
                "merge",
                in_merge,
                merge,
                merge,
                with_shards,
                "run",
                ("run", "s1", "s2"),
            ),
            Moment(
                "worker killed",
                kill_worker,
                (*loading, "-o", "run"),
                (*loading, "-o", "run", "--resume"),
            ),
        ]

    def kill(self, moment: Moment, count: int) -> Outcome:
        """Kill a moment's run ``count`` times, and continue it each time."""
        outcome = Outcome()
        calls = self.case(moment, Outcome(), 0).calls
        seconds = self.seconds_of(moment) if moment.install is at_any_time else 0.0
        assert calls or moment.install is at_any_time, (
            f"nothing to count: {moment.name}"
        )
        for index in range(count):
            share = (index + self.dice.random()) / count
            if moment.install is at_any_time:
                self.case(moment, outcome, 0, after=share * seconds)
            else:
                self.case(moment, outcome, 1 + int(share * calls))
        return outcome

    def seconds_of(self, moment: Moment) -> float:
        """Return how long a run takes that is not killed."""
        folder = self.folder / "timed"
        folder.mkdir()
        start = time.monotonic()
        self.must(folder, moment.command)
        seconds = time.monotonic() - start
        shutil.rmtree(folder)
        return seconds

    def case(
        self,
        moment: Moment,
        outcome: Outcome,
        call: int,
        after: float | None = None,
    ) -> Ended:
        """Kill one run before a call or after some seconds, continue it, and judge."""
        self.cases += 1
        folder = self.folder / f"case{self.cases}"
        folder.mkdir()
        moment.prepare(folder)
        ended = self.nd(folder, moment.command, moment.install, call, after)
        was_killed = ended.code == -signal.SIGKILL or (folder / KILLED).exists()
        outcome.kills += was_killed
        place = f"{moment.name}, call {call}, after {after} s, in {folder}"
        if "Traceback" in ended.stderr:
            outcome.failures.append(f"{place}: {ended.stderr}")
        self.check_readable(moment, folder, outcome, place)
        again = self.nd(folder, moment.again)
        self.judge(moment, folder, again, outcome, place)
        if not outcome.failures:
            shutil.rmtree(folder)
        return ended

    def check_readable(
        self, moment: Moment, folder: Path, outcome: Outcome, place: str
    ) -> None:
        """Check that a run that was being replaced is the old or the new one, for a reader."""
        if not (moment.name == "swap" or (folder / "run").exists()):
            return
        loaded = load_run(folder / "run")
        versions = [self.expected["run"], self.expected["earlier"]]
        if not any(same_bits(loaded, version) for version in versions):
            outcome.failures.append(f"{place}: neither the old nor the new run")
        hidden = [name for name in names(folder) if name.startswith(".")]
        if hidden:
            outcome.failures.append(f"{place}: {hidden} are left after reading")

    def judge(
        self,
        moment: Moment,
        folder: Path,
        again: Ended,
        outcome: Outcome,
        place: str,
    ) -> None:
        """Decide what came of a run that was continued."""
        if again.code in (1, 2, 3) and "Traceback" not in again.stderr:
            outcome.errors[again.stderr.strip().splitlines()[-1]] += 1
            return
        if again.code != 0:
            outcome.failures.append(f"{place}: exit {again.code}: {again.stderr}")
            return
        if moment.name == "shard moved":
            self.must(folder, ("merge", "s1", "s3", "-o", "run"))
            self.compare(folder, outcome, place)
            shutil.rmtree(folder / "run")
        else:
            self.compare(folder, outcome, place)
        rest = [name for name in names(folder) if name not in OWN_NAMES]
        if tuple(rest) != moment.left:
            outcome.failures.append(f"{place}: left are {rest}")

    def compare(self, folder: Path, outcome: Outcome, place: str) -> None:
        if same_bits(load_run(folder / "run"), self.expected["run"]):
            outcome.same_bits += 1
        else:
            outcome.failures.append(f"{place}: other bits")

    def must(self, folder: Path, command: Sequence[str]) -> None:
        ended = self.nd(folder, command)
        assert ended.code == 0, ended.stderr

    def nd(
        self,
        folder: Path,
        command: Sequence[str],
        install: Install = at_any_time,
        call: int = 0,
        after: float | None = None,
    ) -> Ended:
        """Run ``nd`` in a forked process; kill it before a call, or after some seconds."""
        (folder / "killed_net.py").write_text(NET)
        child = os.fork()
        if child == 0:
            run_as_child(folder, command, install, call)
        deadline = time.monotonic() + (LONGEST if after is None else after)
        status = wait_until(child, deadline)
        if status is None:
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            assert after is not None, f"it hangs: {command}"
        count = folder / "count"
        calls = int(count.read_text()) if count.exists() else 0
        stderr = (folder / "stderr").read_text(errors="replace")
        return Ended(os.waitstatus_to_exitcode(status), stderr, calls)


def write_images(root: Path) -> None:
    """Write a small set of images with masks of two objects."""
    for folder in ("images", "masks/object"):
        (root / folder).mkdir(parents=True)
    noise = np.random.default_rng(0)
    for index in range(IMAGES):
        labels = (
            noise.integers(0, 3, (4, 4)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
        )
        pixels = noise.integers(0, 100, (32, 32, 3)) + 70 * labels[..., None]
        name = f"{index:02}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(root / "images" / name)
        Image.fromarray(labels).save(root / "masks/object" / name)
    table = "category,value,name\nobject,1,car\nobject,2,tree\n"
    (root / "concepts.csv").write_text(table)


def run_here(folder: Path, command: Sequence[str]) -> None:
    """Run ``nd`` in this process: what it imports is there for those that are forked."""
    (folder / "killed_net.py").write_text(NET)
    with (
        pytest.MonkeyPatch.context() as patches,
        (folder / "output").open("w") as output,
        redirect_stdout(output),
        redirect_stderr(output),
    ):
        patches.chdir(folder)
        patches.setattr(sys, "argv", ["nd", *command])
        patches.syspath_prepend(folder)
        with pytest.raises(SystemExit) as end:
            nd_main()
    assert not end.value.code, (folder / "output").read_text()


KILLED = "killed_worker"  # file that says so
OWN_NAMES = (KILLED, "killed_net.py", "__pycache__", "count", "stderr", "stdout")


def wait_until(child: int, deadline: float) -> int | None:
    """Return the status of a child that has ended; None where it has not in time."""
    while time.monotonic() < deadline:
        process, status = os.waitpid(child, os.WNOHANG)
        if process:
            return status
        time.sleep(0.005)
    return None


def run_as_child(
    folder: Path, command: Sequence[str], install: Install, call: int
) -> None:
    """Run ``nd`` in this forked process, and end it."""
    code = 70
    killer = Killer(call)
    try:
        os.setsid()
        os.chdir(folder)
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, descriptor)
        (folder / "count").unlink(missing_ok=True)
        sys.argv = ["nd", *command]
        sys.path.insert(0, str(folder))
        torch.set_num_threads(1)
        with pytest.MonkeyPatch.context() as patches:
            install(patches, killer)
            nd_main()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # whatever it is, this process ends here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        (folder / "count").write_text(str(killer.count))
        os._exit(code)


def same_bits(run: Sequence[Dissection], other: Sequence[Dissection]) -> bool:
    """Return whether two runs have the same numbers and pictures."""
    if len(run) != len(other):
        return False
    return all(map(same_layer, run, other))


def same_layer(one: Dissection, other: Dissection) -> bool:
    arrays = [(getattr(one, name), getattr(other, name)) for name in ARRAYS]
    plain = ("layer", "settings", "skipped", "locations", "image_names")
    return (
        all(first.tobytes() == second.tobytes() for first, second in arrays)
        and all(getattr(one, name) == getattr(other, name) for name in plain)
        and same_pictures(one, other)
    )


def same_pictures(one: Dissection, other: Dissection) -> bool:
    if one.pictures is None or other.pictures is None:
        return one.pictures is other.pictures
    return pictures_as_bytes(one) == pictures_as_bytes(other)


def kill_all(
    kills: int, seed: int, folder: Path, only: Sequence[str] = ()
) -> dict[str, Outcome]:
    """Kill at least so many runs in all, evenly at all moments."""
    harness = Harness(folder, seed)
    harness.build()
    moments = [item for item in harness.moments() if not only or item.name in only]
    count = -(-kills // len(moments))
    outcomes = {}
    for moment in moments:
        start = time.monotonic()
        outcomes[moment.name] = harness.kill(moment, count)
        seconds = time.monotonic() - start
        sys.stderr.write(f"{moment.name}: {seconds:.0f} s\n")
    return outcomes


def table(outcomes: dict[str, Outcome]) -> str:
    """Return the outcomes as text, a line for each moment."""
    lines = [
        f"{'moment':<15}{'kills':>6}{'same bits':>11}{'our error':>11}{'failed':>8}"
    ]
    for name, outcome in outcomes.items():
        errors = sum(outcome.errors.values())
        failures = len(outcome.failures)
        numbers = (
            f"{outcome.kills:>6}{outcome.same_bits:>11}{errors:>11}{failures:>8}"
        )
        lines.append(f"{name:<15}{numbers}")
    for outcome in outcomes.values():
        lines += [f"  {count} x {text}" for text, count in outcome.errors.items()]
        lines += outcome.failures
    return "\n".join(lines) + "\n"


def main() -> None:
    """Kill, print a table, and fail where a run came to anything else."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--moments", default="", help="some of them, with commas")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        outcomes = kill_all(
            options.kills,
            options.seed,
            Path(folder).resolve(),
            list(filter(None, options.moments.split(","))),
        )
    if options.json:
        sys.stdout.write(
            json.dumps({name: vars(item) for name, item in outcomes.items()})
        )
    else:
        sys.stdout.write(table(outcomes))
    sys.exit(any(outcome.failures for outcome in outcomes.values()))


if __name__ == "__main__":
    main()
