"""Processes that are killed at chosen and at random moments: the same bits, or our error.

A short part of what ``python tests/kill_harness.py --kills 120`` does (see there).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[1] / "kill_harness.py"
MOMENTS = (
    "any time",
    "checkpoint",
    "swap",
    "second pass",
    "counting",
    "shard moved",
    "merge",
    "worker killed",
)


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="processes of Linux are forked"
)
def test_runs_that_are_killed_come_to_the_same_bits() -> None:
    kills = len(MOMENTS)
    command = [sys.executable, str(HARNESS), "--kills", str(kills), "--seed", "18"]
    paths = [str(HARNESS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    done = subprocess.run(
        [*command, "--moments", ",".join(MOMENTS)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for moment in MOMENTS:
        line = next(text for text in done.stdout.splitlines() if moment in text)
        _, same_bits, errors, failures = map(int, line.split()[-4:])
        assert (same_bits, errors, failures) == (1, 0, 0), done.stdout
