"""Working sizes: image sizes that a model runs on, for one that fails on the assumed size."""

from __future__ import annotations

from collections.abc import Callable

from nd_onnxruntime.image_input import ImageInput, Size

USUAL_SIZES: tuple[
    Size, ...
] = (  # of networks that read lines of text, then of others
    (48, 320),
    (32, 320),
    (64, 256),
    (32, 100),
    (224, 224),
    (256, 256),
    (320, 320),
    (384, 384),
    (416, 416),
    (512, 512),
    (640, 640),
    (299, 299),
    (192, 192),
    (160, 160),
    (128, 128),
    (112, 112),
    (96, 96),
    (64, 64),
    (32, 32),
    (28, 28),
)


def size_advice(image: ImageInput, size: Size, runs: Callable[[Size], bool]) -> str:
    """Return what to do where a model fails on images of a size; empty where it takes no other.

    ``runs`` returns whether the whole model runs on an image of a size.
    """
    if all(isinstance(side, int) for side in image.size):
        return ""
    working = find_working_size(image, size, runs)
    example = "HEIGHTxWIDTH" if working is None else f"{working[0]}x{working[1]}"
    remark = "" if working is None else ", on which it runs"
    return (
        f"the image had {size[0]}x{size[1]} pixels and the file leaves the size open: give the "
        f"size that the model was made for (--input-size {example}{remark})"
    )


def find_working_size(
    image: ImageInput, size: Size, runs: Callable[[Size], bool]
) -> Size | None:
    """Return the first usual size on which a model runs; None where there is none.

    ``size``, on which it has failed, is not tried again.
    """
    for candidate in USUAL_SIZES:
        if candidate != size and _takes(image, candidate) and runs(candidate):
            return candidate
    return None


def _takes(image: ImageInput, size: Size) -> bool:
    for declared, side in zip(image.size, size, strict=True):
        if isinstance(declared, int) and declared != side:
            return False
    return True
