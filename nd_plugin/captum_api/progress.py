"""Progress of a dissection as tqdm bars."""

from __future__ import annotations

from typing import Any


class TqdmProgress:
    """The engine's progress as one tqdm bar per stage."""

    def __init__(self, disable: bool) -> None:
        self._disable = disable
        self._stage = ""
        self._bar: Any = None

    def __enter__(self) -> TqdmProgress:
        return self

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` images are done in ``stage``."""
        from tqdm.auto import tqdm

        if stage != self._stage:
            self.__exit__()
            self._stage, self._bar = (
                stage,
                tqdm(total=total, desc=stage, unit="image", disable=self._disable),
            )
        self._bar.update(done - self._bar.n)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
