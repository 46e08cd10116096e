"""Command line of the fuzzers: ``python tests/fuzz --cases 10000 --reader masks``."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch
from fuzz.cases import (
    Case,
    Reader,
    Sample,
    make_case,
    make_case_of,
)
from fuzz.findings import READINGS, corpus_case, corpus_entries, save_finding
from fuzz.harness import (
    ACCEPTED,
    FINDINGS,
    REFUSED,
    Outcome,
    Tally,
    Task,
    expected_numbers,
    run_cases,
)
from fuzz.mutators.plain import PLAIN
from fuzz.readers.all import READERS

COLUMNS = ("cases", REFUSED, ACCEPTED, *FINDINGS, "MiB", "s", "wall s")
SAVED_OF_A_ROOT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run fuzzers; return 1 where there is a finding."""
    options = _parser().parse_args(arguments)
    readers = [READERS[name] for name in options.reader or READERS]
    tallies = [_fuzz(reader, options) for reader in readers]
    if options.json:
        content = [{**asdict(tally), "cases": tally.cases} for tally in tallies]
        print(json.dumps(content))
    else:
        print(table(tallies))
    return int(any(tally.findings for tally in tallies))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python tests/fuzz", description=__doc__)
    add = parser.add_argument
    add("--cases", type=int, default=1000, help="cases of each reader [1000]")
    add("--reader", action="append", choices=list(READERS), help="[all]")
    add("--seed", type=int, default=0, help="first seed [0]; each case has its own")
    add("--processes", type=int, default=1, help="workers at a time [1]")
    add("--mutation", help="change each case once, by this; see the mutators")
    add("--seconds", type=float, help="stop a reader after that many seconds")
    add("--save", type=Path, help="folder for the files of findings")
    add(
        "--corpus", action="store_true", help="read the corpus instead of new cases"
    )
    add("--json", action="store_true", help="print JSON")
    return parser


def _fuzz(reader: Reader, options: argparse.Namespace) -> Tally:
    """Run one reader's cases."""
    folder = Path(tempfile.mkdtemp(prefix="nd-fuzz-samples-"))
    try:
        samples = reader.make_samples(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    expected = expected_numbers(reader, samples) if reader.has_checksums else {}
    if options.corpus:
        return _read_corpus(reader, samples, expected, options)
    make = partial(make_case, reader, samples, PLAIN)
    if options.mutation:
        make = partial(make_case_of, reader, samples, options.mutation)
    task = Task(reader, make, expected)
    saved: dict[str, int] = {}
    end = time.monotonic() + (options.seconds or 1e9)

    def report(outcome: Outcome) -> None:
        if outcome.kind not in FINDINGS:
            return
        saved[outcome.root] = saved.get(outcome.root, 0) + 1
        if saved[outcome.root] == 1:
            print(
                f"{reader.name} {outcome.seed} {outcome.kind}: {outcome.root}",
                file=sys.stderr,
            )
        if options.save and saved[outcome.root] <= SAVED_OF_A_ROOT:
            case = make(outcome.seed)
            if not options.mutation:
                case = _minimal(reader, samples, outcome, expected)
            save_finding(options.save, case, samples, outcome)

    tally = Tally(reader.name)
    step = 500
    for start in range(options.seed, options.seed + options.cases, step):
        if time.monotonic() > end:
            break
        seeds = range(start, min(start + step, options.seed + options.cases))
        part = run_cases(task, seeds, options.processes, report)
        _merge(tally, part)
    return tally


def _merge(tally: Tally, part: Tally) -> None:
    for kind, count in part.counts.items():
        tally.counts[kind] = tally.counts.get(kind, 0) + count
    tally.findings += part.findings
    tally.most_mebibytes = max(tally.most_mebibytes, part.most_mebibytes)
    tally.most_seconds = max(tally.most_seconds, part.most_seconds)
    tally.wall_seconds += part.wall_seconds


def _read_corpus(
    reader: Reader,
    samples: Sequence[Sample],
    expected: dict[str, dict[str, object]],
    options: argparse.Namespace,
) -> Tally:
    """Read the findings of a reader again, each `READINGS` times."""
    entries = corpus_entries(reader.name)
    cases = [
        corpus_case(reader, samples, entry, seed)
        for seed, entry in enumerate(entries)
    ]
    task = Task(
        reader,
        lambda seed: replace(cases[seed // READINGS], seed=seed),
        expected,
    )

    def report(outcome: Outcome) -> None:
        if outcome.kind in FINDINGS:
            name = entries[outcome.seed // READINGS].name
            print(
                f"{reader.name}/{name}: {outcome.kind}\n{outcome.text}",
                file=sys.stderr,
            )

    return run_cases(task, range(READINGS * len(cases)), options.processes, report)


def _minimal(
    reader: Reader,
    samples: Sequence[Sample],
    outcome: Outcome,
    expected: dict[str, dict[str, object]],
) -> Case:
    """Return the case without the steps that the finding does not need."""
    skipped: list[int] = []
    whole = make_case(reader, samples, PLAIN, outcome.seed)
    for step in range(len(whole.steps)):
        attempt = [*skipped, step]
        case = make_case(reader, samples, PLAIN, outcome.seed, attempt)
        if not case.steps:
            break
        task = Task(reader, lambda seed, case=case: case, expected)  # type: ignore[misc]
        tally = run_cases(task, [outcome.seed])
        if tally.findings and tally.findings[0].root == outcome.root:
            skipped = attempt
    return make_case(reader, samples, PLAIN, outcome.seed, skipped)


def table(tallies: Sequence[Tally]) -> str:
    """Return a line for each reader."""
    lines = [f"{'reader':16}" + "".join(f"{column:>10}" for column in COLUMNS)]
    for tally in tallies:
        counts = [
            tally.cases,
            *(tally.counts.get(kind, 0) for kind in COLUMNS[1:-3]),
        ]
        figures = (tally.most_mebibytes, tally.most_seconds, tally.wall_seconds)
        cells = [f"{count:>10}" for count in counts]
        cells += [f"{figure:>10.1f}" for figure in figures]
        lines.append(f"{tally.reader:16}" + "".join(cells))
    return "\n".join(lines)


def prepare() -> None:
    """Make this process fit to fork workers: it has one thread."""
    torch.set_num_threads(1)
