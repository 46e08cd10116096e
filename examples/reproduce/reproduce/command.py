"""Draw scenes, train networks on them, dissect these, and write tables and figures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from nd_plugin.results.atomic_files import write_file
from reproduce.dissecting import dissect
from reproduce.dissections import Dissections
from reproduce.figures import draw_figures
from reproduce.measures import Measures
from reproduce.scales import FULL, QUICK
from reproduce.study import Study
from reproduce.tables import tables_text

HERE = Path(__file__).parents[1]
STEPS = ("draw", "train", "dissect", "report")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the steps that are asked for, or all of them."""
    parser = argparse.ArgumentParser(
        prog="python -m reproduce",
        description=f"{__doc__} What is there already is not computed again.",
    )
    parser.add_argument(
        "steps", nargs="*", metavar="STEP", help=f"{', '.join(STEPS)}; none: all"
    )
    parser.add_argument("--quick", action="store_true", help="the small scale")
    parser.add_argument(
        "--work",
        type=Path,
        default=HERE / "work",
        help="folder of what is computed",
    )
    parser.add_argument("--results", type=Path, help="folder of tables and figures")
    parser.add_argument("--processes", type=int, default=2, help="2 by default")
    options = parser.parse_args(arguments)
    for step in options.steps:
        if step not in STEPS:
            parser.error(f"no step {step!r}; the steps are {', '.join(STEPS)}")
    if options.processes < 1:
        parser.error(f"--processes is {options.processes}; expected 1 or more")
    scale = QUICK if options.quick else FULL
    study = Study(scale, options.work / scale.name)
    default = study.folder / "results" if options.quick else HERE / "results"
    steps = options.steps or STEPS
    run(study, steps, options.results or default, options.processes)


def run(study: Study, steps: Sequence[str], results: Path, processes: int) -> None:
    """Run some steps of a study, in their order."""
    if "draw" in steps:
        study.draw(processes)
    if "train" in steps:
        study.train(processes)
    if "dissect" in steps:
        dissect(study, processes)
    if "report" in steps:
        report(Measures(Dissections(study)), results)


def report(measures: Measures, folder: Path) -> None:
    """Write numbers, tables and figures into a folder."""
    numbers = json.dumps(measures.to_dict(), indent=1)
    write_file(folder / "measures.json", f"{numbers}\n".encode())
    write_file(folder / "tables.md", tables_text(measures).encode())
    draw_figures(measures, folder)
    print(f"tables and figures are in {folder}")
