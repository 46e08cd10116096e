"""Commands in the documents: each names a command of ``nd`` and options that it has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from nd_plugin.cli.app import app

ROOT = Path(__file__).parents[3]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]
BLOCKS = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\.venv/bin/)?(nd .*)$", re.MULTILINE)


def commands_of(page: Path) -> list[str]:
    blocks = BLOCKS.findall(page.read_text(encoding="utf-8"))
    return [command for block in blocks for command in COMMAND.findall(block)]


def options_of() -> dict[str, set[str]]:
    """Return the options of each command; of a group those of all its commands."""
    options: dict[str, set[str]] = {}
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        options[name] = set()
        for member in getattr(command, "commands", {name: command}).values():
            for option in member.params:
                options[name].update(option.opts, option.secondary_opts)
    return options


def test_the_pages_have_commands() -> None:
    assert sum(len(commands_of(page)) for page in PAGES) > 100


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: str(page.relative_to(ROOT))
)
def test_commands_and_options_are_there(page: Path) -> None:
    options = options_of()
    for command in commands_of(page):
        _, name, *words = shlex.split(command, comments=True)
        used = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert used <= options[name], command
