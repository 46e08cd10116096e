"""Accuracies on disk, to be reported and drawn again without model and images.

::

    FOLDER/probe.json    accuracies of layers and rotations, with what was run
    FOLDER/probe.csv     a line for each of them
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nd_plugin.borders import json_values
from nd_plugin.borders.csv_text import csv_text
from nd_plugin.borders.damage import damage_refused
from nd_plugin.borders.json_values import object_of, read_list, read_value
from nd_plugin.borders.printable import utf8
from nd_plugin.contracts.provenance import Identity
from nd_plugin.errors import RunInvalid
from nd_plugin.experiments.probing.discrimination import (
    Discrimination,
    LayerAccuracy,
    RotatedAccuracy,
)
from nd_plugin.experiments.probing.linear_svm import ClassAccuracy, SvmSettings
from nd_plugin.experiments.records import read_record, record_bytes
from nd_plugin.results.atomic_files import recovered, write_folder

RECORD = "probe.json"
TABLE = "probe.csv"
FORMAT = 1
HEADERS = ("layer", "units", "alpha", "seed", "accuracy", "low", "high", "overall")


def discrimination_content(result: Discrimination) -> dict[str, Any]:
    """Return accuracies as plain values."""
    return {
        "model": asdict(result.model),
        "images": asdict(result.images),
        "classes": list(result.classes),
        "train_images": result.train_images,
        "test_images": result.test_images,
        "chance": result.chance,
        "svm": asdict(result.svm),
        "pooling": result.pooling,
        "preprocess": dict(result.preprocess),
        "precision": result.precision,
        "layers": [_layer_content(layer) for layer in result.layers],
        "notes": list(result.notes),
    }


def _layer_content(layer: LayerAccuracy) -> dict[str, Any]:
    return {
        "layer": layer.layer,
        "units": layer.units,
        **accuracy_content(layer.accuracy),
        "rotations": [
            {
                "alpha": item.alpha,
                "seed": item.seed,
                **accuracy_content(item.accuracy),
            }
            for item in layer.rotated
        ],
        "largest_difference": layer.largest_difference,
        "as_discriminative": layer.is_as_discriminative if layer.rotated else None,
    }


def accuracy_content(accuracy: ClassAccuracy) -> dict[str, Any]:
    """Return an accuracy as plain values."""
    return {
        "accuracy": accuracy.mean,
        "interval": list(accuracy.interval),
        "overall_accuracy": accuracy.overall,
        "correct": list(accuracy.correct),
        "test_images": list(accuracy.images),
    }


def discrimination_csv(result: Discrimination) -> str:
    """Return a line for each layer, and for each of its rotations."""
    return csv_text(HEADERS, _accuracy_rows(result))


def _accuracy_rows(result: Discrimination) -> Iterable[Sequence[Any]]:
    for layer in result.layers:
        name = (layer.layer, layer.units)
        yield [*name, "", "", *_accuracy_cells(layer.accuracy)]
        for item in layer.rotated:
            basis = (repr(item.alpha), item.seed)
            yield [*name, *basis, *_accuracy_cells(item.accuracy)]


def _accuracy_cells(accuracy: ClassAccuracy) -> list[str]:
    low, high = accuracy.interval
    return [repr(value) for value in (accuracy.mean, low, high, accuracy.overall)]


def save_discrimination(folder: Path, result: Discrimination) -> None:
    """Write a folder; an earlier one of accuracies is replaced. Raises NotSaved."""
    files = {
        RECORD: record_bytes(discrimination_content(result), FORMAT),
        TABLE: utf8(discrimination_csv(result)),
    }
    write_folder(folder, files, may_replace=is_discrimination_folder)


def is_discrimination_folder(folder: Path) -> bool:
    """Return whether a folder is empty, or holds nothing but accuracies."""
    names = {path.name for path in folder.iterdir()}
    return not names or (RECORD in names and names <= {RECORD, TABLE})


def load_discrimination(source: str | Path) -> Discrimination:
    """Load accuracies from a folder, or from its probe.json. Raises RunInvalid."""
    path = recovered(Path(source))
    if path.is_dir():
        path = path / RECORD
    if not path.is_file():
        raise RunInvalid(f"{source} is no result of nd probe: there is no {path}")
    record = read_record(path, FORMAT)
    with damage_refused(path):
        return _discrimination(record)


def _discrimination(record: Mapping[str, Any]) -> Discrimination:
    classes = read_list(str, record["classes"], "classes")
    if not classes:
        raise ValueError("it has no classes")
    return Discrimination(
        model=json_values.read_record(Identity, record["model"], "model"),
        images=json_values.read_record(Identity, record["images"], "images"),
        classes=tuple(classes),
        train_images=read_value(int, record["train_images"], "train_images"),
        test_images=read_value(int, record["test_images"], "test_images"),
        svm=json_values.read_record(SvmSettings, record["svm"], "svm"),
        layers=tuple(_layer(entry) for entry in record["layers"]),
        preprocess=object_of(record["preprocess"], "preprocess"),
        precision=read_value(str, record["precision"], "precision"),
        pooling=read_value(str, record["pooling"], "pooling"),
        notes=tuple(read_list(str, record["notes"], "notes")),
    )


def _layer(entry: Mapping[str, Any]) -> LayerAccuracy:
    rotated = [
        RotatedAccuracy(
            read_value(float, item["alpha"], "alpha"),
            read_value(int, item["seed"], "seed"),
            _accuracy(item),
        )
        for item in entry["rotations"]
    ]
    layer = read_value(str, entry["layer"], "layer")
    units = read_value(int, entry["units"], "units")
    return LayerAccuracy(layer, units, _accuracy(entry), tuple(rotated))


def _accuracy(entry: Mapping[str, Any]) -> ClassAccuracy:
    correct = tuple(read_list(int, entry["correct"], "correct"))
    images = tuple(read_list(int, entry["test_images"], "test_images"))
    if not images or len(correct) != len(images) or min(images) < 1:
        raise ValueError("a class has no test image")
    pairs = zip(correct, images, strict=True)
    if any(not 0 <= count <= total < 2**63 for count, total in pairs):
        raise ValueError("a class has more images classified than there are")
    return ClassAccuracy(correct, images)
