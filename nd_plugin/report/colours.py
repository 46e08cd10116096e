"""Colours of reports and of categories: the same in terminals, on pages and in plots.

Each is readable on dark and on light backgrounds. A colour can stand out from black and from white
alike only in the middle of the scale of luminance: each of these has a contrast (WCAG 2) of 3.5 or
more to black, to white, and to the usual backgrounds between. All lie in the palette of terminals
with 256 colours, so that those show them unchanged. The 16 colours of a terminal's own theme
promise nothing of the kind: its yellow is lost on white, its blue on black.

Broden's six categories are told apart by colour-blind readers as well as the eight colours of
Okabe and Ito are, whose lightness varies, and which are therefore lost on white: any two differ by
17 or more (CIE 1976) as protanopes and deuteranopes see them (Machado et al. 2009). The further
colours differ as far as the palette allows.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

from nd_plugin.borders.printable import utf8

GOOD = "#008700"
WARNING = "#af5f00"
FAILURE = "#ff0000"
FAINT = "#767676"  # of what is secondary
OF_CATEGORY = {
    "object": "#0087d7",  # blue
    "part": "#5f5fff",  # violet
    "scene": "#d700af",  # magenta
    "material": "#d75f00",  # orange
    "texture": "#00875f",  # green
    "color": "#ff005f",  # rose
}
FURTHER = ("#878700", "#af5f87", "#008787", "#af5fd7")  # olive, mauve, teal, purple


def category_colour(category: str) -> str:
    """Return the colour of a category, "#rrggbb": it depends on nothing but the name.

    Two categories of one concept set can share a colour here; see `category_colours`.
    """
    return OF_CATEGORY.get(category) or _preferred(category, FURTHER)[0]


def category_colours(categories: Iterable[str]) -> dict[str, str]:
    """Return the colour of each category of one concept set, in the order of the categories.

    Each has the colour of `category_colour`, unless that is taken by a category that precedes it
    in the alphabet: then the next free one. Ten categories have ten colours, if those of Broden
    among them have their own names.
    """
    names = list(dict.fromkeys(categories))
    colours = {name: OF_CATEGORY[name] for name in names if name in OF_CATEGORY}
    for name in sorted(set(names) - set(colours)):
        choices = (*_preferred(name, FURTHER), *OF_CATEGORY.values())
        taken = set(colours.values())
        free = [colour for colour in choices if colour not in taken]
        colours[name] = (free or choices)[0]
    return {name: colours[name] for name in names}


def _preferred(name: str, colours: Sequence[str]) -> Sequence[str]:
    """Return colours in the order in which a name takes them."""
    first = zlib.crc32(utf8(name)) % len(colours)
    return [*colours[first:], *colours[:first]]
