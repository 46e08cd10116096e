"""Command reference: a page for each command of ``nd``, from the command line itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from nd_plugin.cli.app import app
from nd_plugin.shell.default_command import DEFAULT, GroupWithDefault
from nd_plugin.shell.help_pages import (
    Section,
    sections_of_command,
    sections_of_group,
    usage_of_command,
)

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~^$])")
INTRODUCTION = """\
Generated from the command line itself; `nd COMMAND --help` prints the same. What resuming, shards,
messages, precision and exit codes mean is said in [the guide](../../command-line.md).
"""


def command_pages() -> dict[str, str]:
    """Return the pages in Markdown, by name; ``index`` lists the commands in their groups."""
    group: Any = get_command(app)
    context = group.make_context("nd", [], resilient_parsing=True)
    pages = {}
    for words, command, own_context in _commands(group, context):
        pages["-".join(words)] = _command_page(words, command, own_context)
    pages["index"] = _index_page(group, context, list(pages))
    return pages


def _commands(
    group: Any, context: Any, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        own_words = (*words, name)
        own_context = command.make_context(
            name, [], parent=context, resilient_parsing=True
        )
        if hasattr(command, "list_commands"):
            yield from _commands(command, own_context, own_words)
        else:
            yield own_words, command, own_context


def _index_page(group: Any, context: Any, names: list[str]) -> str:
    lines = ["# Command reference", "", INTRODUCTION]
    for section in sections_of_group(group, context):
        lines += [f"## {section.title}", ""]
        for name, summary in section.rows:
            lines += _index_lines(name, summary, names)
        lines.append("")
    lines += ["```{toctree}", ":hidden:", "", *names, "```", ""]
    return "\n".join(lines)


def _index_lines(name: str, summary: str, names: list[str]) -> Iterator[str]:
    if name in names:
        yield f"- [`nd {name}`]({name}.md): {_escaped(summary)}"
        return
    yield f"- `nd {name}`: {_escaped(summary)}"
    for member in names:
        if member.startswith(f"{name}-"):
            yield f"  - [`nd {member.replace('-', ' ', 1)}`]({member}.md)"


def _command_page(words: tuple[str, ...], command: Any, context: Any) -> str:
    sections = sections_of_command(command, context)
    title = " ".join(("nd", *words))
    lines = [
        f"({'-'.join(('nd', *words))})=",
        f"# `{title}`",
        "",
        _escaped(" ".join((command.help or "").split())),
        "",
        "```text",
        usage_of_command(context, sections),
        "```",
        "",
    ]
    if words[-1] == DEFAULT and isinstance(
        context.parent.command, GroupWithDefault
    ):
        lines += [f"`{title.removesuffix(f' {DEFAULT}')}` does the same.", ""]
    if command.epilog:
        lines += ["## Examples", "", "```sh", command.epilog, "```", ""]
    for section in sections:
        lines += _section_lines(section)
    return "\n".join(lines)


def _section_lines(section: Section) -> Iterator[str]:
    yield from (f"## {section.title}", "")
    for form, text in section.rows:
        yield from (f"`{form}`", f": {_escaped(text) or '–'}", "")


def _escaped(text: str) -> str:
    return SPECIAL.sub(r"\\\1", text)
