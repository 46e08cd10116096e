"""Names of files in tables of a concept set: relative paths that stay inside the set.

The folder that names start from may be a link itself: whoever made the set has put it there. Below
it, a name leads out of the set neither by ``..`` nor through a link.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from nd_plugin.errors import ConceptSetInvalid

ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:[/\\]")
REMEDY = "write its path below that folder, and put the file there"


def check_relative(name: str, folder: Path, position: str) -> None:
    """Raise ConceptSetInvalid for a name that is no relative path inside ``folder``.

    ``position`` is the file and line that has the name. No file is looked at.
    """
    if ".." not in name and not ABSOLUTE.match(name):
        return
    normal = os.path.normpath(name.replace("\\", "/"))
    if ABSOLUTE.match(name) or normal == ".." or normal.startswith("../"):
        raise ConceptSetInvalid(
            f"{position}: {name!r} is outside {folder}, which is not read; {REMEDY}"
        )


@dataclass
class NamedFiles:
    """Files below one folder of a set, by the names that a table has for them.

    ``root`` is the set's folder, ``folder`` the one that names start from; either may be a link.
    With ``follows_links``, links below them may lead anywhere; ``remedy`` says how to allow it.
    """

    root: Path
    folder: Path
    follows_links: bool = False
    remedy: str = ""
    # real paths that names may lead to
    _inside: tuple[str, ...] = field(init=False)
    _checked_parents: set[str] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        """Resolve the folders once."""
        folders = (self.root, self.folder)
        self._inside = tuple(os.path.realpath(folder) for folder in folders)

    def check(self, name: str, position: str) -> None:
        """Check a name and the folder that it lies in. Raises ConceptSetInvalid."""
        parent = name.rpartition("/")[0]
        # a plain name in a folder that is checked: sets have hundreds of thousands
        if parent in self._checked_parents and ".." not in name:
            return
        check_relative(name, self.folder, position)
        if parent:
            self._check_real(parent, f"{position}: {name!r}")
            if ".." not in name:
                self._checked_parents.add(parent)

    def path(self, name: str) -> Path:
        """Return the path of a file. Raises ConceptSetInvalid for a link that leads out."""
        path = self.folder / name
        if path.is_symlink():
            self._check_real(name, f"{name!r} of {self.root}")
        return path

    def _check_real(self, name: str, what: str) -> None:
        """Check that a name's real path is inside the set. Raises ConceptSetInvalid."""
        if self.follows_links:
            return
        real = os.path.realpath(self.folder / name)
        if not any(_is_below(real, folder) for folder in self._inside):
            raise ConceptSetInvalid(
                f"{what} leads through a link to {real}, outside the set's folder "
                f"{self.root}, which is not read: copy the file there{self.remedy}"
            )


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
