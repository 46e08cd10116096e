"""Speed-up by two one-threaded processes: python benchmarks/processes.py DATA [--rounds N].

DATA is the folder that contains broden_camvid. Times are those of complete commands, including the
start of Python and torch, and of the two passes over the images alone.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile

from stopwatch import Stopwatch

MODEL = "nd_torch.zoo:efficientnet_lite0"
LAYER = "_blocks.15"
PASS_SECONDS = re.compile(r"images in ([\d.]+) s")  # in the command's messages


def run(data: str, process_count: int) -> tuple[float, float]:
    """Dissect the layer, and return the seconds of the command and of its two passes."""
    launcher = []
    if process_count > 1:
        launcher = [
            "-m",
            "torch.distributed.run",
            "--nproc-per-node",
            str(process_count),
        ]
    with tempfile.TemporaryDirectory() as folder:
        dissect = [
            "dissect",
            MODEL,
            "-l",
            LAYER,
            "-c",
            f"broden:{data}/broden_camvid",
        ]
        options = ["--workers", "0", "-o", f"{folder}/run"]
        with Stopwatch() as stopwatch:
            process = subprocess.run(
                [sys.executable, *launcher, "-m", "nd_plugin", *dissect, *options],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                check=True,
            )
    pass_seconds = [float(text) for text in PASS_SECONDS.findall(process.stderr)]
    return stopwatch.seconds, sum(pass_seconds)


def print_speed_up(subject: str, single: list[float], double: list[float]) -> None:
    """Print the medians of one and of two processes, and their ratio."""
    single_seconds = statistics.median(single)
    double_seconds = statistics.median(double)
    print(
        f"{subject:15} one process {single_seconds:6.2f} s   two {double_seconds:6.2f} s   "
        f"speed-up {single_seconds / double_seconds:.2f}",
        flush=True,
    )


def main() -> None:
    """Run both in turn, and print the ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    single_runs = []
    double_runs = []
    for _ in range(arguments.rounds):
        single_runs.append(run(arguments.data, 1))
        double_runs.append(run(arguments.data, 2))
    single_commands, single_passes = zip(*single_runs, strict=True)
    double_commands, double_passes = zip(*double_runs, strict=True)
    print_speed_up("whole command", list(single_commands), list(double_commands))
    print_speed_up("passes", list(single_passes), list(double_passes))


if __name__ == "__main__":
    main()
