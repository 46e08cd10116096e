"""Reader of results of others: NetDissect's CSV, described units, the authors' summary."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from random import Random

from fuzz.cases import Numbers, Reader, Sample
from fuzz.mutators.tables import TABLES
from fuzz.readers.runs import small_dissection
from published_files import DESCRIPTIONS, LITE, summary_fields
from scipy.io import savemat

from nd_plugin.comparison.compared_layers import ComparedLayer
from nd_plugin.experiments.comparing.results import read_results
from nd_plugin.report import netdissect_csv, tables, terminal


def make_samples(folder: Path) -> Sequence[Sample]:
    """Return small files of every kind."""
    packed, plain = io.BytesIO(), io.BytesIO()
    savemat(packed, {"stat": summary_fields()}, do_compression=True)
    savemat(plain, {"stat": summary_fields()})
    own = netdissect_csv.to_csv([small_dissection("conv1").report()])
    contents = {
        "lite": LITE.encode(),
        "own": own.encode(),
        "described": DESCRIPTIONS.encode(),
        "packed": packed.getvalue(),
        "plain": plain.getvalue(),
    }
    endings = {"packed": ".mat", "plain": ".mat"}
    return [
        Sample(name, {f"table{endings.get(name, '.csv')}": content})
        for name, content in contents.items()
    ]


def read(folder: Path, random: Random) -> Numbers:
    """Read a file as ``nd compare`` does, and show what it holds."""
    (path,) = list(folder.iterdir()) or [folder / "table.csv"]
    (layers,) = read_results([str(path)], random.choice((None, None, 0.04, 0.1)))
    reports = [layer.report for layer in layers]
    if random.random() < 0.5:
        terminal.to_text(reports)
        tables.to_json(reports)
    else:
        tables.to_csv(reports)
    return {
        f"{layer.report.run}/{layer.report.layer}": _scores(layer)
        for layer in layers
    }


def _scores(layer: ComparedLayer) -> list[tuple[float, int, int, int]]:
    return [
        (score.iou, score.intersection, score.unit_area, score.concept_area)
        for score in layer.report.scores
    ]


def find_problem(folder: Path, numbers: Numbers) -> str:
    """Return what no dissection gives."""
    for layer, scores in numbers.items():
        for iou, intersection, unit_area, concept_area in scores:
            if not 0 <= iou <= 1:
                return f"an IoU out of range: {iou} of {layer!r}"
            if min(intersection, unit_area, concept_area) < 0:
                return f"a negative count: {layer!r}"
    return ""


FOREIGN_TABLES = Reader(
    "foreign-tables",
    make_samples,
    read,
    {".csv": TABLES},
    find_problem=find_problem,
)
