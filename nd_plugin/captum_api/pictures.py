"""Pictures instead of tensors as inputs: files, PIL images, arrays and tensors of uint8 pixels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nd_plugin.errors import BadInput, NDError, Unreadable
from nd_plugin.pictures.conversion import Picture as ConvertedPicture
from nd_plugin.pictures.conversion import convert_picture
from nd_plugin.pictures.files import read_picture
from nd_plugin.pictures.grey_values import RangeChooser, range_of_run
from nd_plugin.pictures.pixel_limit import pixel_limit, reason_of
from nd_plugin.preprocess import Preprocess

# path, PIL image, uint8 array (row, column) or (row, column, channel), uint8 tensor (channel, row,
# column)
Picture = Any

Notes = tuple[str, ...]


def list_pictures(inputs: Any) -> list[Picture] | None:
    """Return pictures as a list; None for inputs that the model takes as they are.

    Pictures are files, PIL images, arrays, and tensors of uint8: one, a batch along the first axis,
    or a list of them, mixed and of any sizes. A tuple that starts with a tensor holds the inputs of
    the forward function, as everywhere in Captum.
    Raises BadInput for no pictures, and for entries that are none.
    """
    if _are_model_inputs(inputs):
        return None
    pictures = list(inputs) if _is_batch(inputs) else [inputs]
    if not pictures:
        raise BadInput("no pictures: the batch is empty")
    for picture in pictures:
        _check_picture(picture)
    return pictures


def _are_model_inputs(inputs: Any) -> bool:
    """Return whether inputs are a tensor but no uint8 pixels, or a tuple that begins with any."""
    if isinstance(inputs, Tensor):
        return inputs.dtype != torch.uint8
    return isinstance(inputs, tuple) and isinstance(
        next(iter(inputs), None), Tensor
    )


def _is_batch(inputs: Any) -> bool:
    if isinstance(inputs, Tensor | np.ndarray):
        return inputs.ndim == 4
    return isinstance(inputs, list | tuple)


def _check_picture(picture: Any) -> None:
    """Raise BadInput for what is no picture."""
    if isinstance(picture, Tensor) and picture.dtype != torch.uint8:
        raise BadInput(
            f"a list holds a tensor of {picture.dtype}: stack preprocessed images into one tensor "
            f"(torch.stack), or pass files, PIL images or uint8 tensors"
        )
    kinds = (str, os.PathLike, Image.Image, np.ndarray, Tensor)
    if not isinstance(picture, kinds):
        raise BadInput(
            f"{type(picture).__name__} is no picture: pass a path, a PIL image, uint8 pixels "
            f"(row, column, 3), a list of these, or a tensor as the model takes it"
        )


def preprocess_pictures(
    pictures: Sequence[Picture],
    preprocess: Preprocess,
    device: torch.device | str,
    whites: Mapping[str, int],
) -> tuple[Tensor, list[Notes]]:
    """Convert pictures to a model's inputs, float32 (image, channel, row, column).

    ``whites`` are the values of white of a run's grey images, by kind. Also returns notes on each
    picture: what was done to it, and what was assumed. Raises BadInput for a missing file and for
    pixels of another type or shape, Unreadable for a damaged file.
    """
    choose_range = range_of_run(whites)
    images: list[Tensor] = []
    notes: list[Notes] = []
    for picture in pictures:
        converted = _convert(to_image(picture), choose_range)
        images.append(preprocess.resize(converted.rgb))
        remarks = [f"image: {remark}" for remark in converted.remarks]
        notes.append((*remarks, *_notes_on_source(picture, preprocess)))
    batch = preprocess.normalise(torch.stack(images)).to(device)
    return batch, notes


def _convert(image: Image.Image, choose_range: RangeChooser) -> ConvertedPicture:
    """Turn an image upright and convert it to RGB. Raises Unreadable for values of no range."""
    try:
        return convert_picture(image, choose_range)
    except ValueError as error:
        raise Unreadable(f"the image cannot be read: {error}") from error


def to_image(picture: Picture) -> Image.Image:
    """Return a picture as an image, as it is stored."""
    if isinstance(picture, Image.Image):
        return picture
    if isinstance(picture, Tensor):
        return _image_of_tensor(picture)
    if isinstance(picture, np.ndarray):
        return _image_of_array(picture)
    return read_image(Path(picture))


def _image_of_tensor(pixels: Tensor) -> Image.Image:
    if pixels.dim() != 3 or len(pixels) not in (1, 3, 4):
        raise BadInput(
            f"a uint8 tensor of shape {tuple(pixels.shape)} is no picture: expected "
            f"(channel, row, column) or (image, channel, row, column) with 1, 3 or 4 channels"
        )
    return _image_of_array(pixels.permute(1, 2, 0).cpu().numpy())


def _image_of_array(pixels: Any) -> Image.Image:
    shape = pixels.shape
    has_channels = len(shape) == 3 and shape[2] in (1, 3, 4)
    if pixels.dtype != np.uint8 or not (has_channels or len(shape) == 2):
        raise BadInput(
            f"an array of {pixels.dtype} and shape {shape} is no picture: expected uint8 pixels "
            f"(row, column, channel) with 1, 3 or 4 channels, or a tensor as the model takes it"
        )
    if has_channels and shape[2] == 1:
        pixels = pixels[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(pixels))


def read_image(path: Path) -> Image.Image:
    """Read and decode an image. Raises BadInput if there is none, Unreadable if it is damaged."""
    if not path.is_file():
        reason = ": it is no regular file" if path.exists() else ""
        raise BadInput(f"no image {path}{reason}")
    try:
        with pixel_limit(None):
            return read_picture(path)
    except NDError:
        raise
    except Exception as error:  # decoders raise errors of every kind
        reason = reason_of(error)
        raise Unreadable(f"the image {path} cannot be read: {reason}") from error


def _notes_on_source(picture: Picture, preprocess: Preprocess) -> Notes:
    """Note what is done to pixels that come as a tensor or array, and assumed values."""
    if not isinstance(picture, Tensor | np.ndarray):
        return preprocess.notes
    height, width = preprocess.size
    note = (
        f"uint8 values were taken as RGB pixels, resized to {height}x{width} and "
        f"normalised: {preprocess.source}"
    )
    return (note, *preprocess.notes)
