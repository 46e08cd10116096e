"""Runs on disk: a folder with ``run.json`` and one folder per layer."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nd_plugin.errors import BadInput, NotSaved, RunInvalid
from nd_plugin.results import npz_format
from nd_plugin.results.atomic_files import write_folder
from nd_plugin.results.dissection import Dissection
from nd_plugin.results.folder_names import (
    DISSECTION,
    RUN,
    STATE,
    folder_of,
    is_run_folder,
)

RUNS_SAID = 5


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Refuse the folder of a run before it runs: one that exists, or that cannot be written."""
    if folder.resolve() == Path.cwd():
        raise BadInput(
            f"{folder} is the current folder, which cannot be replaced; name one below it"
        )
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; a run is a folder")
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
    _check_writable(folder)


def _check_writable(folder: Path) -> None:
    parent = next(path for path in folder.absolute().parents if path.exists())
    try:
        tempfile.TemporaryFile(dir=parent).close()
    except OSError as error:
        reason = error.strerror or error
        raise NotSaved(
            f"{folder} cannot be written: {reason}; choose another place"
        ) from error


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
    return write_folder(folder, content, may_replace=is_run_folder)


def layer_folder_names(dissections: Sequence[Dissection]) -> list[str]:
    """Return a folder name for each layer, with its quantile where there are several."""
    quantiles = {dissection.settings.quantile for dissection in dissections}
    names: list[str] = []
    for dissection in dissections:
        quantile = (
            f"-{dissection.settings.quantile:g}" if len(quantiles) > 1 else ""
        )
        names.append(_unused(folder_of(dissection.layer + quantile), names))
    return names


def _unused(name: str, taken: Sequence[str]) -> str:
    number = 1
    unused = name
    while unused in taken:
        number += 1
        unused = f"{name}-{number}"
    return unused


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
    path = Path(folder)
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
    try:
        run = json.loads((path / RUN).read_text(encoding="utf-8"))
        version = int(run["format"])
        folders = [str(layer["folder"]) for layer in run["layers"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunInvalid(
            f"{path / RUN} is damaged: {type(error).__name__}: {error}"
        ) from error
    if version > npz_format.FORMAT:
        raise RunInvalid(
            f"{path} is of format {version}, and this nd_plugin reads up to {npz_format.FORMAT}: "
            "upgrade nd_plugin"
        )
    for name in folders:
        if Path(name).name != name:
            raise RunInvalid(
                f"{path / RUN} is damaged: {name!r} is no folder of the run"
            )
    return folders
