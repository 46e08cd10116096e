"""Summary of a union as a report: counts of sources, images and splits, and notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nd_plugin.concepts.union.labels.merging import Union
from nd_plugin.concepts.union.labels.numbering import Numbering
from nd_plugin.concepts.union.passes.survey import SurveyedImage
from nd_plugin.concepts.union.passes.workspace import as_json
from nd_plugin.concepts.union.passes.writing import WrittenImages
from nd_plugin.concepts.union.report import (
    KIND,
    ReportedLabel,
    SkippedImage,
    SourceCounts,
    UnionReport,
    report_labels,
    report_left_out,
    report_refusals,
)
from nd_plugin.concepts.union.settings import BuildSettings
from nd_plugin.concepts.union.sources import Sources
from nd_plugin.probe_data.remarks import Remarks

LISTED = 10  # concepts of a note


@dataclass(frozen=True)
class Summary:
    """What is known of a union once its images are written."""

    sources: Sources
    settings: BuildSettings
    images: Sequence[SurveyedImage]
    carrying: Sequence[int]  # images of the set
    union: Union
    numbering: Numbering
    written: WrittenImages

    def report(self, description: Mapping[str, Any]) -> UnionReport:
        """Return the report; ``description`` is of the build."""
        concepts = report_labels(self.numbering)
        skipped = [
            SkippedImage(self.sources.name(number), image.skipped)
            for number, image in enumerate(self.images)
            if image.skipped
        ]
        written = self._count_by_source(self.carrying)
        return UnionReport(
            KIND,
            as_json(description),
            tuple(self._source_counts(written, concepts)),
            self._split_counts(),
            concepts,
            report_left_out(self.numbering),
            report_refusals(self.union.refusals),
            tuple(skipped),
            self._unlabelled(written),
            tuple(self._notes()),
        )

    def _count_by_source(self, images: Sequence[int]) -> Counter[str]:
        return Counter(self.sources.locate(image)[0].name for image in images)

    def _unlabelled(self, written: Counter[str]) -> dict[str, int]:
        """Return the number of images by source that carry no label of the set."""
        readable = [
            number for number, image in enumerate(self.images) if not image.skipped
        ]
        return dict(self._count_by_source(readable) - written)

    def _split_counts(self) -> dict[str, int]:
        counts = Counter(row.split for row in self.written.rows)
        return {name: counts[name] for name, _ in self.settings.splits.shares}

    def _source_counts(
        self, written: Counter[str], concepts: Sequence[ReportedLabel]
    ) -> list[SourceCounts]:
        return [
            SourceCounts(
                source.name,
                source.concepts.identity.source,
                len(source.image_names),
                written[source.name],
                len(source.concepts.concepts),
                sum(source.name in concept.sources for concept in concepts),
            )
            for source in self.sources.sources
        ]

    def _notes(self) -> list[str]:
        """Return notes on sources, images and rules."""
        notes = self.sources.notes()
        for source in self.sources.sources:
            source_notes = getattr(source.concepts, "notes", ())
            notes += [f"{source.name}: {note}" for note in source_notes]
        remarks = [
            Remarks.on_image(self.sources.name(number), image.remarks, image.whites)
            for number, image in enumerate(self.images)
        ]
        notes += Remarks.total(remarks).notes()
        names = {
            member.name for label in self.union.labels for member in label.members
        }
        return notes + self._notes_on_masks() + self.settings.rules.unused(names)

    def _notes_on_masks(self) -> list[str]:
        """Return a note on concepts that the set's smaller masks show on too few images."""
        samples = self.written.samples
        rare = [
            f"{label.name} ({samples[number]})"
            for number, label in enumerate(self.numbering.labels, start=1)
            if samples[number] < self.settings.min_samples
        ]
        if not rare:
            return []
        rows, columns = self.settings.mask_size
        ellipsis = " …" if len(rare) > LISTED else ""
        return [
            f"{len(rare)} concepts have fewer than {self.settings.min_samples} samples in masks of "
            f"{rows}x{columns}: {', '.join(rare[:LISTED])}{ellipsis}; a larger --mask-size keeps "
            "them"
        ]
