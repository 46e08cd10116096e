"""The result: everything needed to answer questions later, without the model."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nd_plugin.contracts.concept_sets import Concept
from nd_plugin.contracts.provenance import Provenance, Settings, Skipped
from nd_plugin.errors import BadInput, RunInvalid, Unavailable
from nd_plugin.method import iou
from nd_plugin.method.ranks import rank
from nd_plugin.report.layer_report import LayerReport, Summary, UnitScore, summarise
from nd_plugin.results import npz_format
from nd_plugin.results.atomic_files import write_file, write_folder

if TYPE_CHECKING:
    import pandas
    from rich.console import RenderableType


NAMED = 8  # concepts named in a note


DISSECTION = "dissection.npz"  # the file's name in a layer's folder


Floats = npt.NDArray[np.float64]


Integers = npt.NDArray[np.int64]


Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Dissection:
    """The dissection of one layer: thresholds, integer counts, vocabulary, top images, settings, provenance."""

    layer: str
    categories: tuple[str, ...]
    concepts: tuple[Concept, ...]
    thresholds: Floats  # (unit,) T_k
    intersection: Integers  # (unit, concept) Σ|M_k ∩ L_c|
    unit_area: Integers  # (unit, category) Σ|M_k| over the images that have the category
    concept_area: Integers  # (concept,) Σ|L_c|
    category_images: Integers  # (category,) images that have the category
    dead: Booleans  # (unit,) constant everywhere
    sparse: (
        Booleans  # (unit,) 0 on more than 1 - τ of all locations, so that T_k is 0, and not dead
    )
    locations: int  # n, per unit
    top_images: Integers  # (unit, rank) index into the concept set, most active first
    top_activations: Floats  # (unit, rank)
    image_names: tuple[str, ...]  # of the whole probe data set, skipped images included
    skipped: tuple[Skipped, ...]
    settings: Settings
    provenance: Provenance

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.thresholds)

    @property
    def images(self) -> int:
        """Number of images that were read."""
        return len(self.image_names) - sum(skipped.part == "image" for skipped in self.skipped)

    @cached_property
    def category_of(self) -> Integers:
        """The category of every concept, as an index; (concept,)."""
        return np.array([self.categories.index(c.category) for c in self.concepts], dtype=np.int64)

    @cached_property
    def iou(self) -> Floats:
        """IoU(k, c), eq. 1; (unit, concept)."""
        return iou.iou(self.intersection, self.unit_area, self.concept_area, self.category_of)

    @cached_property
    def labels(self) -> Integers:
        """Each unit's best concept, as an index into ``concepts``; (unit,)."""
        return iou.labels(self.iou)

    @property
    def unique_detectors(self) -> int:
        """The number of distinct labels among detectors."""
        return self.summary().unique_detectors

    def unit_scores(self) -> Iterator[UnitScore]:
        """Every unit with its label, in the order of the units."""
        for unit, concept in enumerate(self.labels.tolist()):
            category = int(self.category_of[concept])
            iou = float(self.iou[unit, concept])
            yield UnitScore(
                unit=unit,
                concept=self.concepts[concept].name,
                category=self.categories[category],
                iou=iou,
                threshold=float(self.thresholds[unit]),
                intersection=int(self.intersection[unit, concept]),
                unit_area=int(self.unit_area[unit, category]),
                concept_area=int(self.concept_area[concept]),
                detector=iou > self.settings.min_iou,
                state="dead" if self.dead[unit] else "sparse" if self.sparse[unit] else "live",
            )

    def detectors(self) -> list[UnitScore]:
        """The detectors, best first."""
        return sorted(
            (score for score in self.unit_scores() if score.detector), key=lambda score: -score.iou
        )

    def summary(self) -> Summary:
        """The counts that the paper compares layers by."""
        return self.report().summary

    def report(self) -> LayerReport:
        """What a report shows of this layer."""
        best, score = iou.best_in_category(self.iou, self.category_of, len(self.categories))
        per_category = iou.count_distinct_per_column(best, score, self.settings.min_iou)
        unit_scores = tuple(self.unit_scores())
        return LayerReport(
            layer=self.layer,
            categories=self.categories,
            scores=unit_scores,
            summary=replace(
                summarise(
                    self.layer,
                    self.categories,
                    unit_scores,
                    sum(per_category),
                    len(self.concepts),
                    self.images,
                ),
                quantile=self.settings.quantile,
            ),
            min_iou=self.settings.min_iou,
            facts=self._facts(),
            notes=self._notes(),
        )

    def _facts(self) -> dict[str, str]:
        made, settings = self.provenance, self.settings
        size = made.preprocess.get("size", ("?", "?"))
        return {
            "model": f"{made.model.source} ({made.backend}, {made.device})",
            "concepts": f"{made.concept_set.source}: {self.images} images, {len(self.concepts)} concepts",
            "input": f"{size[0]}x{size[1]}, {made.preprocess.get('source', 'given')}",
            "settings": f"quantile {settings.quantile:g}, IoU > {settings.min_iou:g}, {made.geometry.get('source')}",
        }

    def _notes(self) -> tuple[str, ...]:
        skipped = [f"skipped {s.part} of {s.image}: {s.reason}" for s in self.skipped]
        counted = (
            [f"{len(skipped)} of {len(self.image_names)} images skipped or without annotation"]
            if skipped
            else []
        )
        return (*self.provenance.notes, *self._small(), *counted, *skipped)

    def _small(self) -> Iterator[str]:
        """What the data were too few for."""
        if rank(self.settings.quantile, self.locations) == 0:
            yield (
                f"{self.locations} locations are too few for quantile {self.settings.quantile:g}: the threshold is the "
                "largest activation, and nothing is above it"
            )
        missing = [
            self.concepts[place].name for place in np.flatnonzero(self.concept_area == 0).tolist()
        ]
        if missing:
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            named = ", ".join(missing[:NAMED])
            yield f"{len(missing)} of {len(self.concepts)} concepts label no pixel of these images: {named}{more}"

    def top(self, unit: int, most: int = 10) -> list[tuple[str, float]]:
        """The images in which a unit is most active: names and maximum activations, best first."""
        if not 0 <= unit < self.units:
            raise BadInput(
                f"no unit {unit}: layer {self.layer!r} has {self.units}, numbered from 0"
            )
        pairs = zip(self.top_images[unit, :most], self.top_activations[unit, :most], strict=True)
        return [(self.image_names[int(image)], float(activation)) for image, activation in pairs]

    def save(self, folder: str | Path) -> Path:
        """Write ``dissection.npz`` and ``units.csv`` into ``folder``, replacing an earlier result there, or nothing.

        Raises NotSaved where it cannot be written; nothing half-written is left.
        """
        return write_folder(Path(folder), self.files())

    def files(self) -> dict[str, bytes]:
        """What `save` writes, by file name."""
        plain = {
            name: getattr(self, name)
            for name in ("layer", "categories", "locations", "image_names")
        }
        metadata = {
            **plain,
            "concepts": [asdict(concept) for concept in self.concepts],
            "skipped": [asdict(skipped) for skipped in self.skipped],
            "settings": asdict(self.settings),
            "provenance": asdict(self.provenance),
        }
        arrays = {name: getattr(self, name) for name in npz_format.ARRAYS}
        return {DISSECTION: npz_format.pack(metadata, arrays), "units.csv": self._csv()}

    @classmethod
    def load(cls, folder: str | Path) -> Dissection:
        """Read what `save` wrote, or the only layer of a run that ``nd dissect`` wrote.

        Raises RunInvalid for what is damaged, missing, or of a newer format.
        """
        place = Path(folder)
        layers = (
            []
            if (place / DISSECTION).exists()
            else sorted(path.parent for path in place.glob(f"*/{DISSECTION}"))
        )
        if len(layers) > 1:
            raise RunInvalid(
                f"{folder} holds several layers; load one of {', '.join(map(str, layers))}"
            )
        return cls(**npz_format.unpack((layers[0] if layers else place) / DISSECTION))

    def _csv(self) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = [name for name in UnitScore.__dataclass_fields__ if name != "state"]
        writer.writerow(columns)
        for score in self.unit_scores():
            row = asdict(score)
            writer.writerow(
                [int(row[name]) if name == "detector" else row[name] for name in columns]
            )
        return text.getvalue().encode()

    def to_csv(self, path: str | Path) -> None:
        """One line per unit: unit,concept,category,iou,threshold,intersection,unit_area,concept_area,detector."""
        write_file(Path(path), self._csv())

    def to_json(self, path: str | Path | None = None) -> str:
        """Summary, units, settings and provenance as JSON; written to ``path`` where one is given."""
        content = {
            "summary": self.summary().to_dict(),
            "units": [asdict(score) for score in self.unit_scores()],
            "notes": list(self._notes()),
            "settings": asdict(self.settings),
            "provenance": asdict(self.provenance),
        }
        text = json.dumps(content, indent=1, allow_nan=False)
        if path is not None:
            write_file(Path(path), text.encode())
        return text

    def to_pandas(self) -> pandas.DataFrame:
        """One row per unit, the columns of units.csv and the unit's state (live, sparse, dead). Needs pandas."""
        try:
            import pandas
        except ImportError as error:
            raise Unavailable(
                "to_pandas needs pandas, which is not installed: pip install 'nd_plugin[pandas]'"
            ) from error
        return pandas.DataFrame([asdict(score) for score in self.unit_scores()]).set_index("unit")

    def __repr__(self) -> str:
        found = self.summary()
        return (
            f"Dissection({self.layer!r}: {found.detectors} detectors of {found.unique_detectors} concepts "
            f"among {found.units} units, {found.images} images)"
        )

    def __rich__(self) -> RenderableType:
        from nd_plugin.report.terminal import render

        return render(self.report())

    def _repr_html_(self) -> str:
        from nd_plugin.report.terminal import to_html_fragment

        return to_html_fragment([self.report()])
