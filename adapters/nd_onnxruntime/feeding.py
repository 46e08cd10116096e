"""What a model is fed: which input is the image, how it wants it, and values for the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from onnx import TensorProto, ValueInfoProto, helper
from torch import Tensor

from nd_onnxruntime.graph import Graph
from nd_plugin import BadInput, nearest

Size = tuple[int, int]
Dimension = int | str | None
IMAGES: dict[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.UINT8: torch.uint8,
}  # the types in which an image may be wanted


@dataclass(frozen=True)
class ImageInput:
    """The input that takes the images."""

    name: str
    dtype: torch.dtype
    channels_last: bool
    batch: Dimension
    size: tuple[Dimension, Dimension]  # height, width

    def arranged(self, images: Tensor) -> Tensor:
        """Images (image, 3, row, column), float, as the model wants them; contiguous."""
        found = images.round().clamp(0, 255) if self.dtype == torch.uint8 else images
        found = found.permute(0, 2, 3, 1) if self.channels_last else found
        return found.to(self.dtype).contiguous()

    def declared(self, batch: Dimension, size: Size) -> ValueInfoProto:
        """The input, with another batch dimension and a size."""
        shape = [batch, *size, 3] if self.channels_last else [batch, 3, *size]
        kind = next(kind for kind, dtype in IMAGES.items() if dtype == self.dtype)
        return helper.make_tensor_value_info(self.name, kind, shape)

    def checked(self, size: Size) -> Size:
        """The size asked for. Raises BadInput where the model takes another."""
        if any(isinstance(own, int) and own != side for own, side in zip(self.size, size, strict=True)):
            own = "x".join(str(side) for side in self.size)
            raise BadInput(f"the model takes images of {own} pixels only, not {size[0]}x{size[1]}")
        return size


def find_image(graph: Graph, wanted: str | None) -> ImageInput:
    """The one input that takes RGB images, or the one that is ``wanted``. Raises BadInput."""
    names = [value.name for value in graph.inputs]
    if wanted is not None and wanted not in names:
        raise BadInput(f"no input {wanted!r}; the model has {', '.join(nearest(wanted, names) or names)}")
    chosen = [value for value in graph.inputs if wanted in (None, value.name)]
    found = {value.name: image for value in chosen if (image := _as_image(value))}
    if len(found) == 1:
        return next(iter(found.values()))
    shown = "; ".join(f"{value.name} {_shown(value)}" for value in chosen)
    if not found:
        raise BadInput(f"no input takes RGB images (N, 3, H, W) or (N, H, W, 3) of float or uint8: {shown}")
    raise BadInput(
        f"several inputs may take the images: {shown}; choose one (--input NAME), and give the others "
        "(--feed NAME=VALUE)"
    )


def dimensions(value: ValueInfoProto) -> list[Dimension] | None:
    """The declared shape; None where there is none."""
    if not value.type.tensor_type.HasField("shape"):
        return None
    return [d.dim_value if d.HasField("dim_value") else (d.dim_param or None) for d in value.type.tensor_type.shape.dim]


def _as_image(value: ValueInfoProto) -> ImageInput | None:
    dtype = IMAGES.get(int(value.type.tensor_type.elem_type))
    shape: Sequence[Dimension] = dimensions(value) or (None, None, None, None)
    if dtype is None or len(shape) != 4:
        return None
    channels = [not isinstance(shape[axis], int) or shape[axis] == 3 for axis in (1, 3)]
    last = shape[3] == 3 and shape[1] != 3
    if not channels[1 if last else 0]:
        return None
    size = (shape[1], shape[2]) if last else (shape[2], shape[3])
    return ImageInput(value.name, dtype, last, shape[0], size)


def _shown(value: ValueInfoProto) -> str:
    shape = dimensions(value)
    kind = TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    return f"({', '.join('?' if d is None else str(d) for d in shape)}) {kind}" if shape is not None else kind


@dataclass(frozen=True)
class Feed:
    """A value for an input that takes no image."""

    value: ValueInfoProto
    array: npt.NDArray[np.generic]  # a number, or as it is wanted
    batch: Dimension  # of the image input: a dimension of that name follows the images

    def of(self, images: int) -> npt.NDArray[np.generic]:
        """For so many images."""
        wanted = dimensions(self.value) or []
        follows = [isinstance(d, str) and d == self.batch for d in wanted]
        if self.array.ndim:
            return np.repeat(self.array, images, axis=0) if follows[:1] == [True] else self.array
        shape = [images if own else d for own, d in zip(follows, wanted, strict=True)]
        return np.full([d if isinstance(d, int) else 1 for d in shape], self.array)


def find_feeds(graph: Graph, image: ImageInput, given: Mapping[str, str]) -> dict[str, Feed]:
    """The values ``given`` as texts, numbers or ``.npy`` files, by input. Raises BadInput."""
    others = {value.name: value for value in graph.inputs if value.name != image.name}
    strange = next((name for name in given if name not in others), None)
    if strange is not None:
        known = f"beside the image {image.name!r} it has {', '.join(others)}" if others else "it has the image alone"
        raise BadInput(f"no input {strange!r} to feed; {known}")
    return {name: Feed(others[name], _array(others[name], text, image), image.batch) for name, text in given.items()}


def _array(value: ValueInfoProto, text: str, image: ImageInput) -> npt.NDArray[np.generic]:
    kind = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    try:
        found = np.load(Path(text), allow_pickle=False) if text.endswith(".npy") else np.array(float(text))
    except (OSError, ValueError) as error:
        raise BadInput(f"--feed {value.name}={text}: that is neither a number nor a readable .npy file") from error
    wanted = dimensions(value)
    if found.ndim and wanted is not None:
        sides = [1 if isinstance(d, str) and d == image.batch else d for d in wanted]
        pairs = zip(sides, found.shape, strict=False)
        if len(sides) != found.ndim or any(isinstance(side, int) and side != n for side, n in pairs):
            raise BadInput(
                f"--feed {value.name}={text}: an array of shape {found.shape}, where {_shown(value)} belongs, the same "
                "for all images"
            )
    return np.asarray(found.astype(kind))


def needed(part_inputs: Sequence[ValueInfoProto], image: ImageInput, feeds: Mapping[str, Feed]) -> dict[str, Feed]:
    """The feeds of those inputs that a part of the model needs. Raises BadInput for one that was not given."""
    names = [value.name for value in part_inputs if value.name != image.name]
    lacking = [value for value in part_inputs if value.name in names and value.name not in feeds]
    if lacking:
        shown = ", ".join(f"{value.name} {_shown(value)}" for value in lacking)
        raise BadInput(f"beside the image {image.name!r} the layers need {shown}: --feed {lacking[0].name}=VALUE")
    return {name: feeds[name] for name in names}
