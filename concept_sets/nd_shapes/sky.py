"""Things in the sky."""

from __future__ import annotations

from nd_shapes.pen import Pen, sketch

_ENVELOPES = (
    "striped",
    "striped",
    "zigzagged",
    "chequered",
    "banded",
    "polka-dotted",
)


@sketch("sun", height=16, aspect=100)
def sun(pen: Pen) -> None:
    """Draw the sun with a halo."""
    pen.lighten(-60, -60, 160, 160, 26)
    pen.lighten(-20, -20, 120, 120, 30)
    glow = pen.coat("", "yellow", "yellow", "orange", level=210)
    pen.oval(0, 0, 100, 100, glow)


@sketch("moon", height=14, aspect=100)
def moon(pen: Pen) -> None:
    """Draw the full moon with a halo."""
    pen.lighten(-50, -50, 150, 150, 60)
    rock = pen.coat("stone", "white", "yellow", level=190, cell=60)
    pen.oval(0, 0, 100, 100, rock)


@sketch("cloud", height=14, aspect=240)
def cloud(pen: Pen) -> None:
    """Draw a heap of cloud."""
    colors = ("white", "white", "white", "grey")
    vapour = pen.coat("", *colors, level=170, light="round", cell=60)
    for _ in range(pen.dice.whole(4, 6)):
        x = pen.dice.whole(0, 62)
        y = pen.dice.whole(0, 40)
        pen.oval(x, y, x + 38, y + 66, vapour)
    base = [(0, 62), (100, 62), (104, 100), (-4, 100)]
    pen.blob(base, vapour)


@sketch("balloon", height=50, aspect=72)
def balloon(pen: Pen) -> None:
    """Draw a hot-air balloon."""
    cloth = pen.printed("fabric", textures=_ENVELOPES, period=28, light="round")
    rope = pen.coat("fabric", "brown", "black")
    for top, foot in ((30, 42), (68, 56)):
        line = [(top, 66), (top + 2, 66), (foot + 2, 88), (foot, 88)]
        pen.polygon(line, rope)
    wicker = pen.printed("wood", "brown", "yellow", textures=("woven",), period=10)
    envelope = [(10, 0), (90, 0), (108, 34), (64, 82), (36, 82), (-8, 34)]
    pen.blob(envelope, cloth, "envelope")
    pen.rect(40, 86, 60, 100, wicker, "basket")


@sketch("kite", height=26, aspect=80)
def kite(pen: Pen) -> None:
    """Draw a kite and its tail."""
    tail = [(48, 60), (52, 60), (60, 78), (46, 100), (43, 98), (55, 79)]
    pen.polygon(tail, pen.coat("fabric"), "tail")
    sail = [(50, 0), (92, 26), (50, 66), (8, 26)]
    pen.polygon(sail, pen.printed("fabric", period=24), "sail")
    crossbar = [(8, 25), (92, 25), (92, 28), (8, 28)]
    pen.polygon(crossbar, pen.coat("wood", "brown"))
