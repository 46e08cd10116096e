"""Options of the command."""

from __future__ import annotations

import argparse
from pathlib import Path

from reproduce.dissections import Dissections
from reproduce.scales import FULL, QUICK
from reproduce.study import Study

HERE = Path(__file__).parents[1]
STEPS = ("draw", "train", "dissect")


def main(arguments: list[str] | None = None) -> None:
    """Run the steps that are asked for, or all of them."""
    parser = argparse.ArgumentParser(prog="reproduce", description=__doc__)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=", ".join(STEPS))
    parser.add_argument("--quick", action="store_true", help="a tenth of the training")
    parser.add_argument("--work", type=Path, default=HERE / "work")
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
