"""Merging of labels across sources, by name and by synonym (paper section 2.1).

Labels are merged in this order, each step from the most frequent label to the rarest:

1. labels of the same name, whatever their sources and categories
2. labels that the user's own rules merge
3. a label with another whose name is a synonym of the first
4. labels of which both have the same synonym

Steps 3 and 4 leave out general synonyms, and labels that no image carries; common synonyms count,
too. They never merge labels of one category that one source tells apart, directly or through
others: a chain of synonyms ends where a source knows better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from nd_plugin.concepts.union.labels.common_synonyms import common_synonyms
from nd_plugin.concepts.union.labels.general_synonyms import is_general
from nd_plugin.concepts.union.labels.merge_rules import MergeRules

OWN_NAME = "its own name"
SAME_NAME = "same name"


@dataclass(frozen=True)
class SourceLabel:
    """Label of one source, with its normalised names and how often it occurs."""

    index: int  # among the labels of all sources
    source: str
    category: str
    original: str  # name as the source has it
    name: str
    synonyms: tuple[str, ...]
    images: int
    coverage: float  # images' worth of pixels

    @property
    def words(self) -> tuple[str, ...]:
        """Synonyms that merge the label with others: its source's, then common ones."""
        common = common_synonyms(self.name)
        return tuple(dict.fromkeys((*self.synonyms, *common)))

    @property
    def rank(self) -> tuple[int, float, str, str, str, str, int]:
        """Sort key: the most frequent first, ties by names, whatever the order of sources."""
        return (
            -self.images,
            -self.coverage,
            self.name,
            self.source,
            self.category,
            self.original,
            self.index,
        )

    def __str__(self) -> str:
        return f"{self.source}/{self.category}/{self.original}"


@dataclass(frozen=True)
class Refusal:
    """Two labels that a shared name did not merge, and why."""

    word: str
    first: str
    second: str
    reason: str


@dataclass(frozen=True)
class MergedLabel:
    """Labels of several sources that became one."""

    name: str
    synonyms: tuple[str, ...]
    members: tuple[SourceLabel, ...]  # the most frequent first
    reasons: tuple[str, ...]  # why each member belongs to it


@dataclass(frozen=True)
class Union:
    """All labels of all sources, merged."""

    labels: tuple[MergedLabel, ...]
    refusals: tuple[Refusal, ...]


@dataclass
class _Merger:
    """Groups of labels while they are merged; labels are known by their index."""

    labels: Sequence[SourceLabel]  # the most frequent first
    rules: MergeRules
    # labels of each group, by its first one
    groups: dict[int, list[int]] = field(init=False)
    group_of: list[int] = field(init=False)
    reasons: list[str] = field(init=False)
    refusals: dict[tuple[str, frozenset[int]], Refusal] = field(init=False)

    def __post_init__(self) -> None:
        indices = range(len(self.labels))
        self.groups = {index: [index] for index in indices}
        self.group_of = list(indices)
        self.reasons = [OWN_NAME] * len(self.labels)
        self.refusals = {}

    def merge_names(self) -> None:
        """Merge labels of the same name."""
        first_of_name: dict[str, int] = {}
        for index, label in enumerate(self.labels):
            first = first_of_name.setdefault(label.name, index)
            if first != index:
                self._join(first, index, SAME_NAME)

    def merge_by_user(self) -> None:
        """Merge labels by the user's rules."""
        first_of_name: dict[str, int] = {}
        for index, label in enumerate(self.labels):
            preferred, line = self.rules.preferred.get(label.name, ("", ""))
            if not preferred:
                continue
            first = first_of_name.setdefault(preferred, index)
            self._join(first, index, f"merged into {preferred!r} by {line}")

    def merge_synonyms(self) -> None:
        """Merge labels with those whose name is a synonym of theirs."""
        first_of_name: dict[str, int] = {}
        for index, label in self._carried():
            first_of_name.setdefault(label.name, index)
        for index, label in self._carried():
            for word in label.words:
                named = first_of_name.get(word)
                if named is not None:
                    self._try(
                        index, named, word, f"{word!r} is a synonym of {label}"
                    )

    def merge_shared_synonyms(self) -> None:
        """Merge labels that have the same synonym."""
        first_of_word: dict[str, int] = {}
        for index, label in self._carried():
            for word in label.words:
                first = first_of_word.setdefault(word, index)
                reason = f"{word!r} is a synonym of {self.labels[first]}, too"
                self._try(first, index, word, reason)

    def _carried(self) -> list[tuple[int, SourceLabel]]:
        """Return the labels that an image carries, with their indices."""
        return [
            (index, label)
            for index, label in enumerate(self.labels)
            if label.images
        ]

    def _try(self, first: int, second: int, word: str, reason: str) -> None:
        """Merge two labels by a synonym, or take note of why not."""
        groups = self.group_of[first], self.group_of[second]
        if groups[0] == groups[1]:
            return
        objection = self._objection(word, groups)
        if not objection:
            self._join(first, second, reason)
            return
        labels = self.labels[first], self.labels[second]
        refusal = Refusal(word, str(labels[0]), str(labels[1]), objection)
        self.refusals.setdefault((word, frozenset(groups)), refusal)

    def _objection(self, word: str, groups: tuple[int, int]) -> str:
        """Return why two groups are not merged by a synonym; "" where they are."""
        if is_general(word):
            return f"{word!r} is too general a synonym"
        first, second = map(self._members, groups)
        line = self._line_of_rule(first, second)
        if line:
            return f"kept apart by {line}"
        for label, other_label in product(first, second):
            if _are_told_apart(label, other_label):
                names = f"{label.original!r} and {other_label.original!r}"
                return f"{label.source} tells {names} apart"
        return ""

    def _members(self, group: int) -> list[SourceLabel]:
        return [self.labels[index] for index in self.groups[group]]

    def _line_of_rule(
        self, first: Sequence[SourceLabel], second: Sequence[SourceLabel]
    ) -> str:
        """Return the line of a user's rule that keeps two groups apart; "" for none."""
        first_names = {label.name for label in first}
        second_names = {label.name for label in second}
        for pair, line in self.rules.apart.items():
            name, other_name = sorted(pair)
            if _are_on_two_sides(name, other_name, first_names, second_names):
                return line
        return ""

    def _join(self, first: int, second: int, reason: str) -> None:
        """Merge the groups of two labels; the more frequent first label stays the first."""
        groups = sorted({self.group_of[first], self.group_of[second]})
        if len(groups) < 2:
            return
        staying, leaving = groups
        self.reasons[leaving] = reason
        indices = self.groups.pop(leaving)
        self.groups[staying] += indices
        for index in indices:
            self.group_of[index] = staying

    def merged(self) -> Iterator[tuple[str, list[int]]]:
        """Yield the name and the labels of each group."""
        for group, unsorted_indices in self.groups.items():
            # the most frequent first
            indices = sorted(unsorted_indices)
            names = [self.labels[index].name for index in indices]
            preferred = [
                self.rules.preferred[name][0]
                for name in names
                if name in self.rules.preferred
            ]
            yield (preferred or [self.labels[group].name])[0], indices


def merge_labels(labels: Sequence[SourceLabel], rules: MergeRules) -> Union:
    """Merge labels across sources; the result does not depend on their order."""
    merger = _Merger(sorted(labels, key=lambda label: label.rank), rules)
    merger.merge_names()
    merger.merge_by_user()
    merger.merge_synonyms()
    merger.merge_shared_synonyms()
    groups = list(merger.merged())
    owner_of_word = _owners_of_words(merger, groups)
    merged_labels = [
        _merged_label(merger, number, name, indices, owner_of_word)
        for number, (name, indices) in enumerate(groups)
    ]
    return Union(tuple(merged_labels), tuple(merger.refusals.values()))


def _merged_label(
    merger: _Merger,
    number: int,
    name: str,
    indices: Sequence[int],
    owner_of_word: Mapping[str, int],
) -> MergedLabel:
    """Return a group as a label, with those names as synonyms that it owns."""
    members = [merger.labels[index] for index in indices]
    words: dict[str, None] = {}
    for label in members:
        words.update(dict.fromkeys((label.name, *label.synonyms)))
    synonyms = [word for word in words if owner_of_word.get(word) == number]
    return MergedLabel(
        name,
        tuple(word for word in synonyms if word != name),
        tuple(members),
        tuple(merger.reasons[index] for index in indices),
    )


def _owners_of_words(
    merger: _Merger, groups: Sequence[tuple[str, list[int]]]
) -> dict[str, int]:
    """Return the group that each word is a synonym of: names first, then the most frequent label's.

    General synonyms are nobody's.
    """
    owner_of_word: dict[str, int] = {}
    for number, (name, indices) in enumerate(groups):
        owner_of_word[name] = number
        names = {merger.labels[index].name: number for index in indices}
        owner_of_word.update(names)
    for number, (_, indices) in enumerate(groups):
        for index in indices:
            for word in merger.labels[index].synonyms:
                if not is_general(word):
                    owner_of_word.setdefault(word, number)
    return owner_of_word


def _are_told_apart(label: SourceLabel, other_label: SourceLabel) -> bool:
    """Return whether one source has both in one category, under different names."""
    is_same_kind = (
        label.source == other_label.source
        and label.category == other_label.category
    )
    return is_same_kind and label.name != other_label.name


def _are_on_two_sides(
    name: str, other_name: str, first: set[str], second: set[str]
) -> bool:
    return (name in first and other_name in second) or (
        other_name in first and name in second
    )
