"""Plots of results: the options ``--plot`` and ``--plot-kind``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nd_plugin.cli import console
from nd_plugin.contracts.provenance import Settings
from nd_plugin.errors import BadInput
from nd_plugin.plots.kinds import (
    DEFAULT_KIND,
    KINDS,
    PlotKind,
    check_plot,
    plot_kind,
)
from nd_plugin.plots.named_results import Result


@dataclass(frozen=True)
class PlotFile:
    """File to draw into, and the kind of plot by name; no file: nothing to draw."""

    path: Path | None = None
    kind: str | None = None  # None: the command's own

    def __post_init__(self) -> None:
        """Raise BadInput for a kind without a file."""
        if self.path is None and self.kind is not None:
            raise BadInput(
                f"--plot-kind {self.kind} needs a file to draw into: --plot FILE"
            )

    def check_kind(self, kinds: Sequence[str]) -> None:
        """Raise BadInput for a kind that is none of these."""
        if self.kind not in (None, *kinds):
            raise BadInput(
                f"no kind of plot {self.kind!r}; known are {', '.join(kinds)}"
            )

    def check(self, *, has_pictures: bool = False) -> None:
        """Check before a run that the file can be written. Raises BadInput, Unavailable."""
        if self.path is not None:
            check_plot(self.path, has_pictures=has_pictures)

    def write(self, draw: Callable[[], Any]) -> None:
        """Write axes or a figure, if there is a file. Raises BadInput, NotSaved, Unavailable."""
        if self.path is None:
            return
        _use_no_display()
        # matplotlib takes a second to import
        from nd_plugin.plots.files import save_plot

        save_plot(draw(), self.path)
        console.say(f"written to {self.path}")


@dataclass(frozen=True)
class PlotRequest:
    """Plot of dissections or reports: the file, and a kind that draws them."""

    file: PlotFile = PlotFile()
    kind: PlotKind = KINDS[DEFAULT_KIND]

    @classmethod
    def of(
        cls, path: Path | None, kind: str | None, shard: str | None = None
    ) -> PlotRequest:
        """Check the options before a run; a shard has no result to plot.

        Raises BadInput, and Unavailable for a PGF file without LaTeX.
        """
        file = PlotFile(path, kind)
        if path is None:
            return cls()
        if shard is not None:
            raise BadInput(
                "--shard has no result to plot: merge the shards (nd merge), then nd report "
                "RUN --plot FILE"
            )
        chosen_kind = plot_kind(kind or DEFAULT_KIND)
        file.check(has_pictures=chosen_kind.has_pictures)
        return cls(file, chosen_kind)

    def check_run(self, layers: int, settings: Settings) -> None:
        """Check before a run that its results can be drawn. Raises BadInput."""
        if self.file.path is None:
            return
        self.kind.check_layers(layers * max(len(settings.quantiles), 1))
        if self.kind.has_pictures and not settings.pictures:
            raise BadInput(
                "--plot-kind units needs pictures; leave --no-pictures out"
            )

    def write(self, results: Sequence[Result]) -> None:
        """Draw results into the file, if there is one. Raises BadInput, NotSaved, Unavailable."""
        self.file.write(lambda: self.kind.draw(results))


def _use_no_display() -> None:
    """Draw without a display, whatever windows this machine could open."""
    import matplotlib

    matplotlib.use("Agg")
