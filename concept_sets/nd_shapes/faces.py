"""Features that the faces of people and animals share."""

from __future__ import annotations

from nd_shapes.canvas import Coat
from nd_shapes.pen import Pen


def eye(pen: Pen, x: int, y: int, radius: int, iris_color: str = "white") -> None:
    """Draw an eye: iris, pupil and a glint in its upper left quarter."""
    iris = pen.coat("", iris_color, level=200)
    pen.disc(x, y, radius, iris, "head/eye")
    pupil_radius = radius * 5 // 9
    pupil = pen.coat("", "black", level=40)
    pen.disc(x, y, pupil_radius, pupil, "head/eye")
    glint = pen.coat("", "white", level=240)
    pen.oval(x - pupil_radius, y - pupil_radius, x, y, glint, "head/eye")


def pink_skin(pen: Pen) -> Coat:
    """Return the coat of bare skin: noses, udders and the insides of ears."""
    return pen.coat("skin", "pink", level=140)
