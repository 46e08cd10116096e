"""Reader of runs: run.json, dissection.npz, pictures.npz; all that is shown of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from fuzz.cases import Numbers, Reader, Sample, read_files, repaired
from fuzz.mutators.archives import STATES, change_picture
from fuzz.mutators.json_values import JSON
from made_dissections import plain_dissection
from made_folds import with_error_bars
from made_pictures import make_pictures

from nd_plugin import Dissection
from nd_plugin.report import netdissect_csv, tables, terminal
from nd_plugin.results import run_folder
from nd_plugin.results.activation_histograms import ActivationHistograms
from nd_plugin.results.npz_format import ARRAYS
from nd_plugin.site import report_pages

COUNTS = ("intersection", "unit_area", "concept_area", "category_images")


def small_dissection(layer: str) -> Dissection:
    """Return a dissection of five units and four concepts, with histograms and pictures."""
    histograms = ActivationHistograms(
        np.full((5, 64), 3), np.array([[-1.0, 2.0]] * 5)
    )
    dissection = replace(plain_dissection(layer), histograms=histograms)
    return replace(dissection, stored_pictures=make_pictures(dissection))


def make_samples(folder: Path) -> Sequence[Sample]:
    """Return a run of one layer, and one of two with folds and permutations."""
    run_folder.save_run(folder / "plain", [small_dissection("conv1")])
    second = replace(small_dissection("conv2"), stored_pictures=None)
    layers = [with_error_bars(small_dissection("conv1")), second]
    run_folder.save_run(folder / "bars", layers)
    samples = []
    for name in ("plain", "bars"):
        files = read_files(folder / name)
        own = {f"run/{path}": content for path, content in files.items()}
        samples.append(Sample(name, own))
    return samples


def numbers_of(dissection: Dissection) -> dict[str, Any]:
    """Return the numbers of a dissection, comparable by ``==``."""
    numbers: dict[str, Any] = {}
    for name in (*ARRAYS, "category_pixels"):
        array = getattr(dissection, name)
        numbers[name] = None if array is None else _plain(array)
    numbers["concepts"] = dissection.concepts
    numbers["categories"] = dissection.categories
    numbers["names"] = dissection.image_names
    numbers["min_iou"] = dissection.settings.min_iou
    return numbers


def _plain(array: Any) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype.str, array.shape, array.tobytes()


def show_terminal(layers: Sequence[Dissection], random: Random) -> None:
    """Draw the report of a terminal."""
    terminal.to_text(
        [layer.report() for layer in layers], random.choice((20, 80, 200))
    )


def show_svg(layers: Sequence[Dissection], random: Random) -> None:
    """Draw the report as a picture."""
    terminal.to_svg([layer.report() for layer in layers])


def show_tables(layers: Sequence[Dissection], random: Random) -> None:
    """Write tables, and read them as others do."""
    reports = [layer.report() for layer in layers]
    rows = list(csv.reader(StringIO(tables.to_csv(reports))))
    assert {len(row) for row in rows} == {len(rows[0])}
    json.loads(tables.to_json(reports))
    netdissect_csv.to_csv(reports[:1])
    json.loads(layers[0].to_json())


def show_page(layers: Sequence[Dissection], random: Random) -> None:
    """Write the report as one page."""
    report_pages.to_html([layer.report() for layer in layers])


def show_unit(layers: Sequence[Dissection], random: Random) -> None:
    """Show a unit: in a terminal, in a notebook, as JSON; its masks."""
    from rich.console import Console

    layer = random.choice(layers)
    unit = random.randrange(max(layer.units, 1))
    view = layer.show(unit)
    Console(file=StringIO(), width=100, color_system="truecolor").print(view)
    view.content()
    view._repr_html_()
    layer.activation_masks(unit)


SHOW: Sequence[Callable[[Sequence[Dissection], Random], None]] = (
    show_terminal,
    show_svg,
    show_tables,
    show_page,
    show_unit,
)


def read(folder: Path, random: Random) -> Numbers:
    """Load a run, and show it in one or two of the ways in which it may be shown."""
    layers = run_folder.load_run(folder / "run")
    for show in random.sample(SHOW, 2):
        show(layers, random)
    return {layer.layer: numbers_of(layer) for layer in layers}


def find_problem(folder: Path, numbers: Numbers) -> str:
    """Return what is impossible in the numbers of a run, or differs from its files."""
    for layer, content in numbers.items():
        arrays = {}
        for name in ARRAYS:
            dtype, shape, data = content[name]
            arrays[name] = np.frombuffer(data, dtype).reshape(shape)
        problem = _wrong_shape(arrays, content) or _impossible(arrays, content)
        if problem:
            return f"{problem}: layer {layer!r}"
    return ""


def _wrong_shape(arrays: dict[str, Any], content: dict[str, Any]) -> str:
    lengths = {
        "u": len(arrays["thresholds"]),
        "c": len(content["concepts"]),
        "k": len(content["categories"]),
        "t": arrays["top_images"].shape[-1],
    }
    for name, (dtype, axes) in ARRAYS.items():
        shape = tuple(lengths[axis] for axis in axes)
        if arrays[name].shape != shape or arrays[name].dtype.name != dtype:
            return f"{name} of another shape or type"
    return ""


def _impossible(arrays: dict[str, Any], content: dict[str, Any]) -> str:
    if any((arrays[name] < 0).any() for name in COUNTS):
        return "a negative count"
    if not np.isfinite(arrays["thresholds"]).all():
        return "a threshold that is not finite"
    categories = content["categories"]
    columns = [
        categories.index(concept.category) for concept in content["concepts"]
    ]
    if (arrays["intersection"] > arrays["concept_area"]).any():
        return "an intersection larger than its concept"
    if (arrays["intersection"] > arrays["unit_area"][:, columns]).any():
        return "an intersection larger than its unit's area"
    top = arrays["top_images"]
    if ((top < 0) | (top >= len(content["names"]))).any():
        return "a top image that is none of the images"
    # -inf is the maximum of a map that is minus infinity all over
    activations = arrays["top_activations"]
    if (np.isnan(activations) | (activations == np.inf)).any():
        return "a top activation that is no number"
    if not 0 <= content["min_iou"] <= 1:
        return "an IoU limit out of range"
    return ""


PICTURES = (*STATES, *repaired({change_picture: 40}))
RUNS = Reader(
    "runs",
    make_samples,
    read,
    {"dissection.npz": STATES, "pictures.npz": PICTURES, ".json": JSON},
    has_checksums=True,
    find_problem=find_problem,
    fixed=("units.csv",),
)
