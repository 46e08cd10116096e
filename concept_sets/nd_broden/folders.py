"""Folders of Broden: those that are named, and those that were fetched."""

from __future__ import annotations

from pathlib import Path

from nd_plugin import ConceptSetInvalid
from nd_plugin.reading import existing_root, fetched_set

SIZES = ("224", "227", "384")  # pixels of a side, as they were published
LAYOUT = "the folder with index.csv (nd concepts fetch broden fetches one)"


def find_folder(root: str, size: str) -> tuple[Path, str]:
    """Return a set's folder, and the size of a fetched one; "" of one that is named.

    Raises ConceptSetInvalid where there is none.
    """
    if root:
        if size:
            raise ConceptSetInvalid(
                f"broden: size={size} chooses among fetched sets, and {root!r} is a folder: name "
                "one of the two"
            )
        return existing_root(root, "broden:ROOT", LAYOUT), ""
    if size and size not in SIZES:
        raise ConceptSetInvalid(
            f"broden: size={size} is none of {', '.join(SIZES)}, in which Broden was published"
        )
    for fetched_size in [size] if size else SIZES:
        folder = fetched_set("broden", int(fetched_size))
        if folder is not None:
            return folder, fetched_size
    option = f" --size {size}" if size else ""
    raise ConceptSetInvalid(
        "no folder given; expected broden:ROOT, where ROOT is the folder with index.csv, or fetch "
        f"the set first: nd concepts fetch broden{option}"
    )
