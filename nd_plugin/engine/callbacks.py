"""Callbacks of the passes: progress, and who saves the state."""

from __future__ import annotations

from collections.abc import Callable

from nd_plugin.engine.candidates import Candidates
from nd_plugin.engine.state import State

Progress = Callable[[str, int, int], None]  # stage, images done, images in all


def silent(stage: str, done: int, total: int) -> None:
    """Shows no progress."""


class StateSaver:
    """Keeps the state of a part while it runs; this one keeps nothing (see `checkpoint`)."""

    def watch(self, candidates: Candidates, place: int) -> None:
        """The candidates of a layer, the ``place``-th, begin."""

    def due(self, images: int) -> bool:
        """Whether the state is kept when so many images more are done."""
        return False

    def tick(self, state: State, images: int) -> None:
        """So many images more are done."""

    def save(self, state: State) -> None:
        """Keep the state as it is."""
