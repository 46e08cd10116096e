"""Names of parts in plain words, of the short ones in Pascal-Part's files.

The data set's own list is ``part2ind.m``: a short name for each part, such as ``lfuleg``, with a
number where there are several, such as ``wheel_2``, and comments with the words of most of them.
"""

from __future__ import annotations

import re

SIDES = {"l": "left", "r": "right"}
ENDS = {"f": "front", "b": "back"}
NUMBERED = re.compile(r"_[0-9]{1,4}$")
# without a side
PLAIN = (
    "beak",
    "body",
    "cap",
    "coach",
    "door",
    "engine",
    "hair",
    "head",
    "headlight",
    "mouth",
    "muzzle",
    "neck",
    "nose",
    "plant",
    "pot",
    "saddle",
    "screen",
    "stern",
    "tail",
    "torso",
    "wheel",
    "window",
)
COMPOUND = {
    "chainwheel": "chain wheel",
    "handlebar": "handle bar",
    "leftmirror": "left mirror",
    "rightmirror": "right mirror",
    "fwheel": "front wheel",
    "bwheel": "back wheel",
    "fliplate": "front license plate",
    "bliplate": "back license plate",
}
# of the left and of the right
PAIRS = {
    "ear": "ear",
    "ebrow": "eyebrow",
    "eye": "eye",
    "foot": "foot",
    "hand": "hand",
    "horn": "horn",
    "larm": "lower arm",
    "leg": "leg",
    "lleg": "lower leg",
    "uarm": "upper arm",
    "uleg": "upper leg",
    "wing": "wing",
}
# of the front and of the back, each left and right
QUARTERS = {
    "ho": "hoof",
    "leg": "leg",
    "lleg": "lower leg",
    "pa": "paw",
    "uleg": "upper leg",
}
# of vehicles, and of the head and the coaches of a train
VEHICLES = {"": "", "h": "head ", "c": "coach "}
VEHICLE_SIDES = ("front", "left", "right", "back", "roof")


def _all_names() -> dict[str, str]:
    names = {name: name for name in PLAIN}
    names |= COMPOUND
    for side, side_word in SIDES.items():
        for short, word in PAIRS.items():
            names[f"{side}{short}"] = f"{side_word} {word}"
        for end, end_word in ENDS.items():
            for short, word in QUARTERS.items():
                names[f"{side}{end}{short}"] = f"{side_word} {end_word} {word}"
    for vehicle, word in VEHICLES.items():
        for side in VEHICLE_SIDES:
            names[f"{vehicle}{side}side"] = f"{word}{side} side"
    return names


PART_NAMES = _all_names()


def plain_name(name: str) -> str | None:
    """Return a part's name in plain words, without its number; None for one that is not known."""
    return PART_NAMES.get(NUMBERED.sub("", name))
