"""Files of the masks format: images below images/ and masks below masks/CATEGORY/."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from nd_plugin import ConceptSetInvalid, FolderListing, list_files
from nd_plugin.reading import existing_root

NAMES_LISTED = 6  # of files and folders, in a message


def existing_folder(root: str) -> Path:
    """Return the folder that ``masks:ROOT`` names. Raises ConceptSetInvalid if there is none."""
    return existing_root(root, "masks:ROOT", "the folder with images/ and masks/")


def find_images(root: Path) -> FolderListing:
    """List the files below images/, in all formats that Pillow can open, each of them once."""
    images = list_files(root / "images", image_endings())
    if not images.paths:
        raise ConceptSetInvalid(_no_images(root))
    return images


def image_endings() -> list[str]:
    """Return the endings of the formats that Pillow can open."""
    formats = Image.registered_extensions()
    return [ending for ending, name in formats.items() if name in Image.OPEN]


def _no_images(root: Path) -> str:
    """Return the message for a folder without images, with what it holds instead."""
    folder = root / "images"
    if folder.is_dir():
        return f"no images in {folder}, in a format that Pillow can open"
    return f"no images in {folder}: no such folder; {root} holds {listed_entries(root)}"


def listed_entries(folder: Path) -> str:
    """Return the names of the first files and folders in a folder, for a message."""
    names = sorted(path.name for path in folder.iterdir())
    listed = ", ".join(names[:NAMES_LISTED]) or "nothing"
    beyond = " …" if len(names) > NAMES_LISTED else ""
    return f"{listed}{beyond}"


def folder_names(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted, without hidden ones; none if absent."""
    if not folder.is_dir():
        return []
    return sorted(
        path.name
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )


def find_masks(
    root: Path, categories: Iterable[str], images: Iterable[str]
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Find the masks below masks/: paths by category and stem, and notes on what is left out.

    In the folders of ``images``, masks are found by their names, whatever files they are links to.
    """
    image_folders = {image.rpartition("/")[0] for image in images}
    masks = {}
    notes = []
    for category in categories:
        folder = root / "masks" / category
        listing = list_files(folder, [".png"], image_folders)
        masks[category] = {
            stem(path): f"{category}/{path}" for path in listing.paths
        }
        if folder.is_dir():
            notes += listing.notes(f"masks/{category}")
    return masks, notes


def first_file(folder: Path, endings: Iterable[str]) -> str | None:
    """Return the relative path of the first file below a folder that has one of these endings."""
    return next(iter(list_files(folder, endings).paths), None)


def stem(path: str) -> str:
    """Return a relative path without its last ending."""
    return path.removesuffix(Path(path).suffix)


def size_in_bytes(path: Path) -> int:
    """Return a file's size, or -1 for a broken link: reading that file is what reports it."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
