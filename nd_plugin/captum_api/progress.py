"""Progress of a dissection on stderr, for Captum users and for the command line."""

from __future__ import annotations

import sys
import time
from typing import Any

LINE_INTERVAL = (
    30.0  # seconds between two lines about a stage where no bar can be shown
)


class StageProgress:
    """One tqdm bar per stage of a dissection, on stderr.

    Args:
        disable: Show nothing.
        summary_lines: Replace the bar of a finished stage by one line with its duration and rate.
            Where stderr is no terminal, print lines only: one every 30 seconds, and the summary.
    """

    def __init__(
        self, disable: bool = False, *, summary_lines: bool = False
    ) -> None:
        self._disable = disable
        self._summary_lines = summary_lines
        self._stage = ""
        self._bar: Any = None
        self._images_done = 0
        self._initial_images = 0  # done by an earlier, interrupted run
        self._stage_start = 0.0
        self._last_line = time.monotonic()

    def __enter__(self) -> StageProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_bar()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` images are done in ``stage``."""
        if self._disable:
            return
        if stage != self._stage or done < self._images_done:
            self._begin(stage, done, total)
        self._images_done = done
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
        if self._summary_lines:
            self._print_lines(total)

    def _begin(self, stage: str, done: int, total: int) -> None:
        self._close_bar()
        self._stage = stage
        self._initial_images = done
        self._stage_start = time.monotonic()
        if self._summary_lines and not sys.stderr.isatty():
            return
        from tqdm.auto import tqdm

        self._bar = tqdm(
            total=total,
            initial=done,
            desc=stage,
            unit="image",
            leave=not self._summary_lines,
        )

    def _print_lines(self, total: int) -> None:
        """Print a summary of a finished stage, and lines about another that has no bar."""
        now = time.monotonic()
        images = self._images_done - self._initial_images
        seconds = now - self._stage_start
        rate = f"{images / seconds:.1f} images/s" if images and seconds else ""
        if self._images_done == total:
            self._close_bar()
            if images:
                _print_line(
                    f"{self._stage}: {images} images in {seconds:.1f} s, {rate}",
                    "dim",
                )
        elif self._bar is None and now - self._last_line > LINE_INTERVAL:
            self._last_line = now
            _print_line(
                f"{self._stage}: {self._images_done} of {total} images, {rate}"
            )

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _print_line(text: str, style: str = "") -> None:
    from rich.console import Console
    from rich.text import Text

    # in a notebook, too, a line on stderr and no display
    console = Console(stderr=True, highlight=False, force_jupyter=False)
    console.print(Text(text, style=style), soft_wrap=True)
