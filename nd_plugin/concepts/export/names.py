"""Names of exported images: those of the set, made fit for files that do not meet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from PIL import Image

from nd_plugin.storage.names import folded_name, shortened

# of file systems, of tables (cells are stripped, ";" separates entries), and not to be printed
UNFIT = re.compile(r'[\x00-\x1f\x7f<>:"|?*;\\\ud800-\udfff]')
LONGEST_PART = 180  # bytes; a suffix for the category and an ending come behind it


def image_stems(names: Sequence[str], suffixes: re.Pattern[str]) -> list[str]:
    """Return a path without ending for each image, below images/; all are different.

    ``suffixes`` matches the end of a name that makes it look like a mask of another image, such as
    ``_object`` behind that image's own name.
    """
    stems = [_fit_stem(name) for name in names]
    own_names = {folded_name(stem) for stem in stems}
    taken: set[str] = set()
    unique_stems = []
    for stem in stems:
        number = 1
        candidate = stem
        while _meets_others(candidate, taken, own_names, suffixes):
            number += 1
            candidate = f"{stem}-{number}"
        taken.add(folded_name(candidate))
        unique_stems.append(candidate)
    return unique_stems


def _meets_others(
    stem: str, taken: set[str], own_names: set[str], suffixes: re.Pattern[str]
) -> bool:
    """Return whether a name is taken, or is that of a mask of another image."""
    name = folded_name(stem)
    if name in taken:
        return True
    suffix = suffixes.search(name)
    return suffix is not None and name[: suffix.start()] in own_names


def _fit_stem(name: str) -> str:
    """Return an image's name without the ending of a picture, as a path that any system takes."""
    path = PurePosixPath(UNFIT.sub("_", name.replace("\\", "/")))
    if path.suffix.lower() in Image.registered_extensions():
        path = path.with_suffix("")
    parts = [_fit_part(part) for part in path.parts if part.strip("/")]
    return "/".join(parts) or "image"


def _fit_part(part: str) -> str:
    """Return a part of a path that is neither hidden nor a way up nor too long."""
    stripped = part.strip()
    beginning = "_" if stripped.startswith(".") or not stripped else ""
    visible = beginning + stripped.lstrip(".")
    return shortened(visible or "_", LONGEST_PART)
