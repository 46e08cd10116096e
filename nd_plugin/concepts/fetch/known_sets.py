"""Concept sets that can be fetched: where they were published, and what is known of their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nd_plugin.errors import BadInput, nearest


@dataclass(frozen=True)
class KnownSet:
    """Published concept set, an archive for each size of its images."""

    name: str
    stem: str  # "broden1": the archive of size 224 is broden1_224.zip
    sizes: tuple[int, ...]  # pixels of a side; the first is the usual one
    marker: str  # file at the top of the set's folder
    mirrors: tuple[
        str, ...
    ]  # beginnings of addresses, in the order in which they are tried
    # by size, in pooch's notation: algorithm:digits
    hashes: Mapping[int, str]

    def folder_name(self, size: int) -> str:
        """Return the name of the set's folder, in the archive and in the cache."""
        return f"{self.stem}_{size}"

    def archive_name(self, size: int) -> str:
        """Return the name of the archive."""
        return f"{self.folder_name(size)}.zip"

    def urls(self, size: int) -> tuple[str, ...]:
        """Return the known addresses of the archive."""
        name = self.archive_name(size)
        return tuple(f"{mirror}{name}" for mirror in self.mirrors)

    def check_size(self, size: int) -> None:
        """Raise BadInput for a size in which the set was not published."""
        if size not in self.sizes:
            sizes = ", ".join(map(str, self.sizes))
            raise BadInput(f"--size {size}: {self.name} was published as {sizes}")


BRODEN = KnownSet(
    name="broden",
    stem="broden1",
    sizes=(224, 227, 384),
    marker="index.csv",
    mirrors=(
        # the project's own, and a second copy of the same laboratory
        "http://netdissect.csail.mit.edu/data/",
        "http://data.csail.mit.edu/soundnet/actions3/",
        # of the archive's captures the one next to 2024, as it was served (id_)
        "https://web.archive.org/web/2024id_/http://netdissect.csail.mit.edu/data/",
    ),
    # Of a third party: the script of another project that compares it after downloading. The
    # authors have published none.
    hashes=MappingProxyType({224: "md5:be13c292eaef3300da03f8d0e48eab1c"}),
)
SETS = (BRODEN,)


def known_set(name: str) -> KnownSet:
    """Return the set of a name. Raises BadInput, which lists the known ones."""
    for known in SETS:
        if known.name == name:
            return known
    names = [known.name for known in SETS]
    similar = nearest(name, names, most=1)
    hint = f"; the nearest is {similar[0]!r}" if similar else ""
    raise BadInput(
        f"no set {name!r} can be fetched{hint}; there is {', '.join(names)} "
        "(sets of your own: nd concepts build)"
    )
