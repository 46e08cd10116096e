"""Result of a dissection: everything needed to answer questions later, without the model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nd_plugin.borders.csv_text import without_formulas
from nd_plugin.borders.damage import damage_refused
from nd_plugin.borders.printable import utf8
from nd_plugin.contracts.concept_sets import Concept
from nd_plugin.contracts.provenance import Provenance, Settings, Skipped
from nd_plugin.errors import Unavailable
from nd_plugin.method.ranks import rank
from nd_plugin.report import run_description
from nd_plugin.report.layer_report import LayerReport, Summary, UnitScore, summarise
from nd_plugin.report.tables import dissection_json, unit_contents, units_csv
from nd_plugin.results import npz_format, pictures_format
from nd_plugin.results.activation_histograms import ActivationHistograms
from nd_plugin.results.atomic_files import (
    recovered,
    write_file,
    write_folder,
)
from nd_plugin.results.displayed_layers import DisplayedLayer
from nd_plugin.results.folder_names import (
    DISSECTION,
    PICTURES,
    UNITS,
    is_layer_folder,
    only_layer_folder,
)
from nd_plugin.results.pictured_layer import PicturedLayer
from nd_plugin.results.scoring.scored_layer import ScoredLayer
from nd_plugin.results.top_pictures import TopPictures
from nd_plugin.significance.chance_counts import ChanceCounts
from nd_plugin.significance.fold_counts import FoldCounts
from nd_plugin.significance.statistics.significant_layer import SignificantLayer

if TYPE_CHECKING:
    import pandas

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class Dissection(DisplayedLayer, PicturedLayer, ScoredLayer, SignificantLayer):
    """Dissection of one layer: thresholds, integer counts, top images, and what was run.

    A unit is ``dead`` where it is constant everywhere, and ``sparse`` where it is 0 on more than
    1 - τ of all locations (so that T_k is 0) and not dead. Definitions: docs/method.md.
    """

    layer: str
    categories: tuple[str, ...]
    concepts: tuple[Concept, ...]
    thresholds: Floats  # (unit,) T_k
    intersection: Integers  # (unit, concept) Σ|M_k ∩ L_c|
    # (unit, category) Σ|M_k| over the images that have the category
    unit_area: Integers
    concept_area: Integers  # (concept,) Σ|L_c|
    category_images: Integers  # (category,) images that have the category
    dead: Booleans  # (unit,)
    sparse: Booleans  # (unit,)
    locations: int  # n, per unit
    # (unit, rank) index into the concept set, most active first
    top_images: Integers
    top_activations: Floats  # (unit, rank)
    # of the whole probe data set, skipped images included
    image_names: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    settings: Settings
    provenance: Provenance
    stored_pictures: TopPictures | Path | None = None  # or the file that has them
    histograms: ActivationHistograms | None = None  # None: of an earlier version
    folds: FoldCounts | None = None  # None: not asked for, or of an earlier version
    chance: ChanceCounts | None = None  # likewise
    # (category,) mask pixels of the images that have it; None: of an earlier version
    category_pixels: Integers | None = None
    label_score: str = "iou"  # see `labelled_by`
    min_score: float | None = None  # of detectors, in place of ``min_iou``
    # result whose units this one labels by another score
    original: Dissection | None = None

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.thresholds)

    @property
    def images(self) -> int:
        """Number of images that were read."""
        unreadable = sum(item.part == "image" for item in self.skipped)
        return len(self.image_names) - unreadable

    @property
    def unique_detectors(self) -> int:
        """Number of distinct labels among detectors."""
        return self.summary().unique_detectors

    def summary(self) -> Summary:
        """Return the counts that the paper compares layers by."""
        return self._summary_of(tuple(self.unit_scores()))

    def report(self) -> LayerReport:
        """Return what a report shows of this layer."""
        scores = tuple(self.unit_scores())
        return LayerReport(
            layer=self.layer,
            categories=self.categories,
            scores=scores,
            summary=self._summary_of(scores),
            min_iou=self.settings.min_iou,
            facts=run_description.facts(
                self.provenance, self.settings, self.images, len(self.concepts)
            ),
            notes=self.notes,
            category_scores=self._category_scores(),
            precision=self.provenance.precision,
            label_score=self.label_score,
            dissection=self,
        )

    def _summary_of(self, scores: tuple[UnitScore, ...]) -> Summary:
        return summarise(
            self.layer,
            self.categories,
            scores,
            sum(self._unique_per_category()),
            len(self.concepts),
            self.images,
            self.settings.quantile,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Guesses and fallbacks of the run, and what its data lacked: the ``!`` of reports."""
        notes = [self.label_note] if self.label_note else []
        notes += self.provenance.notes
        quantile = self.settings.quantile
        if rank(quantile, self.locations) == 0:
            notes.append(
                run_description.too_few_locations_note(self.locations, quantile)
            )
        unseen = [
            self.concepts[index].name
            for index in np.flatnonzero(self.concept_area == 0)
        ]
        if unseen:
            notes.append(
                run_description.unseen_concepts_note(unseen, len(self.concepts))
            )
        notes += run_description.skipped_notes(self.skipped, len(self.image_names))
        return tuple(notes)

    def top(self, unit: int, most: int = 10) -> list[tuple[str, float]]:
        """Return the images in which a unit is most active, best first.

        Each is the image's name and the unit's largest activation in it. Raises BadInput for a
        unit that the layer has not.
        """
        self.check_unit(unit)
        names = [
            self.image_names[int(image)] for image in self.top_images[unit, :most]
        ]
        activations = [float(value) for value in self.top_activations[unit, :most]]
        return list(zip(names, activations, strict=True))

    def save(self, folder: str | Path) -> Path:
        """Write ``dissection.npz``, ``units.csv`` and ``pictures.npz`` into a folder.

        An earlier result of a layer there is replaced, and nothing else is. Raises NotSaved where
        it cannot be written; nothing half-written is left.
        """
        return write_folder(Path(folder), self.files(), may_replace=is_layer_folder)

    def files(self) -> dict[str, bytes]:
        """Return what `save` writes, by file name."""
        if self.original is not None:
            return self.original.files()
        metadata = {
            "layer": self.layer,
            "categories": self.categories,
            "locations": self.locations,
            "image_names": self.image_names,
            "concepts": [asdict(concept) for concept in self.concepts],
            "skipped": [asdict(item) for item in self.skipped],
            "settings": asdict(self.settings),
            "provenance": asdict(self.provenance),
        }
        arrays = {name: getattr(self, name) for name in npz_format.ARRAYS}
        files = {
            DISSECTION: npz_format.pack(
                metadata,
                arrays,
                self.histograms,
                self.folds,
                self.chance,
                optional={"category_pixels": self.category_pixels},
            ),
            UNITS: utf8(units_csv(self)),
        }
        if self.pictures is not None:
            files[PICTURES] = pictures_format.pack(self.pictures)
        return files

    @classmethod
    def load(cls, folder: str | Path) -> Dissection:
        """Read what `save` wrote, or the only layer of a run that ``nd dissect`` wrote.

        Raises RunInvalid for what is damaged, missing, or of a newer format.
        """
        with damage_refused(folder):
            path = only_layer_folder(recovered(Path(folder)))
        pictures = path / PICTURES
        return cls(
            **npz_format.unpack(path / DISSECTION),
            stored_pictures=pictures if pictures.is_file() else None,
        )

    def to_csv(self, path: str | Path, *, safe: bool = False) -> None:
        """Write units.csv, a line for each unit.

        With ``safe``, an apostrophe precedes cells that a spreadsheet would run as formulas.

        Columns: unit,concept,category,iou,threshold,intersection,unit_area,concept_area,detector,
        precision,recall,f1,correlation; with folds iou_low,iou_high,stability,margin,
        second_concept; with permutations p_value,q_value.
        """
        text = units_csv(self)
        write_file(Path(path), utf8(without_formulas(text) if safe else text))

    def to_json(self, path: str | Path | None = None) -> str:
        """Return summary, units, settings and provenance as JSON, and write it to ``path``."""
        text = dissection_json(self.report(), self.settings, self.provenance)
        if path is not None:
            write_file(Path(path), utf8(text))
        return text

    def to_pandas(self) -> pandas.DataFrame:
        """Return a row for each unit: the columns of units.csv, and live, sparse or dead.

        Raises Unavailable where pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise Unavailable(
                "to_pandas needs pandas, which is not installed: pip install 'nd_plugin[pandas]'"
            ) from error
        return pandas.DataFrame(unit_contents(self.report())).set_index("unit")
