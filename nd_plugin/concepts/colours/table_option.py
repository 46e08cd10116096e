"""Option ``--color-table``: the table of every ``+color`` in the text of a concept set."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from nd_plugin.errors import BadInput

# what is in quotes is a source's own; an option's value ends where the text of a set goes on
ADDED_COLOUR = re.compile(
    r'"[^"]*"|\+\s*color(?P<options>\?[^+\[(),"]*)?(?=\s*(?:$|[\[+,)]))'
)


def with_color_table(concepts: str, file: Path | None) -> str:
    """Return the text of a concept set with ``?table=FILE`` behind each ``+color``.

    ``file`` is the value of the option; None: the same text. Raises BadInput for a text without
    ``+color``, and for one that names a table itself.
    """
    if file is None:
        return concepts
    options = [
        match["options"] or ""
        for match in ADDED_COLOUR.finditer(concepts)
        if not match[0].startswith('"')
    ]
    if not options:
        raise BadInput(
            f"--color-table {file} is the table of +color, which {concepts!r} has not: write "
            f"-c '{concepts}+color'"
        )
    if any(options):
        raise BadInput(
            f"{concepts!r} names a colour table itself, and --color-table {file} another: give "
            "one of the two"
        )
    option = f"?table={quote(str(file))}"
    return ADDED_COLOUR.sub(lambda match: _extended(match[0], option), concepts)


def _extended(text: str, option: str) -> str:
    return text if text.startswith('"') else text + option
