"""Results to compare, named by texts: runs, files of others, and parts of both.

``PATH`` is all of a run or file, ``PATH:PARTS`` some layers of it, or networks of a summary: names,
patterns such as ``layer*``, several with commas. A path that exists is taken as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nd_plugin.comparison.compared_layers import ComparedLayer, run_names
from nd_plugin.contracts.provenance import Settings
from nd_plugin.errors import BadInput, LayerNotFound, nearest
from nd_plugin.plugins.layer_patterns import LayerNames, enumerated
from nd_plugin.report.foreign_tables.recognition import read_foreign_result
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.results import run_folder
from nd_plugin.results.dissection import Dissection

SEPARATOR = ":"


@dataclass(frozen=True)
class ResultSource:
    """Run or file, and the names or patterns of parts of it; None for all."""

    path: Path
    parts: str | None = None

    @classmethod
    def parse(cls, text: str) -> ResultSource:
        """Split a text behind the first path that exists; the whole text where none does."""
        if not Path(text).exists():
            for position, character in enumerate(text):
                path = Path(text[:position])
                if character == SEPARATOR and position and path.exists():
                    return cls(path, text[position + 1 :])
        return cls(Path(text))


def read_results(
    texts: Sequence[str], min_iou: float | None = None
) -> list[list[ComparedLayer]]:
    """Return the layers of each result, with the name of its run.

    Args:
        texts: Runs and files, or parts of them.
        min_iou: IoU above which a unit is a detector; None: that of each run or file.

    Raises:
        BadInput: A limit out of range, or that a file cannot be counted at; a part given twice.
        LayerNotFound: A name that the run or file has not.
        RunInvalid: A path without a result.
    """
    if min_iou is not None:
        Settings(min_iou=min_iou)  # checks its range
    sources = [ResultSource.parse(text) for text in texts]
    paths = list(dict.fromkeys(source.path.absolute() for source in sources))
    names = dict(zip(paths, run_names(paths), strict=True))
    reports = {path: _reports(path, names[path], min_iou) for path in paths}
    results = []
    chosen: list[tuple[Path, int]] = []
    for source in sources:
        path = source.path.absolute()
        indices = _chosen(source, reports[path])
        chosen += [(path, index) for index in indices]
        results.append([ComparedLayer(reports[path][index]) for index in indices])
    _check_once(chosen, reports)
    return results


def _reports(path: Path, name: str, min_iou: float | None) -> list[LayerReport]:
    """Return the layers of a run or file; ``name`` tells it from the others."""
    if not path.exists() or path.is_dir():
        return [
            replace(dissection.report(), run=name)
            for dissection in read_run(path, min_iou)
        ]
    stem = Path(name).stem if name == path.name else name
    reports = read_foreign_result(path, min_iou)
    return [replace(report, run=report.run or stem) for report in reports]


def read_run(path: Path, min_iou: float | None = None) -> list[Dissection]:
    """Load a run, with another limit for detectors where one is given. Raises RunInvalid."""
    dissections = run_folder.load_run(path)
    if min_iou is None:
        return dissections
    return [_at_min_iou(dissection, min_iou) for dissection in dissections]


def _at_min_iou(dissection: Dissection, min_iou: float) -> Dissection:
    """Return a dissection with another limit for detectors; a note says so where it differs."""
    own_min_iou = dissection.settings.min_iou
    if min_iou == own_min_iou:
        return dissection
    note = f"detectors are counted at IoU > {min_iou:g}; the run's own is {own_min_iou:g}"
    provenance = dissection.provenance
    return replace(
        dissection,
        settings=replace(dissection.settings, min_iou=min_iou),
        provenance=replace(provenance, notes=(note, *provenance.notes)),
    )


def _chosen(source: ResultSource, reports: Sequence[LayerReport]) -> list[int]:
    """Return the indices of the parts that a source names, in its order."""
    if source.parts is None:
        return list(range(len(reports)))
    names = [_part_name(report) for report in reports]
    chosen_names = LayerNames(tuple(names)).expand(source.parts)
    if not chosen_names:
        raise BadInput(
            f"{source.path}{SEPARATOR} names no part; leave the colon out"
        )
    indices = []
    for name in chosen_names:
        if name not in names:
            raise LayerNotFound(_not_found(source.path, name, names))
        indices += [index for index, own in enumerate(names) if own == name]
    return indices


def _part_name(report: LayerReport) -> str:
    """Return the name of a layer, or that of a network in a summary of networks."""
    return report.run if report.recorded == "counts" else report.layer


def _not_found(path: Path, name: str, names: Sequence[str]) -> str:
    similar = nearest(name, names)
    # a layer stands there once for each of its quantiles
    known = list(dict.fromkeys(names))
    hint = (
        f"the nearest are {', '.join(similar)}"
        if similar
        else f"it has {enumerated(known)}"
    )
    return f"{path} has no layer or network {name!r}; {hint}"


def _check_once(
    chosen: Sequence[tuple[Path, int]], reports: dict[Path, list[LayerReport]]
) -> None:
    """Raise BadInput where a part is there twice."""
    (path, index), occurrences = Counter(chosen).most_common(1)[0]
    if occurrences > 1:
        part = _part_name(reports[path][index])
        raise BadInput(
            f"{part} of {path} is given {occurrences} times; name each result once"
        )
