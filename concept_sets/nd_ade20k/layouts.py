"""Layouts in which ADE20K is distributed, told apart by what their folders hold."""

from __future__ import annotations

from pathlib import Path

from nd_ade20k.full import INDEX, FullAde, read_2016, read_2021
from nd_ade20k.scene_parsing import OBJECTS, SceneParsing
from nd_plugin import ConceptSetInvalid
from nd_plugin.reading import check_layout, existing_root, missing_names

# folders that archives unpack to
SCENE_PARSING = "ADEChallengeData2016"
OF_2016 = "ADE20K_2016_07_26"
OF_2021 = "ADE20K_2021_17_01"
LAYOUT = (
    f"{OF_2016} (images/training/, {INDEX}), {OF_2021} (images/ADE/training/) or {SCENE_PARSING} "
    f"(images/, annotations/, {OBJECTS})"
)
# what each of them has, the most telling first
NEEDED = {
    SCENE_PARSING: ("images", "annotations", OBJECTS),
    OF_2021: ("images/ADE",),
    OF_2016: ("images/training", INDEX),
}


def open_ade20k(root: str) -> FullAde | SceneParsing:
    """Open ADE20K in the layout that a folder has, which the set's notes say.

    Raises ConceptSetInvalid for a folder that has none, or holds several.
    """
    folder = existing_root(root, "ade20k:ROOT", LAYOUT)
    layouts = _layouts(folder)
    if len(layouts) > 1:
        names = ", ".join(f"ade20k:{path}" for path in layouts.values())
        raise ConceptSetInvalid(
            f"{root} holds ADE20K in several layouts: choose one of {names}"
        )
    if not layouts:
        _refuse(folder)
    layout, inner = next(iter(layouts.items()))
    note = f"read in the layout of {layout}"
    if inner != folder:
        note += f", from {inner.name} in {folder}"
    if layout == SCENE_PARSING:
        return SceneParsing(inner, f"ade20k:{root}", note)
    read = read_2021 if layout == OF_2021 else read_2016
    return FullAde(inner, f"ade20k:{root}", read(inner), note)


def _layouts(folder: Path) -> dict[str, Path]:
    """Return the layout that a folder has, else those of the folders that archives unpack to."""
    for layout, needed in NEEDED.items():
        if not missing_names(folder, needed):
            return {layout: folder}
    return {
        layout: folder / layout
        for layout, needed in NEEDED.items()
        if not missing_names(folder / layout, needed)
    }


def _refuse(folder: Path) -> None:
    """Raise ConceptSetInvalid with what is missing in a folder without a layout."""
    inner = folder / OF_2016
    folder = inner if inner.is_dir() else folder
    if (folder / "annotations").is_dir():
        check_layout(folder, NEEDED[SCENE_PARSING], SCENE_PARSING)
    if (folder / "images" / "training").is_dir():
        raise ConceptSetInvalid(
            f"{folder} has no {INDEX}, whose names the masks refer to by number; it comes with the "
            "images of 2016: put it beside images/"
        )
    check_layout(folder, ["images/training"], LAYOUT)
