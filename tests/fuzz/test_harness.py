"""The harness notices what it is there for."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest
from fuzz import harness
from fuzz.cases import Case, Mutation, Numbers, Reader, Sample, make_case
from fuzz.mutators.plain import PLAIN

from nd_plugin import BadInput

Read = Callable[[Path, Random], Numbers]


def nothing(folder: Path, random: Random) -> Numbers:
    return {}


def refuse(folder: Path, random: Random) -> Numbers:
    raise BadInput("no")


def fail(folder: Path, random: Random) -> Numbers:
    raise KeyError("x")


def leave(folder: Path, random: Random) -> Numbers:
    sys.exit(0)


def refuse_for_memory(folder: Path, random: Random) -> Numbers:
    try:
        raise MemoryError
    except MemoryError as error:
        raise BadInput("unreadable") from error


def compute(folder: Path, random: Random) -> Numbers:
    while True:
        random.random()


def wait(folder: Path, random: Random) -> Numbers:
    time.sleep(600)
    return {}


def allocate(folder: Path, random: Random) -> Numbers:
    block = bytearray(os.urandom(2**20) * 128)
    return {"length": len(block)}


def crash(folder: Path, random: Random) -> Numbers:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def count_bytes(folder: Path, random: Random) -> Numbers:
    return {"content": (folder / "file").read_bytes()}


def task_of(read: Read, **options: object) -> harness.Task:
    """Return a task whose cases are one file, changed and not repaired."""
    reader = Reader("made", lambda folder: [], read, {}, **options)  # type: ignore[arg-type]

    def make(seed: int) -> Case:
        return Case("made", seed, "sample", {"file": b"changed"}, ("x",), False)

    return harness.Task(reader, make, {"sample": {"content": b"original"}})


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        (nothing, harness.ACCEPTED),
        (refuse, harness.REFUSED),
        (fail, harness.FOREIGN),
        (leave, harness.FOREIGN),
        (refuse_for_memory, harness.MEMORY),
        (compute, harness.HANG),
        (wait, harness.HANG),
        (allocate, harness.MEMORY),
        (crash, harness.CRASH),
    ],
)
def test_what_becomes_of_a_case_is_noticed(
    monkeypatch: pytest.MonkeyPatch, read: Read, kind: str
) -> None:
    monkeypatch.setattr(harness, "MEBIBYTES", 64)
    if kind == harness.HANG:
        monkeypatch.setattr(harness, "SECONDS", 0.1)
        monkeypatch.setattr(harness, "WALL_SECONDS", 1.0)
    tally = harness.run_cases(task_of(read), [7, 8])
    assert tally.counts == {kind: 2}
    expected = [7, 8] if kind in harness.FINDINGS else []
    assert [finding.seed for finding in tally.findings] == expected


def test_changed_numbers_are_noticed_where_checksums_are_promised() -> None:
    task = task_of(count_bytes, has_checksums=True)
    assert harness.run_cases(task, [1]).counts == {harness.CHANGED: 1}
    assert harness.run_cases(task_of(count_bytes), [1]).counts == {
        harness.ACCEPTED: 1
    }


def test_impossible_numbers_are_noticed() -> None:
    task = task_of(
        nothing, find_problem=lambda folder, numbers: "a negative count: of x"
    )
    (finding,) = harness.run_cases(task, [1]).findings
    assert (finding.kind, finding.root) == (harness.CHANGED, "a negative count")


def test_several_workers_read_each_case_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(harness, "CASES_OF_A_WORKER", 3)
    seen: list[int] = []
    tally = harness.run_cases(
        task_of(crash), range(10), 2, lambda outcome: seen.append(outcome.seed)
    )
    assert sorted(seen) == list(range(10)) and tally.cases == 10


def test_a_seed_decides_a_case() -> None:
    sample = Sample("sample", {"a": bytes(range(100)), "b": b"x" * 50})

    def cases(seeds: Sequence[int]) -> list[Case]:
        reader = Reader(
            "made", lambda folder: [], nothing, {"a": [Mutation(double)]}
        )
        return [make_case(reader, [sample], PLAIN, seed) for seed in seeds]

    first = cases(range(50))
    assert first == cases(range(50))
    assert len({tuple(case.files.items()) for case in first}) > 25
    assert any("double" in step for case in first for step in case.steps)
    assert all(case.steps for case in first)


def double(content: bytes, random: Random) -> bytes:
    return content * 2
