"""Splits of images by a hash of their names: the same whatever else is in the set.

Broden's own: MD5 of an image's name in index.csv as a fraction from 0 to 1; the rows of index.csv
are in its order, and those up to 0.7 are for training.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass

from nd_plugin.errors import BadInput

BRODEN = "train=0.7,val=0.3"
NAME = re.compile(r"[A-Za-z0-9_-]+")
ROUNDING = 1e-9  # of shares that a user has written as decimals
DIGEST_BYTES = 8
HASHES = 2**64


@dataclass(frozen=True)
class Splits:
    """Shares of images by the name of a split, in order; they add up to 1."""

    shares: tuple[tuple[str, float], ...]
    seed: int = 0  # 0: Broden's own order and splits

    @classmethod
    def parse(cls, text: str = BRODEN, seed: int = 0) -> Splits:
        """Read ``train=0.7,val=0.3``. Raises BadInput for anything else."""
        shares = dict(_parse_share(part, text) for part in text.split(","))
        if len(shares) < len(text.split(",")):
            raise BadInput(f"--split {text!r} names a split twice")
        total = math.fsum(shares.values())
        if abs(total - 1) > ROUNDING:
            raise BadInput(
                f"--split {text!r}: the shares add up to {total:g}; they have to add up to 1"
            )
        return cls(tuple(shares.items()), seed)

    def position(self, name: str) -> float:
        """Return the fraction from 0 to 1 that an image's name is hashed to."""
        salted = f"{self.seed}:{name}" if self.seed else name
        digest = hashlib.md5(salted.encode(), usedforsecurity=False).digest()
        return int.from_bytes(digest[:DIGEST_BYTES], "big") / HASHES

    def split(self, name: str) -> str:
        """Return the split of an image."""
        position = self.position(name)
        cutoff = 0.0
        for split, share in self.shares:
            cutoff += share
            if position <= cutoff:
                return split
        # the last cutoff is 1, but for rounding
        return self.shares[-1][0]


def _parse_share(part: str, text: str) -> tuple[str, float]:
    name, _, number = part.strip().partition("=")
    try:
        share = float(number)
    except ValueError:
        share = math.nan
    if not NAME.fullmatch(name) or not 0 < share <= 1:
        raise BadInput(
            f"--split {text!r}: {part.strip()!r} is not NAME=SHARE with a share above 0 and at "
            "most 1, such as train=0.7,val=0.3"
        )
    return name, share
