"""Plots of results: the options ``--plot`` and ``--plot-kind``."""

from __future__ import annotations

from collections.abc import Sequence
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
class PlotRequest:
    """File to draw into, and the kind of plot; no file: nothing to draw."""

    path: Path | None = None
    kind: PlotKind = KINDS[DEFAULT_KIND]

    @classmethod
    def of(
        cls, path: Path | None, kind: str | None, shard: str | None = None
    ) -> PlotRequest:
        """Check the options before a run; a shard has no result to plot.

        Raises BadInput, and Unavailable for a PGF file without LaTeX.
        """
        if path is None:
            if kind is not None:
                raise BadInput(
                    f"--plot-kind {kind} needs a file to draw into: --plot FILE"
                )
            return cls()
        if shard is not None:
            raise BadInput(
                "--shard has no result to plot: merge the shards (nd merge), then nd report "
                "RUN --plot FILE"
            )
        chosen_kind = plot_kind(kind or DEFAULT_KIND)
        check_plot(path, has_pictures=chosen_kind.has_pictures)
        return cls(path, chosen_kind)

    def check_run(self, layers: int, settings: Settings) -> None:
        """Check before a run that its results can be drawn. Raises BadInput."""
        if self.path is None:
            return
        self.kind.check_layers(layers * max(len(settings.quantiles), 1))
        if self.kind.has_pictures and not settings.pictures:
            raise BadInput(
                "--plot-kind units needs pictures; leave --no-pictures out"
            )

    def write(self, results: Sequence[Result]) -> None:
        """Draw results into the file, if there is one. Raises BadInput, NotSaved, Unavailable."""
        if self.path is None:
            return
        use_no_display()
        write_plot(self.kind.draw(results), self.path)


def use_no_display() -> None:
    """Draw without a display, whatever windows this machine could open."""
    import matplotlib

    matplotlib.use("Agg")


def write_plot(plot: Any, path: Path) -> None:
    """Write axes or a figure to a file."""
    # matplotlib takes a second to import
    from nd_plugin.plots.files import save_plot

    save_plot(plot, path)
    console.say(f"written to {path}")
