"""Saved dissections: one folder per layer, written whole or not at all, read without trust."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nd_plugin.errors import NotSaved, RunInvalid
from nd_plugin.types import Concept, Identity, Provenance, Settings, Skipped

if TYPE_CHECKING:
    from nd_plugin.dissection import Dissection

FORMAT = 1
ARRAYS: dict[str, tuple[str, str]] = {  # name -> dtype, axes
    "thresholds": ("float64", "u"),
    "intersection": ("int64", "uc"),
    "unit_area": ("int64", "uk"),
    "concept_area": ("int64", "c"),
    "category_images": ("int64", "k"),
    "minimum": ("float64", "u"),
    "maximum": ("float64", "u"),
    "zeros": ("int64", "u"),
    "top_images": ("int64", "ut"),
    "top_activations": ("float64", "ut"),
}


def pack(dissection: Dissection) -> bytes:
    """A dissection as the bytes of an npz file without pickles."""
    from nd_plugin.dissection import metadata_of

    content = io.BytesIO()
    text = json.dumps({"format": FORMAT, **metadata_of(dissection)}, allow_nan=False)
    arrays: dict[str, Any] = {name: getattr(dissection, name) for name in ARRAYS}
    np.savez_compressed(content, metadata=np.frombuffer(text.encode(), dtype=np.uint8), **arrays)
    return content.getvalue()


def unpack(folder: Path, kind: type[Dissection]) -> Dissection:
    """The dissection in a layer's folder, everything checked."""
    path = folder / "dissection.npz"
    if not path.is_file():
        raise RunInvalid(f"{folder} holds no dissection: {path.name} is missing")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            metadata = json.loads(stored["metadata"].tobytes().decode())
            _check_format(metadata, path)
            arrays = {name: stored[name] for name in ARRAYS}
        fields = _fields(metadata)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, RunInvalid):
            raise
        raise RunInvalid(f"{path} is damaged: {type(error).__name__}: {error}; dissect the layer again") from error
    _check_arrays(arrays, fields, path)
    return kind(**fields, **arrays)


def _check_format(metadata: Any, path: Path) -> None:
    written = metadata.get("format") if isinstance(metadata, dict) else None
    if not isinstance(written, int):
        raise RunInvalid(f"{path} states no format: it is no dissection of nd_plugin's")
    if written > FORMAT:
        raise RunInvalid(f"{path} is of format {written}, and this nd_plugin reads up to {FORMAT}: upgrade nd_plugin")


def _fields(metadata: dict[str, Any]) -> dict[str, Any]:
    made = dict(metadata["provenance"])
    made["model"], made["concept_set"] = Identity(**made["model"]), Identity(**made["concept_set"])
    made["notes"] = tuple(made["notes"])
    return {
        "layer": str(metadata["layer"]),
        "categories": tuple(metadata["categories"]),
        "locations": int(metadata["locations"]),
        "image_names": tuple(metadata["image_names"]),
        "concepts": tuple(Concept(c["name"], c["category"], tuple(c["synonyms"])) for c in metadata["concepts"]),
        "skipped": tuple(Skipped(**skipped) for skipped in metadata["skipped"]),
        "settings": Settings(**metadata["settings"]),
        "provenance": Provenance(**made),
    }


def _check_arrays(arrays: Mapping[str, Any], fields: Mapping[str, Any], path: Path) -> None:
    axes = {
        "u": arrays["thresholds"].size,
        "c": len(fields["concepts"]),
        "k": len(fields["categories"]),
        "t": arrays["top_images"].shape[-1] if arrays["top_images"].ndim else 0,
    }
    for name, (dtype, letters) in ARRAYS.items():
        array = arrays[name]
        expected = tuple(axes[letter] for letter in letters)
        if array.dtype != dtype or array.shape != expected:
            raise RunInvalid(
                f"{path} is damaged: {name} is {array.dtype}{array.shape}, where {dtype}{expected} belongs"
            )
    strange = {concept.category for concept in fields["concepts"]}.difference(fields["categories"])
    if strange:
        raise RunInvalid(f"{path} is damaged: concepts of unknown categories {sorted(strange)}")


def folder_of(layer: str) -> str:
    """A layer's name as a folder's name: readable, one level, and never outside the run."""
    kept = "".join(c if c.isalnum() or c in "._-#[]+" else "_" for c in layer)
    return f"_{kept}" if not kept.strip(".") else kept


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole, or leave what was there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _not_saved(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except OSError as error:
        raise _not_saved(path, error) from error
    finally:
        Path(name).unlink(missing_ok=True)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write a folder of files (names may hold one ``/``) under a temporary name and rename it into place.

    What stood there before is replaced as a whole, and only when the new one is complete.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise _not_saved(folder, error) from error
    try:
        for name, content in files.items():
            target = draft / name
            target.parent.mkdir(exist_ok=True)
            with target.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        draft.chmod(0o777 & ~_umask())
        _swap(draft, folder)
    except OSError as error:
        raise _not_saved(folder, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _swap(draft: Path, folder: Path) -> None:
    if not folder.exists():
        draft.rename(folder)
        return
    if not (folder.is_dir() and is_ours(folder)):
        raise FileExistsError(f"{folder} exists and is no saved dissection")
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    folder.rename(old / "run")
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def is_ours(folder: Path) -> bool:
    """Whether a folder may be replaced: it is empty, or holds nothing but what `write_folder` put there."""
    known = {"dissection.npz", "units.csv", "run.json"}
    return all(
        child.name in known if child.is_file() else {c.name for c in child.iterdir()} <= known
        for child in folder.iterdir()
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _not_saved(path: Path, error: OSError) -> NotSaved:
    return NotSaved(f"{path} cannot be written: {error.strerror or error}; choose another place, or make room")
