"""Runs on disk: a folder with ``run.json`` and one folder per layer."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nd_plugin.errors import BadInput, NotSaved, RunInvalid
from nd_plugin.results import atomic_files, folder_names, npz_format
from nd_plugin.results.dissection import DISSECTION, Dissection

RUN = "run.json"


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Refuse a run's folder before the run: one that exists, or that cannot be written."""
    if folder.resolve() == Path.cwd():
        raise BadInput(
            f"{folder} is the folder you are in, which cannot be replaced; name one below it"
        )
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; a run is a folder")
    if folder.exists() and any(folder.iterdir()):
        if not overwrite:
            raise BadInput(f"{folder} exists already; choose another folder, or say --overwrite")
        if not atomic_files.is_ours(folder, nested=True):
            raise BadInput(
                f"{folder} holds other things than a run, and is not overwritten; choose another folder"
            )
    parent = next(place for place in folder.absolute().parents if place.exists())
    try:
        tempfile.TemporaryFile(dir=parent).close()
    except OSError as error:
        raise NotSaved(
            f"{folder} cannot be written: {error.strerror or error}; choose another place"
        ) from error


def is_complete(folder: Path, command: Sequence[str]) -> bool:
    """Whether just this command has done its work already: what is resumed may be finished."""
    try:
        run = json.loads((folder / RUN).read_text(encoding="utf-8"))
        return bool(without_resume(run["command"]) == without_resume(command))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def without_resume(command: Sequence[str]) -> list[str]:
    """A command without what says how it begins and what it prints."""
    return [word for word in command if word not in ("--resume", "--overwrite", "--json")]


def free_name(base: Path) -> Path:
    """``base``, or ``base-2``, ``base-3`` …: the first that does not exist."""
    place, number = base, 1
    while place.exists():
        number += 1
        place = base.with_name(f"{base.name}-{number}")
    return place


def save_run(folder: Path, dissections: Sequence[Dissection], command: Sequence[str] = ()) -> Path:
    """Write all layers and run.json, together or not at all. Raises NotSaved."""
    content: dict[str, bytes] = {}
    layers: list[dict[str, Any]] = []
    several = len({dissection.settings.quantile for dissection in dissections}) > 1
    for dissection in dissections:
        shown = (
            f"{dissection.layer}-{dissection.settings.quantile:g}" if several else dissection.layer
        )
        name = _distinct(folder_names.folder_of(shown), {layer["folder"] for layer in layers})
        layers.append({"layer": dissection.layer, "folder": name, **dissection.summary().to_dict()})
        content.update({f"{name}/{file}": part for file, part in dissection.files().items()})
    content[RUN] = json.dumps(
        _described(dissections, layers, command), indent=1, allow_nan=False
    ).encode()
    return atomic_files.write_folder(folder, content)


def _distinct(name: str, taken: set[Any]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _described(
    dissections: Sequence[Dissection], layers: Sequence[dict[str, Any]], command: Sequence[str]
) -> dict[str, Any]:
    first = dissections[0]
    made = asdict(first.provenance)
    notes = dict.fromkeys(
        note for dissection in dissections for note in dissection.provenance.notes
    )
    return {
        "format": npz_format.FORMAT,
        "command": list(command),
        **{name: value for name, value in made.items() if name not in ("geometry", "notes")},
        "notes": list(notes),
        "settings": asdict(first.settings),
        "images": first.images,
        "skipped": [asdict(skipped) for skipped in first.skipped],
        "layers": [
            {**layer, "geometry": dict(d.provenance.geometry)}
            for layer, d in zip(layers, dissections, strict=True)
        ],
    }


def load_run(folder: str | Path) -> list[Dissection]:
    """The dissections of a run, or the one of a layer's folder. Raises RunInvalid."""
    place = Path(folder)
    if not place.is_dir():
        raise RunInvalid(f"no run {str(folder)!r}: there is no such folder")
    if not (place / RUN).is_file():
        if (place / DISSECTION).is_file():
            return [Dissection.load(place)]
        if (place / "state.npz").is_file():
            raise RunInvalid(
                f"{folder} is a shard, or an unfinished run: nd merge brings the shards of a run together"
            )
        raise RunInvalid(f"{folder} is no run: it has neither {RUN} nor {DISSECTION}")
    try:
        run = json.loads((place / RUN).read_text(encoding="utf-8"))
        written, folders = int(run["format"]), [str(layer["folder"]) for layer in run["layers"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunInvalid(f"{place / RUN} is damaged: {type(error).__name__}: {error}") from error
    if written > npz_format.FORMAT:
        raise RunInvalid(
            f"{folder} is of format {written}, and this nd_plugin reads up to {npz_format.FORMAT}: upgrade"
        )
    outside = [name for name in folders if Path(name).name != name]
    if outside:
        raise RunInvalid(f"{place / RUN} is damaged: {outside[0]!r} is no folder of the run")
    return [Dissection.load(place / name) for name in folders]
