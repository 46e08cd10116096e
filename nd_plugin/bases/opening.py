"""Bases from whatever users have: a file, a matrix, a function of maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import torch
from torch import Tensor, nn

from nd_plugin.bases.basis import Basis
from nd_plugin.bases.dictionary_layouts import read_encoder
from nd_plugin.bases.dictionary_reading import Reading
from nd_plugin.bases.encoder import ACTIVATIONS, Encoder
from nd_plugin.bases.function_fingerprint import fingerprint_function
from nd_plugin.bases.tensor_files import open_tensors
from nd_plugin.errors import BadInput
from nd_plugin.method.finite import at_least_float32
from nd_plugin.storage.names import expanded_home

OPTIONS = ("activation", "k", "transpose")

AnyBasis = Basis | str | Path | Tensor | np.ndarray[Any, Any] | Callable[..., Any]


def open_basis(source: AnyBasis, name: str | None = None) -> Basis:
    """Open a basis: a file, a matrix, a function of maps, or a Basis as it is.

    Args:
        source: A file that `read_basis` takes; a matrix (direction, unit), whose rows are the
            directions; an `Encoder`; or any function, also a module, from maps (image, unit, row,
            column) to maps with other units.
        name: Name of the basis, behind the layer's; None: of the file or function.

    Raises:
        BadInput: What is none of these, or a file that holds no basis.
    """
    basis = _open(source)
    return basis if name is None else replace(basis, name=name)


def _open(source: Any) -> Basis:
    if isinstance(source, Basis):
        return source
    if isinstance(source, str | Path):
        return read_basis(source)
    if isinstance(source, Encoder):
        return encoder_basis(source, "dictionary")
    if isinstance(source, Tensor | np.ndarray):
        return encoder_basis(Encoder(_matrix(source)), "matrix")
    if callable(source):
        return _function_basis(source)
    raise BadInput(
        f"a basis is a file, a matrix (direction, unit) or a function of maps, "
        f"not a {type(source).__name__}"
    )


def _matrix(source: Tensor | np.ndarray[Any, Any]) -> Tensor:
    tensor = torch.as_tensor(source).detach()
    if tensor.is_complex():
        raise BadInput("a matrix of complex numbers is no basis of real maps")
    return at_least_float32(tensor)


def encoder_basis(
    encoder: Encoder, name: str, notes: tuple[str, ...] = ()
) -> Basis:
    """Return the basis of an encoder's latents."""
    return Basis(
        name,
        encoder,
        encoder.fingerprint,
        encoder.units,
        encoder.latents,
        notes,
        (("kind", "encoder"), ("activation", encoder.activation), ("k", encoder.k)),
    )


def read_basis(source: str | Path) -> Basis:
    """Read a basis from a file, ``FILE.npz`` or ``FILE.safetensors``.

    Options follow a question mark: ``sae.safetensors?k=32``, ``activation=relu``, and
    ``transpose=true`` for a matrix whose columns are the directions. Raises BadInput.
    """
    path_text, _, query = str(source).partition("?")
    path = expanded_home(path_text)
    options = _options(query)
    reading = Reading(open_tensors(path), options)
    try:
        encoder = read_encoder(reading)
        if options.get("transpose") == "true":
            encoder = _transposed(encoder)
    except BadInput as error:
        if str(path) in str(error):
            raise
        raise BadInput(f"{path}: {error}") from error
    return encoder_basis(encoder, path.name, tuple(reading.notes))


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in OPTIONS:
            raise BadInput(
                f"no option {name!r} of a basis; known are {', '.join(OPTIONS)}"
            )
    activation = options.get("activation")
    if activation is not None and activation.lower() not in ACTIVATIONS:
        raise BadInput(
            f"activation {activation!r} is none of {', '.join(ACTIVATIONS)}"
        )
    if options.get("transpose", "true") not in ("true", "false"):
        raise BadInput(f"transpose is {options['transpose']!r}, not true or false")
    return options


def _transposed(encoder: Encoder) -> Encoder:
    if encoder.bias is not None or encoder.pre_bias is not None:
        raise BadInput(
            "transpose is for a matrix alone, and this one has a bias or mean"
        )
    return replace(encoder, weight=encoder.weight.T.contiguous(), _copies={})


def _function_basis(function: Callable[..., Any]) -> Basis:
    """Return the basis of a function, which gets copies of the maps."""
    identity = fingerprint_function(function)
    notes: tuple[str, ...] = ()
    if identity.unknown:
        parts = ", ".join(identity.unknown)
        notes = (
            f"the function depends on {parts}, whose content is not seen: a resumed run cannot "
            "tell it from another",
        )

    def transform(maps: Tensor) -> Tensor:
        # it may work in place, and the layer's other views have the same maps
        result: Tensor = function(maps.clone())
        return result

    return Basis(
        _function_name(function),
        transform,
        identity.fingerprint,
        notes=notes,
        description=(("kind", "function"),),
    )


def _function_name(function: Callable[..., Any]) -> str:
    if isinstance(function, nn.Module):
        return type(function).__name__
    name = getattr(function, "__name__", type(function).__name__)
    return "function" if name == "<lambda>" else str(name)
