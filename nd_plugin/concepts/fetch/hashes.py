"""Hashes of archives: known ones, those of the user, and those of an earlier fetch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nd_plugin.errors import BadInput

ALGORITHMS = ("md5", "sha1", "sha256", "sha512")
DIGITS = re.compile(r"[0-9a-f]+")
USER = "as --hash says"
THIRD_PARTY = "as a third party published it"
EARLIER = "as of the archive that was fetched before"


class HashDiffers(Exception):
    """Archive with another hash than the known one."""

    def __init__(self, reason: str, actual: str) -> None:
        super().__init__(reason)
        self.actual = actual  # algorithm:digits


@dataclass(frozen=True)
class Hash:
    """Hash of a file, with who says so."""

    algorithm: str
    digits: str  # hexadecimal, lower case
    source: str

    @classmethod
    def parse(cls, text: str, source: str = USER) -> Hash:
        """Parse ``md5:DIGITS``, or digits whose number tells the algorithm. Raises BadInput."""
        head, _, digits = text.strip().lower().rpartition(":")
        names = [name for name in ALGORITHMS if _length(name) == len(digits)]
        is_known = bool(names) and head in ("", *names)
        if not is_known or not DIGITS.fullmatch(digits):
            raise BadInput(
                f"--hash {text!r} is no hash: expected one of {', '.join(ALGORITHMS)}, a colon, "
                "and its hexadecimal digits"
            )
        return cls(names[0], digits, source)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digits}"


def hashes_of(path: Path, known: Sequence[Hash]) -> dict[str, str]:
    """Return a file's sha256, md5, and hashes of the known kinds, by algorithm. Raises OSError."""
    import pooch

    algorithms = {"sha256", "md5", *(item.algorithm for item in known)}
    return {name: pooch.file_hash(path, alg=name) for name in sorted(algorithms)}


def compare_hashes(actual: Mapping[str, str], known: Sequence[Hash]) -> str:
    """Compare a file's hashes with the known ones, and say with which. Raises HashDiffers."""
    for item in known:
        digits = actual[item.algorithm]
        if digits != item.digits:
            raise HashDiffers(
                f"its {item.algorithm} is {digits}, and {item.digits} is expected, "
                f"{item.source}",
                f"{item.algorithm}:{digits}",
            )
    return "; ".join(f"{item.algorithm} {item.source}" for item in known)


def _length(algorithm: str) -> int:
    return hashlib.new(algorithm, usedforsecurity=False).digest_size * 2
