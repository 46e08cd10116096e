"""Two one-threaded processes against one: python benchmarks/processes.py DATA [--rounds N].

DATA is the folder that holds broden_camvid. Whole commands are timed, the start of Python and torch included, and so is
what lies between it and the end.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

DISSECT = ["dissect", "nd_torch.zoo:efficientnet_lite0", "-l", "_blocks.15", "--workers", "0", "-o"]


def run(data: str, processes: int) -> tuple[float, float]:
    """Seconds of the whole command, and of its two passes."""
    start = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *start, "-m", "nd_plugin", *DISSECT, f"{folder}/run"]
        begun = time.perf_counter()
        done = subprocess.run(
            [*command, "-c", f"broden:{data}/broden_camvid"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        )
        whole = time.perf_counter() - begun
    return whole, sum(float(found) for found in re.findall(r"images in ([\d.]+) s", done.stderr))


def main() -> None:
    """The ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    one, two = [], []
    for _ in range(given.rounds):
        one.append(run(given.data, 1))
        two.append(run(given.data, 2))
    for what, place in (("whole command", 0), ("passes", 1)):
        a, b = (statistics.median(times[place] for times in runs) for runs in (one, two))
        print(f"{what:15} one process {a:6.2f} s   two {b:6.2f} s   speed-up {a / b:.2f}", flush=True)


if __name__ == "__main__":
    main()
