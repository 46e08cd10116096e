"""Fenced blocks of Markdown pages: their language, text and line, and why one is not run."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)
NOT_RUN = re.compile(r"<!-- not run: (?P<reason>[^>]+) -->\s*$")
SHELLS = ("sh", "bash", "console")


@dataclass(frozen=True)
class Block:
    """Fenced block of a page."""

    page: str
    line: int  # of its first line of text, from 1
    language: str  # "" where the fence names none
    text: str
    not_run: str  # reason, from a comment in front of the block; "" where it is run

    @property
    def place(self) -> str:
        """Return page and line, for messages."""
        return f"{self.page}:{self.line}"


def blocks_of(page: Path, name: str) -> list[Block]:
    """Return the blocks of a page, from top to bottom."""
    content = page.read_text(encoding="utf-8")
    blocks = []
    for match in FENCE.finditer(content):
        comment = NOT_RUN.search(content[: match.start()])
        indent = match["indent"]
        lines = match["text"].split("\n")
        text = "\n".join(line.removeprefix(indent) for line in lines)
        blocks.append(
            Block(
                page=name,
                line=content.count("\n", 0, match.start()) + 2,
                language=match["language"].strip(),
                text=text,
                not_run=comment["reason"] if comment else "",
            )
        )
    return blocks


def commands_of(block: Block) -> list[str]:
    """Return the commands of a shell block; of a console block those after the prompt."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    commands = [line.strip() for line in lines]
    return [line for line in commands if line and not line.startswith("#")]


def words_of(command: str) -> list[str]:
    """Return the words of a command, as a shell has them; comments are left out."""
    return shlex.split(command, comments=True)
