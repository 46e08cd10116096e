"""Links of the documents that leave ``docs``: to the repository, as the code host has them."""

from __future__ import annotations

import re
from pathlib import Path

FENCE = re.compile(r"^ *(```|~~~)")
LINK = re.compile(r"(?<=\]\()(\.\./[^)\s#]*)(#[^)\s]*)?(?=\))")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


class BrokenLink(ValueError):
    """Link to a file or heading that the repository does not have."""


def with_repository_links(text: str, page: Path, root: Path, address: str) -> str:
    """Return a page with its links outside of ``docs`` as links to the repository.

    ``address`` is the repository's; code blocks stay as they are. Raises BrokenLink.
    """
    docs = root / "docs"

    def address_of(match: re.Match[str]) -> str:
        relative, anchor = match[1], match[2] or ""
        target = (page.parent / relative).resolve()
        if target.is_relative_to(docs):
            return match[0]
        if not target.exists() or not target.is_relative_to(root):
            raise BrokenLink(f"{page}: no file {relative}")
        if anchor and anchor[1:] not in anchors_of(target):
            raise BrokenLink(f"{page}: no heading {anchor} in {relative}")
        kind = "tree" if target.is_dir() else "blob"
        path = target.relative_to(root).as_posix()
        return f"{address}/{kind}/main/{path}{anchor}"

    lines = []
    is_code = False
    for line in text.split("\n"):
        if FENCE.match(line):
            is_code = not is_code
        lines.append(line if is_code else LINK.sub(address_of, line))
    return "\n".join(lines)


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that code hosts give to the headings of a page in Markdown."""
    headings = HEADING.findall(page.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }
