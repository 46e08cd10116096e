"""Report of a union: what was merged and why, what was left out, and what each source gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nd_plugin.borders.json_values import parse_json, read_record
from nd_plugin.concepts.union.labels.label_names import has_positional
from nd_plugin.concepts.union.labels.merging import OWN_NAME, Refusal, SourceLabel
from nd_plugin.concepts.union.labels.numbering import CountedLabel, Numbering
from nd_plugin.errors import RunInvalid

FILE = "union.json"
KIND = "nd_plugin union of concept sets"


@dataclass(frozen=True)
class Member:
    """Label of a source that a concept of the union consists of."""

    source: str
    category: str
    label: str
    images: int
    reason: str


@dataclass(frozen=True)
class CategoryShare:
    """Images and coverage of a concept in one category."""

    category: str
    images: int
    coverage: float


@dataclass(frozen=True)
class ReportedLabel:
    """Concept of the union; number 0 for a label that is left out, with the reason."""

    number: int
    name: str
    samples: int
    categories: tuple[CategoryShare, ...]  # the most frequent first
    synonyms: tuple[str, ...]
    members: tuple[Member, ...]
    reason: str = ""

    @property
    def sources(self) -> list[str]:
        """Sources that the concept comes from."""
        return list(dict.fromkeys(member.source for member in self.carried))

    @property
    def carried(self) -> list[Member]:
        """Labels that an image carries; all where there is none."""
        carried = [member for member in self.members if member.images]
        return carried or list(self.members)

    @property
    def is_merged(self) -> bool:
        """Whether several labels that images carry became this one."""
        return len(self.carried) > 1


@dataclass(frozen=True)
class KeptApart:
    """Two labels that share a name and were not merged."""

    word: str
    first: str
    second: str
    reason: str


@dataclass(frozen=True)
class SourceCounts:
    """What a source gave to the union."""

    name: str
    concept_set: str
    images: int
    written: int
    labels: int
    concepts: int  # of the union, that it has a part in


@dataclass(frozen=True)
class SkippedImage:
    """Image that could not be read."""

    image: str
    reason: str


@dataclass(frozen=True)
class UnionReport:
    """Report of a union, as union.json has it."""

    kind: str
    build: Mapping[str, Any]  # sources and settings; see `construction`
    sources: tuple[SourceCounts, ...]
    splits: Mapping[str, int]  # images of each
    concepts: tuple[ReportedLabel, ...]
    left_out: tuple[ReportedLabel, ...]
    kept_apart: tuple[KeptApart, ...]
    skipped: tuple[SkippedImage, ...]
    unlabelled: Mapping[str, int] = field(default_factory=dict)  # by source
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """Images of the set."""
        return sum(source.written for source in self.sources)

    @property
    def merged(self) -> list[ReportedLabel]:
        """Concepts that consist of several labels."""
        return [concept for concept in self.concepts if concept.is_merged]

    def record(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return asdict(self)


def read_report(folder: Path) -> UnionReport:
    """Return the report of a set that was built. Raises RunInvalid where there is none."""
    path = folder / FILE
    try:
        report = read_record(UnionReport, parse_json(path.read_bytes()), FILE)
    except (OSError, ValueError) as error:
        raise RunInvalid(
            f"{path} is no report of a union, or damaged: {error}"
        ) from error
    if report.kind != KIND:
        raise RunInvalid(f"{path} is no report of a union of concept sets")
    return report


def report_labels(numbering: Numbering) -> tuple[ReportedLabel, ...]:
    """Return the concepts of the union by number."""
    return tuple(
        _reported(label, number)
        for number, label in enumerate(numbering.labels, start=1)
    )


def report_left_out(numbering: Numbering) -> tuple[ReportedLabel, ...]:
    """Return the labels that are too rare, the most frequent first."""
    return tuple(
        _reported(dropped.label, 0, dropped.reason) for dropped in numbering.dropped
    )


def report_refusals(refusals: Sequence[Refusal]) -> tuple[KeptApart, ...]:
    """Return the labels that were kept apart, by the word that they share."""
    ranked = sorted(
        refusals, key=lambda refusal: (refusal.word, refusal.first, refusal.second)
    )
    return tuple(KeptApart(**asdict(refusal)) for refusal in ranked)


def _reported(
    label: CountedLabel, number: int, left_out_reason: str = ""
) -> ReportedLabel:
    merged = label.merged
    pairs = zip(merged.members, merged.reasons, strict=True)
    members = tuple(
        Member(
            member.source,
            member.category,
            member.original,
            member.images,
            _reason(member, reason),
        )
        for member, reason in pairs
    )
    shares = tuple(
        CategoryShare(category, count.images, count.coverage)
        for category, count in label.by_category.items()
    )
    return ReportedLabel(
        number,
        label.name,
        label.samples,
        shares,
        merged.synonyms,
        members,
        left_out_reason,
    )


def _reason(member: SourceLabel, reason: str) -> str:
    """Return why a label belongs to its concept, with what became of its name."""
    if not has_positional(member.original, member.category):
        return reason
    dropped = f"positional words dropped: {member.name!r}"
    return dropped if reason == OWN_NAME else f"{reason}; {dropped}"
