"""Summary of networks that the authors published: detectors by category, and no units.

A MATLAB 5 file with the struct ``stat``, as NetDissect's ``plot/extract_csv.m`` writes it:
``networks_name``, ``layers_name``; ``num_detectors``, ``num_uniquedetectors`` and
``ratio_detectors`` (network, concept), where the concepts are ``all`` and the categories;
``thresh_concepts``, the IoU above which a unit is a detector. Unique detectors are counted per
category: distinct best-in-category concepts, summed.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.borders.damage import damage_refused
from nd_plugin.borders.matlab_check import (
    MOST_BYTES,
    UntrustedFile,
    check_matlab_file,
)
from nd_plugin.errors import RunInvalid
from nd_plugin.report.categories import in_paper_order
from nd_plugin.report.foreign_tables.category_counts import CategoryCounts
from nd_plugin.report.layer_report import LayerReport, Summary

STRUCT = "stat"
ALL = "all"  # the column of all categories
LIMITS = ("thresh_concepts", "thresh")  # of the IoU; the second in older files
MOST_UNITS = 2**31
ROUNDING = 1e-6  # relative, of units that follow from a ratio in double precision
COUNTS_NOTE = (
    "counts without units: unique detectors per category, concepts without names"
)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class _WrongField(Exception):
    """Field that is missing, or holds something else than it should."""


@dataclass(frozen=True, eq=False)
class _Tables:
    """Content of the struct; concepts are ``all`` and the categories."""

    networks: tuple[str, ...]
    layers: tuple[str, ...]
    concepts: tuple[str, ...]
    unique: Integers  # (network, concept)
    detectors: Integers  # (network, concept)
    ratios: Floats  # (network, concept) detectors divided by units
    min_iou: float


def read_network_summary(path: Path) -> list[LayerReport]:
    """Return a report of counts for each network, with the network as its run.

    Raises RunInvalid for a file that is damaged, too large, or holds something else.
    """
    with damage_refused(path):
        try:
            return _read_reports(path)
        except UntrustedFile as error:
            raise RunInvalid(f"{path} is not read: {error}") from error
        except _WrongField as error:
            raise RunInvalid(
                f"{path} is no summary of networks as NetDissect's extract_csv.m writes it: "
                f"{error}"
            ) from error


def _read_reports(path: Path) -> list[LayerReport]:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    check_matlab_file(content)
    tables = _tables(_load(content))
    return [_report(path, tables, index) for index in range(len(tables.networks))]


def _load(content: bytes) -> Mapping[str, Any]:
    """Return the fields of the struct."""
    # SciPy takes a while to import, and this format alone needs it
    from scipy.io import loadmat

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            variables = loadmat(io.BytesIO(content), variable_names=[STRUCT])
    except Exception as error:  # SciPy's reader raises many kinds for damaged files
        raise _WrongField(f"SciPy cannot read it: {error}") from error
    if STRUCT not in variables:
        raise _WrongField(f"it has no variable {STRUCT!r}")
    value = variables[STRUCT]
    if (
        not isinstance(value, np.ndarray)
        or value.dtype.names is None
        or value.size != 1
    ):
        raise _WrongField(f"{STRUCT!r} is no struct")
    return {name: value[name].item() for name in value.dtype.names}


def _tables(fields: Mapping[str, Any]) -> _Tables:
    networks = _names(fields, "networks_name")
    concepts = _names(fields, "concepts")
    if ALL not in concepts or len(set(concepts)) < max(len(concepts), 2):
        raise _WrongField(
            f"its concepts are {', '.join(concepts)}; expected 'all' and categories, each once"
        )
    layers = _names(fields, "layers_name")
    if len(layers) != len(networks) or not networks:
        raise _WrongField(
            f"it has {len(networks)} networks and {len(layers)} layers"
        )
    shape = (len(networks), len(concepts))
    tables = _Tables(
        networks=networks,
        layers=layers,
        concepts=concepts,
        unique=_counts(fields, "num_uniquedetectors", shape),
        detectors=_counts(fields, "num_detectors", shape),
        ratios=_numbers(fields, "ratio_detectors", shape),
        min_iou=_min_iou(fields),
    )
    if tables.ratios.max() > 1:
        raise _WrongField("ratio_detectors holds more than 1")
    return tables


def _field(fields: Mapping[str, Any], name: str) -> Any:
    if name not in fields:
        raise _WrongField(
            f"{STRUCT!r} has no field {name!r} among {', '.join(fields) or 'none'}"
        )
    return fields[name]


def _names(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the texts of a cell array."""
    cells = _field(fields, name)
    if not isinstance(cells, np.ndarray) or cells.dtype != object:
        raise _WrongField(f"{name} is no cell array of texts")
    texts = []
    for cell in cells.ravel():
        is_text = isinstance(cell, np.ndarray) and cell.dtype.kind == "U"
        if not is_text or cell.size != 1:
            raise _WrongField(f"{name} is no cell array of texts")
        texts.append(str(cell.item()).strip())
    return tuple(texts)


def _numbers(
    fields: Mapping[str, Any], name: str, shape: tuple[int, ...]
) -> Floats:
    """Return a table of numbers that are finite and not negative."""
    table = _field(fields, name)
    is_table = isinstance(table, np.ndarray) and table.dtype.kind in "iuf"
    if not is_table or table.shape != shape:
        own_shape = getattr(table, "shape", "none")
        raise _WrongField(f"{name} is a table of {own_shape}; expected {shape}")
    numbers = np.asarray(table, np.float64)
    if not np.isfinite(numbers).all() or numbers.min() < 0:
        raise _WrongField(f"{name} holds NaN, infinity or a negative number")
    return numbers


def _counts(
    fields: Mapping[str, Any], name: str, shape: tuple[int, ...]
) -> Integers:
    numbers = _numbers(fields, name, shape)
    if (numbers != np.floor(numbers)).any():
        raise _WrongField(f"{name} holds fractions")
    if numbers.max() > MOST_UNITS:
        raise _WrongField(f"{name} holds {numbers.max():g}, no number of units")
    return numbers.astype(np.int64)


def _min_iou(fields: Mapping[str, Any]) -> float:
    name = next((name for name in LIMITS if name in fields), LIMITS[0])
    limit = float(_numbers(fields, name, (1, 1)).item())
    if limit >= 1:
        raise _WrongField(f"{name} is {limit:g}, no limit of an IoU")
    return limit


def _report(path: Path, tables: _Tables, index: int) -> LayerReport:
    """Return the report of a network."""
    counts = _category_counts(tables, index)
    categories = tuple(counts.unique)
    summary = Summary(
        layer=tables.layers[index],
        units=_units(tables, index),
        detectors=int(tables.detectors[index, tables.concepts.index(ALL)]),
        unique_detectors=counts.total,
        unique_detectors_by_category=counts.unique,
        unique_detectors_per_category=counts.total,
        detectors_by_category=counts.units,
        concepts=None,
        images=None,
    )
    return LayerReport(
        layer=summary.layer,
        categories=categories,
        scores=(),
        summary=summary,
        min_iou=tables.min_iou,
        facts={
            "source": f"{path}, a summary of networks",
            "settings": f"IoU > {tables.min_iou:g}",
        },
        notes=(COUNTS_NOTE, *_total_notes(tables, index, counts)),
        run=tables.networks[index],
        recorded="counts",
        recorded_counts=counts,
    )


def _category_counts(tables: _Tables, index: int) -> CategoryCounts:
    columns = {concept: number for number, concept in enumerate(tables.concepts)}
    categories = in_paper_order(name for name in tables.concepts if name != ALL)
    return CategoryCounts(
        unique={
            name: int(tables.unique[index, columns[name]]) for name in categories
        },
        units={
            name: int(tables.detectors[index, columns[name]]) for name in categories
        },
    )


def _units(tables: _Tables, index: int) -> int:
    """Return the number of units, which follows from detectors and their ratio; 0 without any."""
    detectors = tables.detectors[index]
    ratios = tables.ratios[index]
    column = int(ratios.argmax())
    if not ratios[column]:
        return 0
    # a ratio next to 0 makes more units than there are numbers
    quotient = float(detectors[column]) / float(ratios[column])
    if quotient > MOST_UNITS:
        raise _WrongField(
            f"the ratio of detectors of {tables.networks[index]} is {ratios[column]:g}"
        )
    units = round(quotient)
    largest_error = ROUNDING * max(units, 1)
    if (np.abs(ratios * units - detectors) > largest_error).any():
        raise _WrongField(
            f"the numbers and the ratios of detectors of {tables.networks[index]} are not those of "
            "one number of units"
        )
    return units


def _total_notes(
    tables: _Tables, index: int, counts: CategoryCounts
) -> tuple[str, ...]:
    """Return a note where the recorded total is not the sum of the categories."""
    recorded = int(tables.unique[index, tables.concepts.index(ALL)])
    if recorded == counts.total:
        return ()
    return (
        f"the file's own total is {recorded}; the sum over its categories, {counts.total}, is used",
    )
