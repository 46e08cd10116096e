"""Parts of a probe data set: the work of one process or one machine."""

from __future__ import annotations

from dataclasses import dataclass

from nd_plugin.errors import BadInput


@dataclass(frozen=True)
class Part:
    """Part of a probe data set: every ``of``-th batch, from batch ``index`` on."""

    index: int = 0
    of: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.of:
            raise BadInput(
                f"shard {self.index + 1}/{self.of}: shards are 1/{self.of} to {self.of}/{self.of}"
            )

    def part(self, index: int, of: int) -> Part:
        """Return part ``index`` of this part, divided into ``of``."""
        return Part(self.index + index * self.of, self.of * of)

    def batch_numbers(self, batches: int) -> range:
        """Return the numbers of the part's batches, of all ``batches`` of the probe data set."""
        return range(self.index, batches, self.of)

    def __str__(self) -> str:
        return f"{self.index + 1}/{self.of}"


WHOLE = Part()


def parse_part(text: str) -> Part:
    """Parse the text of a part: ``3/16`` is the third of sixteen. Raises BadInput."""
    index, _, of = text.partition("/")
    if not (index.isdecimal() and of.isdecimal() and int(of) > 0):
        raise BadInput(
            f"shard {text!r} is not of the form 3/16, the third of sixteen"
        )
    return Part(int(index) - 1, int(of))
