"""Opening of Broden's index at its full size: python benchmarks/broden_index.py TABLES.

TABLES is a folder with Broden's own label.csv, category.csv, c_*.csv and index_ade20k.csv, the
22,210 rows of ADE20K. Rows of the other three sources are generated. The median of seconds is
printed, and the memory that the opened set takes; no image is needed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import tracemalloc
from pathlib import Path

from stopwatch import Stopwatch

from nd_plugin import open_concepts

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from broden_tables import full_size_tables

MEBIBYTE = 2**20


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = f"broden:{full_size_tables(options.tables, Path(folder))}"
        opening = Stopwatch()
        for _ in range(options.rounds):
            with opening:
                concepts = open_concepts(text)
        tracemalloc.start()
        concepts = open_concepts(text)
        held, most = tracemalloc.get_traced_memory()
    seconds = statistics.median(opening.laps)
    print(
        f"{len(concepts)} rows: {seconds:.2f} s; holds {held / MEBIBYTE:.0f} MiB, "
        f"{most / MEBIBYTE:.0f} MiB while it is read"
    )


if __name__ == "__main__":
    main()
