"""Runs on disk: a folder with ``run.json`` and one folder per layer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nd_plugin.borders.damage import damage_refused, refuse_newer
from nd_plugin.borders.json_values import (
    object_of,
    parse_json,
    read_list,
    read_value,
)
from nd_plugin.errors import BadInput, RunInvalid
from nd_plugin.results import npz_format
from nd_plugin.results.atomic_files import recovered, write_folder
from nd_plugin.results.dissection import Dissection
from nd_plugin.results.folder_names import (
    DISSECTION,
    RUN,
    STATE,
    folder_of,
    is_run_folder,
)
from nd_plugin.storage.names import check_path, unused_name
from nd_plugin.storage.partial_folder import PARTIAL_SUFFIX, check_not_live
from nd_plugin.storage.targets import check_folder

RUNS_SAID = 5


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Refuse the folder of a run before it runs: one that exists, or that cannot be written."""
    check_place(folder)
    recovered(folder)
    if folder.exists() and any(folder.iterdir()):
        if not overwrite:
            raise BadInput(
                f"{folder} exists already; choose another folder, or replace it with --overwrite"
            )
        if not is_run_folder(folder):
            raise BadInput(
                f"{folder} holds other things than a run, and is not overwritten; "
                "choose another folder"
            )


def check_place(folder: Path) -> None:
    """Refuse the place of a run: no folder, a name too long, one that a live process works on."""
    check_folder(folder, "a run", PARTIAL_SUFFIX)
    check_not_live(folder)


def check_layer_paths(
    folder: Path, layers: Sequence[str], quantiles: Sequence[float]
) -> None:
    """Refuse a folder, before the run, whose files of layers would have too long paths."""
    many = len(quantiles) > 1
    for layer in layers:
        for quantile in quantiles if many else (None,):
            name = folder_of(_named(layer, quantile))
            check_path(folder.resolve() / name / DISSECTION)


def _named(layer: str, quantile: float | None) -> str:
    """Return a layer's name with a quantile, where a run has several."""
    return layer if quantile is None else f"{layer}-{quantile:g}"


def free_name(base: Path) -> Path:
    """Return ``base``, or ``base-2``, ``base-3`` …: the first that does not exist."""
    path = base
    number = 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path


def save_run(
    folder: Path, dissections: Sequence[Dissection], command: Sequence[str] = ()
) -> Path:
    """Write all layers and run.json, together or not at all. Raises NotSaved."""
    files = run_files(dissections, command)
    return write_folder(folder, files, may_replace=is_run_folder)


def run_files(
    dissections: Sequence[Dissection], command: Sequence[str] = ()
) -> dict[str, bytes]:
    """Return the files of a run by name, those of layers in a folder each."""
    content: dict[str, bytes] = {}
    layers: list[dict[str, Any]] = []
    names = layer_folder_names(dissections)
    for name, dissection in zip(names, dissections, strict=True):
        summary = dissection.summary().to_dict()
        geometry = dict(dissection.provenance.geometry)
        layers.append(
            {
                "layer": dissection.layer,
                "folder": name,
                **summary,
                "geometry": geometry,
            }
        )
        for file, data in dissection.files().items():
            content[f"{name}/{file}"] = data
    description = {**_description(dissections, command), "layers": layers}
    content[RUN] = json.dumps(description, indent=1, allow_nan=False).encode()
    return content


def layer_folder_names(dissections: Sequence[Dissection]) -> list[str]:
    """Return a folder name for each layer, with its quantile where there are several.

    No two are the same on a file system that takes upper case for lower case.
    """
    quantiles = {dissection.settings.quantile for dissection in dissections}
    names: list[str] = []
    for dissection in dissections:
        quantile = dissection.settings.quantile if len(quantiles) > 1 else None
        name = folder_of(_named(dissection.layer, quantile))
        names.append(unused_name(name, names))
    return names


def _description(
    dissections: Sequence[Dissection], command: Sequence[str]
) -> dict[str, Any]:
    """Return what run.json says of the whole run."""
    first = dissections[0]
    provenance = asdict(first.provenance)
    # they differ from layer to layer
    del provenance["geometry"]
    del provenance["traits"]["sums"]
    notes: dict[str, None] = {}
    for dissection in dissections:
        notes.update(dict.fromkeys(dissection.provenance.notes))
    return {
        "format": npz_format.FORMAT,
        "command": list(command),
        **provenance,
        "notes": list(notes),
        "settings": asdict(first.settings),
        "images": first.images,
        "skipped": [asdict(skipped) for skipped in first.skipped],
    }


def load_run(folder: str | Path) -> list[Dissection]:
    """Load the dissections of a run, or the one of a layer's folder. Raises RunInvalid."""
    path = recovered(Path(folder))
    if not path.is_dir():
        raise RunInvalid(f"no run {str(folder)!r}: there is no such folder or file")
    if not (path / RUN).is_file():
        return [_load_layer(path)]
    return [Dissection.load(path / name) for name in _layer_folders(path)]


def _load_layer(path: Path) -> Dissection:
    if (path / DISSECTION).is_file():
        return Dissection.load(path)
    if (path / STATE).is_file():
        raise RunInvalid(
            f"{path} is a shard, or an unfinished run: nd merge combines the shards of a run"
        )
    message = f"{path} is no run: it has neither {RUN} nor {DISSECTION}"
    runs = sorted(str(record.parent) for record in path.glob(f"*/{RUN}"))
    if runs:
        message = f"{message}; runs in it are {', '.join(runs[:RUNS_SAID])}"
    raise RunInvalid(message)


def _layer_folders(path: Path) -> list[str]:
    """Return the folders that run.json lists, each a direct child of the run."""
    with damage_refused(path / RUN):
        content = (path / RUN).read_text(encoding="utf-8")
        run = object_of(parse_json(content), "it")
        version = read_value(int, run["format"], "format")
        refuse_newer(path, version, npz_format.FORMAT)
        layers = read_list(dict[str, Any], run["layers"], "layers")
        folders = [read_value(str, layer["folder"], "folder") for layer in layers]
        _check_folders(path, folders)
    return folders


def _check_folders(path: Path, names: Sequence[str]) -> None:
    """Check that each name is that of a direct child, once.

    Raises ValueError, and BadInput for what cannot be a name.
    """
    if not names:
        raise ValueError("it lists no layer")
    for name in names:
        if Path(name).name != name or name in ("", ".."):
            raise ValueError(f"{name!r} is no folder of the run")
        check_path(path / name / DISSECTION)
    if len(set(names)) < len(names):
        raise ValueError("it lists a folder twice")
