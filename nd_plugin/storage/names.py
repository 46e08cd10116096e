"""Names that a file system takes: checked before a run, and shortened where they are ours."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Collection
from pathlib import Path

from nd_plugin.errors import BadInput

NAME_BYTES = 255  # of most file systems, where the system does not tell
PATH_BYTES = 4096
SHORT_BYTES = 120  # of names that are shortened; longer ones keep their beginning
SHOWN = 40  # characters of a long name in a message
DIGITS = 8  # hexadecimal, of a checksum
# Names that Windows takes for devices, with whatever ending.
DEVICES = frozenset(
    ["con", "prn", "aux", "nul"]
    + [f"{kind}{number}" for kind in ("com", "lpt") for number in range(1, 10)]
)


def expanded_home(path: str | Path) -> Path:
    """Return a path with ``~`` and ``~user`` expanded; as it is where there is no such home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def shortened(name: str, longest: int = SHORT_BYTES) -> str:
    """Return a name of at most ``longest`` bytes: itself, or its beginning and a checksum."""
    encoded = name.encode(errors="surrogateescape")
    if len(encoded) <= longest:
        return name
    checksum = hashlib.sha256(encoded).hexdigest()[:DIGITS]
    beginning = encoded[: longest - DIGITS - 1].decode(errors="ignore")
    return f"{beginning}-{checksum}"


def unused_name(name: str, taken: Collection[str]) -> str:
    """Return ``name``, or ``name-2``, ``name-3`` …: the first that is not taken.

    Names that differ in case or in the composition of letters are one: they are the same file
    on some file systems.
    """
    folded_names = {folded_name(used) for used in taken}
    number = 1
    unused = name
    while folded_name(unused) in folded_names:
        number += 1
        unused = f"{name}-{number}"
    return unused


def folded_name(name: str) -> str:
    """Return what names have in common that some file system takes for the same."""
    return unicodedata.normalize("NFC", name).casefold()


def is_device(name: str) -> bool:
    """Return whether Windows takes a name for a device, or drops its end."""
    return name.partition(".")[0].casefold() in DEVICES or name.endswith(".")


def check_path(path: Path, suffix: str = "") -> None:
    """Raise BadInput for a path that cannot be the name of a file or folder.

    ``suffix`` is what is added to the name for a file or folder beside it.
    """
    if "\0" in str(path):
        raise BadInput(f"{str(path)!r} holds a NUL character, which no name may")
    try:
        length = len(os.fsencode(path.absolute())) + len(suffix)
    except UnicodeEncodeError as error:
        raise BadInput(
            f"{str(path)!r} cannot be encoded as the name of a file: {error.reason}"
        ) from error
    parts = [part for part in path.parts if part != path.anchor]
    suffixes = [""] * max(len(parts) - 1, 0) + [suffix]
    parent = nearest_folder(path)
    limit = _limit(parent, "PC_NAME_MAX", NAME_BYTES)
    for part, addition in zip(parts, suffixes, strict=False):
        _check_length(part, addition, limit)
    longest_path = _limit(parent, "PC_PATH_MAX", PATH_BYTES) - 1
    if length > longest_path:
        raise BadInput(
            f"{_shown(str(path))} is a path of {length} bytes, and the system takes "
            f"{longest_path}: choose a shorter one"
        )


def nearest_folder(path: Path) -> Path:
    """Return the nearest of the parents of a path that exists, whatever it is."""
    for parent in path.absolute().parents:
        try:
            if parent.exists():
                return parent
        except OSError:  # its name is too long
            continue
    return Path(path.absolute().anchor)


def _check_length(part: str, suffix: str, limit: int) -> None:
    size = len(os.fsencode(part))
    if size + len(suffix) <= limit:
        return
    addition = f", and {len(suffix)} more for {suffix}" if suffix else ""
    raise BadInput(
        f"the name {_shown(part)} has {size} bytes{addition}; the file system takes "
        f"{limit}: choose a shorter one"
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")


def _limit(folder: Path, kind: str, default: int) -> int:
    """Return a limit of the system for names in a folder, in bytes."""
    try:
        return os.pathconf(folder, kind)
    except (OSError, ValueError, AttributeError):  # Windows has none
        return default
