"""Construction of a set in Broden's layout from any concept sets (paper section 2.1).

Passes: the labels of all images are counted; labels are merged, filtered and numbered; images and
masks are written; tables come last, and the folder gets its name only then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nd_plugin.concepts.union.labels.merging import SourceLabel, merge_labels
from nd_plugin.concepts.union.labels.numbering import (
    Numbering,
    count_union,
    number_labels,
    renumber,
)
from nd_plugin.concepts.union.passes.folders import check_output, is_union_folder
from nd_plugin.concepts.union.passes.survey import (
    SurveyedImage,
    Surveyor,
    survey_sources,
)
from nd_plugin.concepts.union.passes.tables import write_union_tables
from nd_plugin.concepts.union.passes.workspace import (
    Progress,
    Workspace,
    as_json,
    check_same,
)
from nd_plugin.concepts.union.passes.writing import SetSizes, UnionWriter
from nd_plugin.concepts.union.report import FILE, UnionReport, read_report
from nd_plugin.concepts.union.settings import BuildRun, BuildSettings, describe
from nd_plugin.concepts.union.sources import Sources, collect_sources
from nd_plugin.concepts.union.summary import Summary
from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.errors import BadInput, ConceptSetInvalid
from nd_plugin.results.atomic_files import move_folder, recovered
from nd_plugin.storage.durable_files import sync_all
from nd_plugin.storage.partial_folder import PARTIAL_SUFFIX
from nd_plugin.storage.targets import check_folder

if TYPE_CHECKING:
    from nd_plugin.concepts.colours.colour_table import ColourTable


@dataclass(frozen=True)
class Construction:
    """Construction of one set."""

    output: Path
    sources: Sources
    colors: ColourTable | None
    settings: BuildSettings
    run: BuildRun
    progress: Progress

    def build(self) -> UnionReport:
        """Build the set, or what an interrupted build has left to do; return its report.

        Raises BadInput for a folder that may not be replaced and for another build that was
        interrupted there; ConceptSetInvalid where no label is left; Unreadable under ``strict``;
        NotSaved, ProcessLost.
        """
        workspace = Workspace(self.output)
        check_folder(self.output, "a concept set", PARTIAL_SUFFIX)
        description = describe(self.sources, self.colors, self.settings)
        with workspace.locked():
            finished = self._finished(workspace, description)
            if finished is not None:
                return finished
            check_output(
                self.output, workspace, self.run.resume, self.run.overwrite
            )
            workspace.begin(description, resume=self.run.resume)
            report = self._build_or_clear(workspace, description)
            sync_all()
            move_folder(workspace.new_set, self.output, may_replace=is_union_folder)
            workspace.clear()
        return report

    def _finished(
        self, workspace: Workspace, description: Mapping[str, Any]
    ) -> UnionReport | None:
        """Return the report of the set if it is whole and to be resumed; None otherwise."""
        recovered(self.output)
        if not (self.run.resume and (self.output / FILE).is_file()):
            return None
        report = read_report(self.output)
        is_same = report.build == as_json(description)
        if not is_same and (self.run.overwrite or workspace.is_begun()):
            # another set, which this build is to replace
            return None
        check_same(report.build, description, self.output)
        workspace.clear()
        return report

    def _build_or_clear(
        self, workspace: Workspace, description: Mapping[str, Any]
    ) -> UnionReport:
        """Build the set; leave nothing to resume where sources or settings do not make one."""
        try:
            return self._build(workspace, description)
        except BadInput:
            workspace.clear()
            raise

    def _build(
        self, workspace: Workspace, description: Mapping[str, Any]
    ) -> UnionReport:
        """Build everything but the set's name."""
        run = self.run
        surveyor = Surveyor.of(self.sources, self.colors, run.strict)
        images = survey_sources(surveyor, workspace, run.workers, self.progress)
        union = merge_labels(self._source_labels(images), self.settings.rules)
        counts = count_union(union, [image.amounts for image in images])
        numbering = number_labels(
            counts.labels(union),
            self.settings.min_samples,
            self.settings.min_coverage,
        )
        carrying = self._carrying_images(images, numbering)
        writer = UnionWriter.of(
            workspace,
            self.sources,
            numbering,
            SetSizes(self.settings.size, self.settings.mask_size),
            self.settings.splits,
            self.colors,
            carrying,
            run.strict,
        )
        written = writer.write_all(run.workers, self.progress)
        summary = Summary(
            self.sources, self.settings, images, carrying, union, numbering, written
        )
        report = summary.report(description)
        numbered_counts = renumber(counts.counts, union, numbering)
        write_union_tables(
            workspace,
            self.settings,
            numbering,
            written.rows,
            numbered_counts,
            report,
        )
        return report

    def _source_labels(self, images: Sequence[SurveyedImage]) -> list[SourceLabel]:
        """Return the labels of all sources with their counts."""
        image_counts: Counter[int] = Counter()
        coverages: dict[int, float] = {}
        for image in images:
            # a label may be there at several sizes
            image_counts.update(set(image.labels))
            for label, pixels, size in image.amounts:
                coverages[label] = coverages.get(label, 0.0) + pixels / size
        return [
            SourceLabel(
                index,
                label.source,
                label.category,
                label.original,
                label.names.name,
                label.names.synonyms,
                image_counts[index],
                coverages.get(index, 0.0),
            )
            for index, label in enumerate(self.sources.labels)
            if label.is_used
        ]

    def _carrying_images(
        self, images: Sequence[SurveyedImage], numbering: Numbering
    ) -> tuple[int, ...]:
        """Return the images that carry a label of the union. Raises ConceptSetInvalid for none."""
        carrying = tuple(
            number
            for number, image in enumerate(images)
            if not numbering.number_of.keys().isdisjoint(image.labels)
        )
        if not carrying:
            raise ConceptSetInvalid("no image carries a label of the union")
        return carrying


def build_union(
    output: Path,
    sets: Sequence[tuple[str, ConceptSet]],
    settings: BuildSettings,
    run: BuildRun,
    colors: ColourTable | None,
    progress: Progress,
) -> UnionReport:
    """Build a set in Broden's layout from concept sets, each with a name or ""."""
    names = () if colors is None else colors.names
    sources = collect_sources(sets, names)
    construction = Construction(output, sources, colors, settings, run, progress)
    return construction.build()
