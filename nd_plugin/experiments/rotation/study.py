"""Result of a rotation study: the dissections of a layer in its own basis and in others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nd_plugin.borders.printable import utf8
from nd_plugin.errors import BadInput
from nd_plugin.experiments.rotation.best_directions import (
    ConceptComparison,
    compare_best,
)
from nd_plugin.experiments.spread import Spread, unique_spread
from nd_plugin.report.categories import all_categories
from nd_plugin.report.json_text import document_text
from nd_plugin.report.layer_report import Summary
from nd_plugin.results.atomic_files import write_file
from nd_plugin.results.dissection import Dissection

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class RotationPoint:
    """Counts of a layer rotated by α, over the random rotations."""

    alpha: float
    unique_detectors: Spread
    detectors: Spread
    by_category: Mapping[str, Spread]  # unique detectors

    @classmethod
    def of(
        cls, alpha: float, summaries: Sequence[Summary], categories: Sequence[str]
    ) -> RotationPoint:
        """Count the dissections of all seeds at one α."""
        return cls(
            alpha,
            unique_spread(summaries),
            Spread.of([summary.detectors for summary in summaries]),
            {name: unique_spread(summaries, name) for name in categories},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "alpha": self.alpha,
            "unique_detectors": self.unique_detectors.to_dict(),
            "detectors": self.detectors.to_dict(),
            "unique_detectors_by_category": {
                category: spread.to_dict()
                for category, spread in self.by_category.items()
            },
        }


@dataclass(frozen=True, eq=False)
class RotationStudy:
    """Layer in its own basis (α = 0), rotated by Q^α of several random Q, and in other bases."""

    layer: str
    own: Dissection
    rotated: Mapping[tuple[float, int], Dissection]  # by α, ascending, and seed
    bases: Mapping[str, Dissection]  # of the user's, by name

    @property
    def alphas(self) -> tuple[float, ...]:
        """All α, ascending; 0 is the first."""
        return (0.0, *dict.fromkeys(alpha for alpha, _ in self.rotated))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the random rotations."""
        return tuple(dict.fromkeys(seed for _, seed in self.rotated))

    @property
    def dissections(self) -> list[Dissection]:
        """All dissections: the layer's own, the rotated ones, those in other bases."""
        return [self.own, *self.rotated.values(), *self.bases.values()]

    def at(self, alpha: float) -> list[Dissection]:
        """Return the dissections of all seeds at one α; one for α = 0. Raises BadInput."""
        if alpha == 0:
            return [self.own]
        chosen = [
            dissection
            for (value, _), dissection in self.rotated.items()
            if value == alpha
        ]
        if not chosen:
            listing = ", ".join(f"{value:g}" for value in self.alphas)
            raise BadInput(f"no α of {alpha:g}; the study has {listing}")
        return chosen

    @cached_property
    def points(self) -> tuple[RotationPoint, ...]:
        """Counts at each α: figure 6 of the paper."""
        summaries = {
            alpha: [dissection.summary() for dissection in self.at(alpha)]
            for alpha in self.alphas
        }
        categories = all_categories([self.own.report()])
        return tuple(
            RotationPoint.of(alpha, summaries[alpha], categories)
            for alpha in self.alphas
        )

    @cached_property
    def best(self) -> tuple[ConceptComparison, ...]:
        """Best unit against best direction at the largest α, by concept: figure 7 of the paper."""
        last = self.alphas[-1]
        rotated = {
            seed: dissection
            for (alpha, seed), dissection in self.rotated.items()
            if alpha == last
        }
        return compare_best(self.own, rotated)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        own = self.own
        return {
            "layer": self.layer,
            "model": own.provenance.model.source,
            "concept_set": own.provenance.concept_set.source,
            "units": own.units,
            "images": own.images,
            "quantile": own.settings.quantile,
            "min_iou": own.settings.min_iou,
            "seeds": list(self.seeds),
            "points": [point.to_dict() for point in self.points],
            "bases": [
                {"basis": name, **dissection.summary().to_dict()}
                for name, dissection in self.bases.items()
            ],
            "best": [comparison.to_dict() for comparison in self.best],
            "notes": list(self.notes),
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """Guesses and fallbacks of all dissections, each once; on user's bases, with their name."""
        notes = [
            note.removeprefix(f"layer {dissection.layer!r}: ")
            for dissection in (self.own, *self.rotated.values())
            for note in dissection.notes
        ]
        for name, dissection in self.bases.items():
            prefix = f"layer {dissection.layer!r}: "
            own = [note for note in dissection.notes if note.startswith(prefix)]
            notes += [f"basis {name}: {note.removeprefix(prefix)}" for note in own]
            notes += [note for note in dissection.notes if note not in own]
        return tuple(dict.fromkeys(notes))

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the tables as JSON, and write them to ``path``."""
        text = document_text(self.to_dict()) + "\n"
        if path is not None:
            write_file(Path(path), utf8(text))
        return text

    def plot(self, kind: str = "rotation", ax: Axes | None = None) -> Axes:
        """Draw a figure of the study; kinds: `nd_plugin.plots.experiments.rotations.KINDS`."""
        # matplotlib takes a second to import
        from nd_plugin.plots.experiments.rotations import draw

        return draw(kind, [self], ax)

    def __repr__(self) -> str:
        counts = ", ".join(
            f"α={point.alpha:g}: {point.unique_detectors.mean:g}"
            for point in self.points
        )
        return f"RotationStudy({self.layer!r}: unique detectors {counts})"
