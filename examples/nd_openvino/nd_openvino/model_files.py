"""Model files: reading through OpenVINO, errors of files, and the identity of what was read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import Core, Model

from nd_openvino import PREFIX, may_be_ir
from nd_plugin import (
    BadInput,
    Identity,
    ModelNotFound,
    Unavailable,
    expanded_home,
    fingerprint,
)

STATE = ("ReadValue", "Assign")  # operations that keep values from pass to pass


def path_of(model: Any) -> Path:
    """Return the path that a text or a path names. Raises ModelNotFound where no file is."""
    path = expanded_home(os.fspath(model).removeprefix(PREFIX))
    if not path.is_file():
        raise ModelNotFound(f"no file {str(path)!r}")
    if path.suffix.lower() == ".xml" and not may_be_ir(str(path)):
        raise ModelNotFound(f"{path} is no OpenVINO IR: it has no element <net>")
    return path


@cache
def shared_core() -> Core:
    """Return the one OpenVINO of this process.

    Each has a stack of its own for signal handlers. Where several end in another order than they
    began, Linux is left with a stack that is no more, and the next signal, such as that of a data
    worker's end, kills the process.
    """
    return Core()


def open_core(libraries: Sequence[str]) -> Core:
    """Return OpenVINO with libraries of further operations. Raises BadInput, Unavailable."""
    for library in libraries:
        if not Path(library).is_file():
            raise BadInput(f"no library of operations {library!r}")
        try:
            shared_core().add_extension(library)
        except RuntimeError as error:
            raise Unavailable(
                f"OpenVINO cannot load {library}: {last_line(error)}"
            ) from error
    return shared_core()


def read_model(core: Core, path: Path) -> Model:
    """Read a model, and give each of its operations a name of its own.

    Raises ModelNotFound for a file that is damaged or incomplete, BadInput for a model with state.
    """
    try:
        model = core.read_model(path)
    except Exception as error:  # RuntimeError, and what its bindings raise
        raise _unreadable(path, error) from error
    _name_apart(model)
    for operation in model.get_ops():
        if operation.get_type_name() in STATE:
            raise BadInput(
                f"{path} keeps state from pass to pass ({operation.get_friendly_name()}): "
                "activations of an image would depend on the images before it"
            )
    return model


def _unreadable(path: Path, error: Exception) -> ModelNotFound:
    weights = path.with_suffix(".bin")
    if path.suffix.lower() == ".xml" and not weights.exists():
        return ModelNotFound(
            f"{path} has no weights: there is no {weights.name} beside it; copy both files of the "
            "model"
        )
    return ModelNotFound(
        f"OpenVINO cannot read {path}: {last_line(error)} (is it damaged or incomplete?)"
    )


def last_line(error: Exception) -> str:
    """Return the last line of an error of OpenVINO; those before name places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _name_apart(model: Model) -> None:
    """Rename operations that have the name of an earlier one."""
    names: set[str] = set()
    for operation in model.get_ordered_ops():
        name = operation.get_friendly_name()
        number = 2
        while operation.get_friendly_name() in names:
            operation.set_friendly_name(f"{name}#{number}")
            number += 1
        names.add(operation.get_friendly_name())


def identify(path: Path, model: Model, device: str) -> Identity:
    """Return the identity of a model: that of its files, or of what was read from others."""
    return Identity(
        name=path.stem,
        source=str(path),
        version=f"openvino {openvino.__version__.partition('-')[0]}, {device}",
        fingerprint=fingerprint(_digests(path, model)),
    )


def _digests(path: Path, model: Model) -> Iterator[bytes]:
    """Yield the SHA-256 of the file and of its weights.

    An IR has them in a file beside it; those of other formats may lie in files of any name.
    """
    with path.open("rb") as file:
        yield hashlib.file_digest(file, "sha256").digest()
    if path.suffix.lower() != ".xml":
        yield from _constants(model)
        return
    weights = path.with_suffix(".bin")
    if weights.exists():
        with weights.open("rb") as file:
            yield hashlib.file_digest(file, "sha256").digest()


def _constants(model: Model) -> Iterator[bytes]:
    for operation in model.get_ordered_ops():
        if operation.get_type_name() == "Constant":
            values = np.ascontiguousarray(operation.data)
            yield hashlib.sha256(values.view(np.uint8).data).digest()
