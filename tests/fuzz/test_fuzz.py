"""A short run of every fuzzer, and everything that fuzzers have found, again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fuzz.findings import CORPUS, READINGS

FUZZ = Path(__file__).parent
CASES = 30  # of each reader; CONTRIBUTING.md has the command of the long run
READERS = (
    "broden",
    "masks",
    "mask-pictures",
    "strict-masks",
    "pictures",
    "sources",
    "onnx",
    "runs",
    "checkpoints",
    "foreign-tables",
    "weights",
    "bases",
    "command-texts",
    "ratings",
    "experiments",
    "coco",
)
ARCHIVES = ("runs", "checkpoints", "weights", "bases")
ENTRIES = sorted(
    path.parent.relative_to(CORPUS).as_posix()
    for path in CORPUS.glob("*/*/case.json")
)


def fuzz(*arguments: str) -> dict[str, Any]:
    """Run fuzzers in a process of their own, which may fork; return tallies by reader."""
    repository = FUZZ.parents[1]
    shelves = [repository, repository / "adapters", repository / "concept_sets"]
    paths = [*map(str, shelves), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, str(FUZZ), "--json", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout, done.stderr
    return {tally["reader"]: tally for tally in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def short_run() -> dict[str, Any]:
    """Tallies of a few cases of each reader."""
    return fuzz("--cases", str(CASES))


@pytest.fixture(scope="module")
def corpus_run() -> dict[str, Any]:
    """Tallies of the corpus."""
    return fuzz("--corpus")


@pytest.mark.parametrize("reader", READERS)
def test_a_short_run_finds_nothing(short_run: dict[str, Any], reader: str) -> None:
    tally = short_run[reader]
    findings = [
        f"seed {finding['seed']}, {finding['kind']}: {finding['root']}\n{finding['text']}"
        for finding in tally["findings"]
    ]
    assert not findings, "\n\n".join(findings)
    assert tally["cases"] == CASES
    # a reader that refuses everything, or nothing, is not fuzzed
    assert tally["counts"].get("accepted", 0) > 0


@pytest.fixture(scope="module")
def inflated_run() -> dict[str, Any]:
    """Tallies of archives of two megabytes, in which a member unpacks to two gigabytes."""
    readers = [argument for name in ARCHIVES for argument in ("--reader", name)]
    return fuzz("--cases", "3", "--mutation", "inflate_member", *readers)


@pytest.mark.parametrize("reader", ARCHIVES)
def test_archives_that_unpack_to_gigabytes(
    inflated_run: dict[str, Any], reader: str
) -> None:
    tally = inflated_run[reader]
    assert not tally["findings"], tally["findings"][0]["text"]
    assert tally["cases"] == 3


def test_every_reader_is_run(short_run: dict[str, Any]) -> None:
    assert tuple(short_run) == READERS
    assert {entry.partition("/")[0] for entry in ENTRIES} <= set(READERS)


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_was_found_is_mended(corpus_run: dict[str, Any], entry: str) -> None:
    reader = entry.partition("/")[0]
    number = [name for name in ENTRIES if name.startswith(f"{reader}/")].index(
        entry
    )
    tally = corpus_run[reader]
    findings = [
        f"{finding['kind']}: {finding['root']}\n{finding['text']}"
        for finding in tally["findings"]
        if finding["seed"] // READINGS == number
    ]
    assert not findings, findings[0]
    assert tally["cases"] >= READINGS * (number + 1)
