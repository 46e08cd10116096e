"""Rules of the user's own for merging labels: two CSV files.

::

    --synonyms FILE      name,synonyms     sofa,couch;settee     one label, with the first name
    --keep-apart FILE    name,other        crane,crane bird      never one label
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nd_plugin.concepts.union.labels.label_names import SEPARATOR, normalise_name
from nd_plugin.errors import BadInput
from nd_plugin.probe_data.tables import TableLine, read_table

Pair = frozenset[str]


@dataclass(frozen=True)
class MergeRules:
    """Names that are merged, and pairs of names that are not; all of them normalised."""

    # name that a label gets, and where the user says so, by each of the names
    preferred: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    # where the user says so, by pair
    apart: Mapping[Pair, str] = field(default_factory=dict)

    @classmethod
    def read(cls, synonyms: Path | None, keep_apart: Path | None) -> MergeRules:
        """Read the user's files. Raises ConceptSetInvalid, BadInput for rules that contradict."""
        preferred = {}
        apart = {}
        if synonyms is not None:
            preferred = _preferred_names(read_table(synonyms, ["name", "synonyms"]))
        if keep_apart is not None:
            apart = _pairs(read_table(keep_apart, ["name", "other"]))
        rules = cls(preferred, apart)
        rules.check_consistent()
        return rules

    def check_consistent(self) -> None:
        """Raise BadInput for names that are to be merged and to be kept apart."""
        for pair, position in self.apart.items():
            first, second = sorted(pair)
            name, line = self.preferred.get(first, ("", ""))
            if name and name == self.preferred.get(second, ("", ""))[0]:
                raise BadInput(
                    f"{position}: {first!r} and {second!r} are to be kept apart, and {line} merges "
                    "them; delete one of the two lines"
                )

    def description(self) -> dict[str, list[list[str]]]:
        """Return the rules without their places: what a build depends on."""
        names = [
            [name, preferred] for name, (preferred, _) in self.preferred.items()
        ]
        return {
            "synonyms": sorted(names),
            "apart": sorted(sorted(pair) for pair in self.apart),
        }

    def unused(self, names: set[str]) -> list[str]:
        """Return notes on names of the rules that no label has."""
        positions = {name: line for name, (_, line) in self.preferred.items()}
        for pair, line in self.apart.items():
            positions.update(dict.fromkeys(sorted(pair), line))
        return [
            f"{line}: no source has a label {name!r}"
            for name, line in positions.items()
            if name not in names
        ]


def _preferred_names(lines: Sequence[TableLine]) -> dict[str, tuple[str, str]]:
    preferred: dict[str, tuple[str, str]] = {}
    for position, line in lines:
        texts = [line["name"], *line["synonyms"].split(SEPARATOR)]
        names = [_name(text, position) for text in texts if text.strip()]
        if len(names) < 2 or not line["name"]:
            raise BadInput(
                f"{position}: a name and at least one synonym are expected, such as sofa,couch"
            )
        for name in names:
            earlier_name, earlier_line = preferred.setdefault(
                name, (names[0], position)
            )
            if earlier_name != names[0]:
                raise BadInput(
                    f"{position}: {name!r} is merged into {names[0]!r}, and into {earlier_name!r} "
                    f"by {earlier_line}; put all names of one label into one line"
                )
    return preferred


def _pairs(lines: Sequence[TableLine]) -> dict[Pair, str]:
    pairs = {}
    for position, line in lines:
        names = [_name(line[column], position) for column in ("name", "other")]
        if names[0] == names[1]:
            raise BadInput(
                f"{position}: {line['name']!r} and {line['other']!r} are both called {names[0]!r} "
                "(positional words are dropped): labels of one name cannot be kept apart; rename "
                "one of them in its source"
            )
        pairs[frozenset(names)] = position
    return pairs


def _name(text: str, position: str) -> str:
    name = normalise_name(text)
    if not name:
        raise BadInput(
            f"{position}: a name is empty; fill it in or delete the line"
        )
    return name
