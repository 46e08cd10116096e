"""Options of ``shapes``: numbers and sizes, from text or as integers."""

from __future__ import annotations

from nd_plugin import ConceptSetInvalid
from nd_shapes.raster import LARGEST_SIDE

EXAMPLE = "for example shapes?images=500&size=224&seed=0"
_SMALLEST_SIDE = 16  # pixels


def whole_number(option: str, value: int | str, smallest: int | None = None) -> int:
    """Return an option's value as an integer. Raises ConceptSetInvalid for anything else."""
    try:
        number = int(value)
    except ValueError:
        number = None
    if number is None or (smallest is not None and number < smallest):
        expected = "a whole number"
        if smallest is not None:
            expected += f" of at least {smallest}"
        raise ConceptSetInvalid(
            f"shapes: {option}={value} is not {expected}; {EXAMPLE}"
        )
    return number


def picture_size(value: int | str) -> tuple[int, int]:
    """Return (height, width) from ``N`` or ``HEIGHTxWIDTH``. Raises ConceptSetInvalid."""
    sides = str(value).lower().split("x")
    if len(sides) > 2 or not all(_is_side(side) for side in sides):
        raise ConceptSetInvalid(
            f"shapes: size={value} is not N or HEIGHTxWIDTH in pixels, "
            f"each {_SMALLEST_SIDE} to {LARGEST_SIDE}; {EXAMPLE}"
        )
    return int(sides[0]), int(sides[-1])


def _is_side(text: str) -> bool:
    if not text.isascii() or not text.isdigit():
        return False
    return _SMALLEST_SIDE <= int(text) <= LARGEST_SIDE
