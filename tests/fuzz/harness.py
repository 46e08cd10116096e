"""Harness of fuzzers: cases run in forked workers, within limits of memory and of time.

A worker reads one case after another. The parent sees when a case begins and what has become of
it; a case that takes too long, or that kills its worker, costs that worker alone, and is named by
its seed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from fuzz.cases import Case, Files, Numbers, Reader, Sample, random_of, write_files

SECONDS = 10.0  # of a processor, for one case
# for a case that waits; on a busy machine every case takes long
WALL_SECONDS = 120.0
MEBIBYTES = 1024  # that a case may add to the worker's memory
# above that a worker may not map any memory: a wrong size is an error and takes no memory
ADDRESS_SPACE = 8 * 2**30
CASES_OF_A_WORKER = 1000  # memory that a library never frees ends with its worker
POLL_SECONDS = 0.2
IN_MEMORY = "/dev/shm"

REFUSED, ACCEPTED = "refused", "accepted"
FOREIGN, HANG, MEMORY, CRASH, CHANGED = (
    "foreign",
    "hang",
    "memory",
    "crash",
    "changed",
)
FINDINGS = (FOREIGN, HANG, MEMORY, CRASH, CHANGED)


@dataclass(frozen=True)
class Outcome:
    """What has become of a case."""

    seed: int
    kind: str
    root: str = ""  # what findings of one cause have in common
    text: str = ""  # for people: the last lines of a traceback, a difference
    mebibytes: float = 0.0  # that the case has added
    seconds: float = 0.0  # of a processor


@dataclass
class Tally:
    """Outcomes of a reader's cases."""

    reader: str
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Outcome] = field(default_factory=list)
    most_mebibytes: float = 0.0
    most_seconds: float = 0.0
    wall_seconds: float = 0.0

    @property
    def cases(self) -> int:
        """Number of cases."""
        return sum(self.counts.values())

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.counts[outcome.kind] = self.counts.get(outcome.kind, 0) + 1
        self.most_mebibytes = max(self.most_mebibytes, outcome.mebibytes)
        self.most_seconds = max(self.most_seconds, outcome.seconds)
        if outcome.kind in FINDINGS:
            self.findings.append(outcome)


@dataclass(frozen=True)
class Task:
    """Cases of a reader, by seed, and the numbers that their samples have."""

    reader: Reader
    make: Callable[[int], Case]
    expected: dict[str, Numbers]  # by sample

    def case_outcome(self, seed: int) -> Outcome:
        """Read one case in this process."""
        case = self.make(seed)
        with _folder(case.files) as folder:
            _forget_peak()
            memory = _resident("VmRSS")
            start = time.process_time()
            outcome = self._read(case, folder)
            seconds = time.process_time() - start
            mebibytes = _resident("VmHWM") - memory
        kind, root, text = outcome
        if mebibytes > MEBIBYTES:
            kind, root = MEMORY, f"{mebibytes // 256 * 256:g} MiB or more; {root}"
        elif seconds > SECONDS and kind in (REFUSED, ACCEPTED):
            kind, root = HANG, f"{SECONDS:g} s or more; {root}"
        return Outcome(seed, kind, root, text, mebibytes, seconds)

    def _read(self, case: Case, folder: Path) -> tuple[str, str, str]:
        """Return the kind, the root and the text of an outcome."""
        from nd_plugin.errors import NDError

        random = Random(case.seed)
        try:
            numbers = self.reader.read(folder, random)
        except NDError as error:
            if _is_of_memory(error):
                return MEMORY, _root(error), _last_lines(error)
            return REFUSED, type(error).__name__, str(error)
        except MemoryError as error:
            return MEMORY, _root(error), _last_lines(error)
        # SystemExit too
        except BaseException as error:
            return FOREIGN, _root(error), _last_lines(error)
        problem = self._problem(case, folder, numbers)
        return (
            (CHANGED, problem.split(":")[0], problem)
            if problem
            else (ACCEPTED, "", "")
        )

    def _problem(self, case: Case, folder: Path, numbers: Numbers) -> str:
        """Return what is wrong with numbers that were accepted; "" for nothing."""
        if self.reader.has_checksums and not case.is_repaired:
            expected = self.expected[case.sample]
            for part, value in numbers.items():
                if part not in expected or expected[part] != value:
                    return f"{part}: other numbers than in the sample, from unrepaired damage"
        return self.reader.find_problem(folder, numbers)


def expected_numbers(
    reader: Reader, samples: Sequence[Sample]
) -> dict[str, Numbers]:
    """Return the numbers of samples as they are. Raises whatever a reader raises."""
    expected: dict[str, Numbers] = {}
    for sample in samples:
        with _folder(sample.files) as folder:
            expected[sample.name] = reader.read(folder, random_of(reader, 0))
    return expected


@contextlib.contextmanager
def _folder(files: Files) -> Iterator[Path]:
    """Write files into a folder that is the current one meanwhile; remove it."""
    earlier = Path.cwd()
    folder = Path(tempfile.mkdtemp(prefix="nd-fuzz-", dir=_fast_folder()))
    try:
        inside = folder / "case"
        inside.mkdir()
        write_files(files, inside)
        os.chdir(inside)
        yield inside
    finally:
        os.chdir(earlier)
        shutil.rmtree(folder, ignore_errors=True)


def _fast_folder() -> str | None:
    """Return a folder in memory, where there is one; cases write and remove many files."""
    is_writable = os.access(IN_MEMORY, os.W_OK)
    return IN_MEMORY if is_writable and "TMPDIR" not in os.environ else None


def _is_of_memory(error: BaseException) -> bool:
    """Return whether an error comes from a lack of memory."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _root(error: BaseException) -> str:
    """Return the class of an error, and the last place in our own code."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/tests/fuzz/" not in frame.filename]
    ours = [
        frame
        for frame in own
        if any(
            part in frame.filename
            for part in ("/nd_plugin/", "/adapters/", "/concept_sets/")
        )
    ]
    frame = (ours or own or frames)[-1]
    return f"{type(error).__name__} in {Path(frame.filename).name}:{frame.name}"


def _last_lines(error: BaseException, most: int = 14) -> str:
    lines = traceback.format_exception(error)
    text = "".join(lines)[-4000:]
    return "\n".join(line[:300] for line in text.splitlines()[-most:])


def _forget_peak() -> None:
    """Let the peak of the memory begin anew."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _resident(name: str) -> float:
    """Return a figure of this process's memory, MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def _work(connection: Connection, task: Task, seeds: Sequence[int]) -> None:
    """Read cases in a worker, and tell of each."""
    _limit_worker()
    for seed in seeds:
        connection.send(("start", seed))
        connection.send(("done", task.case_outcome(seed)))
    connection.send(("end", None))


def _limit_worker() -> None:
    """Silence a worker, and keep it from filling the machine's memory."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    warnings.simplefilter("ignore")
    mapped = (
        int(Path("/proc/self/statm").read_text().split()[0])
        * resource.getpagesize()
    )
    limit = mapped + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@dataclass
class _Worker:
    """Running worker: its process, what is left to do, and the case that it reads."""

    process: Any
    connection: Connection
    seeds: list[int]
    current: int | None = None
    start: float = 0.0  # of the current case: seconds of a clock
    start_processor: float = 0.0  # and of the worker's processor


def run_cases(
    task: Task,
    seeds: Sequence[int],
    processes: int = 1,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> Tally:
    """Read the cases of seeds in workers, and count what has become of them."""
    tally = Tally(task.reader.name)
    began = time.monotonic()
    waiting = list(seeds)
    workers: list[_Worker] = []

    def note(outcome: Outcome) -> None:
        tally.add(outcome)
        report(outcome)

    try:
        while waiting or workers:
            while waiting and len(workers) < processes:
                share, waiting = (
                    waiting[:CASES_OF_A_WORKER],
                    waiting[CASES_OF_A_WORKER:],
                )
                workers.append(_start(task, share))
            for worker in list(workers):
                if not _attend(worker, note):
                    workers.remove(worker)
                    waiting = worker.seeds + waiting
    finally:
        for worker in workers:
            worker.process.kill()
    tally.wall_seconds = time.monotonic() - began
    return tally


def _start(task: Task, seeds: list[int]) -> _Worker:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_work, args=(theirs, task, seeds), daemon=False
    )
    process.start()
    theirs.close()
    return _Worker(process, ours, list(seeds))


def _attend(worker: _Worker, note: Callable[[Outcome], None]) -> bool:
    """Take what a worker tells; return whether it goes on. Its seeds are then those left."""
    try:
        while worker.connection.poll(POLL_SECONDS):
            kind, content = worker.connection.recv()
            if kind == "end":
                worker.process.join()
                return False
            if kind == "start":
                worker.current = content
                worker.start = time.monotonic()
                worker.start_processor = _processor_seconds(worker.process.pid)
            else:
                worker.seeds.remove(content.seed)
                worker.current = None
                note(content)
    except EOFError:
        worker.process.join()
        _note_end(worker, note, CRASH, _how_it_ended(worker.process.exitcode))
        return False
    if worker.current is not None and _is_overdue(worker):
        worker.process.kill()
        worker.process.join()
        _note_end(worker, note, HANG, "the case did not end")
        return False
    return True


def _note_end(
    worker: _Worker, note: Callable[[Outcome], None], kind: str, text: str
) -> None:
    """Note what the current case has done to its worker."""
    if worker.current is None:
        raise RuntimeError(f"a worker ended between two cases: {text}")
    worker.seeds.remove(worker.current)
    note(Outcome(worker.current, kind, text, text))


def _how_it_ended(exit_code: int) -> str:
    if exit_code < 0:
        return f"the worker was ended by signal {-exit_code}"
    return f"the worker ended with {exit_code}"


def _is_overdue(worker: _Worker) -> bool:
    processor = _processor_seconds(worker.process.pid) - worker.start_processor
    waited = time.monotonic() - worker.start
    # twice the limit: the worker itself notices a case that ends late
    return processor > 2 * SECONDS or waited > WALL_SECONDS


def _processor_seconds(process: int) -> float:
    """Return the seconds that a process has computed."""
    try:
        fields = (
            Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        )
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
