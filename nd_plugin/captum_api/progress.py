"""Progress of a dissection on stderr, for Captum users and for the command line."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from nd_plugin.borders.printable import one_line

# seconds between two lines about a stage where no bar can be shown
LINE_INTERVAL = 30.0
LOGGER = logging.getLogger("nd_plugin")


class StageProgress:
    """One tqdm bar per stage of a dissection, on stderr.

    Args:
        disable: Show nothing.
        summary_lines: Replace the bar of a finished stage by one line with its duration and rate.
            Where stderr is no terminal there are lines only: one every 30 seconds, and the summary.
            They are records of the logger ``nd_plugin``, of the level INFO.
        bars: Show bars where stderr is a terminal.
    """

    def __init__(
        self,
        disable: bool = False,
        *,
        summary_lines: bool = False,
        bars: bool = True,
    ) -> None:
        self._disable = disable
        self._summary_lines = summary_lines
        self._bars = bars
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
            self._log_lines(total)

    def _begin(self, stage: str, done: int, total: int) -> None:
        self._close_bar()
        self._stage = stage
        self._initial_images = done
        self._stage_start = time.monotonic()
        if self._summary_lines and not (self._bars and sys.stderr.isatty()):
            return
        from tqdm.auto import tqdm

        self._bar = tqdm(
            total=total,
            initial=done,
            desc=one_line(stage),
            unit="image",
            leave=not self._summary_lines,
        )

    def _log_lines(self, total: int) -> None:
        """Log a summary of a finished stage, and lines about another that has no bar."""
        now = time.monotonic()
        images = self._images_done - self._initial_images
        seconds = now - self._stage_start
        rate = f"{images / seconds:.1f} images/s" if images and seconds else ""
        if self._images_done == total:
            self._close_bar()
            if images:
                LOGGER.info(
                    "%s: %d images in %.1f s, %s",
                    self._stage,
                    images,
                    seconds,
                    rate,
                )
        elif self._bar is None and now - self._last_line > LINE_INTERVAL:
            self._last_line = now
            LOGGER.info(
                "%s: %d of %d images, %s",
                self._stage,
                self._images_done,
                total,
                rate,
            )

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
