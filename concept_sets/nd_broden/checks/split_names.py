"""Splits that an index names on a few lines alone: empty cells, and misspelt names."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from nd_broden.checks.findings import finding_of
from nd_broden.checks.index_values import IndexLine
from nd_plugin import SetFinding
from nd_plugin.reading import place_of

RARE = 0.01  # of an index's lines
ALIKE = 0.6  # of `difflib`: vla and val are, test and train are not


def find_split_faults(
    lines: Sequence[IndexLine], root: Path
) -> Iterator[SetFinding]:
    """Yield a warning for each line without a split among others, or with a misspelt one."""
    counts = Counter(line.row.split for line in lines)
    if set(counts) == {""}:
        return  # the index has no such column, or an empty one
    problems = _misspelt(counts)
    problems[""] = "it has no split, and other lines have one"
    for line in lines:
        if line.row.split in problems:
            place = place_of(line.position, root)
            yield finding_of("split-name", place, problems[line.row.split])


def _misspelt(counts: Counter[str]) -> dict[str, str]:
    """Return what is wrong with rare splits that are nearly those of many lines."""
    most_of_rare = RARE * counts.total()
    frequent = {
        split.casefold(): split
        for split, count in counts.items()
        if split and count >= most_of_rare
    }
    problems = {}
    for split, count in counts.items():
        if not split or count >= most_of_rare:
            continue
        similar = difflib.get_close_matches(split.casefold(), frequent, 1, ALIKE)
        if similar:
            name = frequent[similar[0]]
            lines_have = "line has" if count == 1 else "lines have"
            problems[split] = (
                f"{count} {lines_have} the split {split!r}, and {counts[name]} have {name!r}"
            )
    return problems
