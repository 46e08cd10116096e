"""Options of the command."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from reproduce.dissections import Dissections
from reproduce.figures import draw_figures
from reproduce.measures import Measures
from reproduce.scales import FULL, QUICK
from reproduce.study import Study
from reproduce.tables import tables_text

from nd_plugin.results.atomic_files import write_file

HERE = Path(__file__).parents[1]
STEPS = ("draw", "train", "dissect", "report")


def main(arguments: list[str] | None = None) -> None:
    """Run the steps that are asked for, or all of them."""
    parser = argparse.ArgumentParser(prog="reproduce", description=__doc__)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=", ".join(STEPS))
    parser.add_argument("--quick", action="store_true", help="a tenth of the training")
    parser.add_argument("--work", type=Path, default=HERE / "work")
    parser.add_argument("--results", type=Path, help="folder for tables and figures")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    scale = QUICK if options.quick else FULL
    study = Study(scale, options.work / scale.name)
    steps = options.steps or STEPS
    if "draw" in steps:
        study.draw(options.processes)
    if "train" in steps:
        study.train(options.processes)
    if "dissect" in steps:
        Dissections(study).dissect()
    if "report" in steps:
        default = HERE / "results" if scale is FULL else study.folder / "results"
        report(Measures(Dissections(study)), options.results or default)


def report(measures: Measures, folder: Path) -> None:
    """Write numbers, tables and figures into a folder."""
    numbers = json.dumps(measures.to_dict(), indent=1)
    write_file(folder / "measures.json", f"{numbers}\n".encode())
    write_file(folder / "tables.md", tables_text(measures).encode())
    draw_figures(measures, folder)
    print(f"results in {folder}")
