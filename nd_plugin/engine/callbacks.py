"""Callbacks of the passes: progress, and saving the state."""

from __future__ import annotations

from collections.abc import Callable

from nd_plugin.engine.candidates import Candidates
from nd_plugin.engine.state import State

Progress = Callable[[str, int, int], None]  # stage, images done, images in all


def silent(stage: str, done: int, total: int) -> None:
    """Show no progress."""


class StateSaver:
    """Saver of the state of a part while it runs.

    This base class saves nothing; `resuming.checkpoint.CheckpointSaver` does.
    """

    def watch(self, candidates: Candidates, file_number: int) -> None:
        """Take note of new candidates, whose file gets the number ``file_number``."""

    def due(self, images: int) -> bool:
        """Return whether the next `tick` of so many images saves the state."""
        return False

    def tick(self, state: State, images: int) -> None:
        """Take note that so many more images are done; save the state if it is due."""

    def save(self, state: State) -> None:
        """Save the state now."""
