"""Pages of ``--help``: options in groups, with defaults and examples, readable at 40 columns."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from nd_plugin.borders.printable import printable
from nd_plugin.report.json_text import is_usage_error
from nd_plugin.shell import characters

WIDEST = 100  # columns
TWO_COLUMNS_FROM = 64  # columns; narrower ones have the help below the option
OPTION_GROUPS = {
    "Layers and concepts": "--layer --basis --concepts --color-table --tables --all --limit "
    "--shard --images --max-pixels",
    "Model": "--model --weights --device --precision --input --feed --custom-op-library "
    "--classes --paper --verify",
    "Method": "--alpha --repeats --quantile --min-iou --anchor --mask-size --by --min-score",
    "Significance": "--folds --permutations",
    "Bounds": "--tolerance --max-lost --max-renamed --fail-under",
    "Explanation": "--target --top-k --detectors --contribution --mask --image-quantile",
    "Questions": "--descriptions --units --seed --votes",
    "Votes and exports": "--table --import --export --crowd --image-url",
    "Server": "--host --port",
    "Preprocessing": "--input-size --size --mean --std --scale --interpolation --channel-order",
    "Download": "--url --hash --again --timeout",
    "Limits of the archive": "--max-entries --max-unpacked --max-ratio",
    "Images and masks": "--split --no-color",
    "Union": "--min-samples --min-coverage --synonyms --keep-apart",
    "Results": "--from --steps --accuracy --run --concept --category",
    "Classifier": "--svm-c --scaling --rotate",
    "Run": "--batch-size --workers --memory --device-memory --resume --checkpoint-every "
    "--strict --verify-data",
    "Output": "--output --overwrite --top-images --no-pictures --picture-budget --html --format "
    "--safe-csv --plot --plot-kind --junit --report --json --quiet --log-file",
}
OTHER_OPTIONS = "Options"
ARGUMENTS = "Arguments"
COMMAND_GROUPS = {
    "Dissect": "demo dissect merge",
    "Look at results": "report unit explain parity rate",
    "Experiments": "compare rotate evolve probe",
    "See what there is": "layers concepts plugins doctor",
}
OTHER_COMMANDS = "Commands"
Rows = list[tuple[str, str]]  # form, help


class HelpCommand(TyperCommand):
    """Command with a page of help; the lines of its epilog are examples."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the page."""
        _print_page(_command_page(self, ctx))


class HelpGroup(TyperGroup):
    """Group of commands with a page of help; the lines of its epilog are examples."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Parse the options before the command."""
        with _errors_printable():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Parse the options of the command, and run it."""
        with _errors_printable():
            return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the page."""
        _print_page(_group_page(self, ctx))


@contextmanager
def _errors_printable() -> Iterator[None]:
    """Take from messages of typer, which prints them, what steers a terminal: names of files."""
    try:
        yield
    except Exception as error:
        if is_usage_error(error):
            for name, value in vars(error).items():
                if isinstance(value, str):
                    setattr(error, name, printable(value))
        raise


@dataclass(frozen=True)
class Section:
    """Title, and rows of forms and their help."""

    title: str
    rows: Rows

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        yield Text(f"\n{self.title}", style="bold")
        if options.max_width < TWO_COLUMNS_FROM:
            for form, text in self.rows:
                yield _padded(Text(form, style="cyan"), 2)
                yield _padded(Text(text), 6)
            return
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style="cyan", no_wrap=True)
        table.add_column()
        for form, text in self.rows:
            table.add_row(Text(form), Text(text))
        yield _padded(table, 2)


@dataclass(frozen=True)
class Examples:
    """Commands, which a narrow terminal shows on several lines that a shell takes as one."""

    commands: Sequence[str]

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        if self.commands:
            yield Text("\nExamples", style="bold")
        for command in self.commands:
            lines = textwrap.wrap(
                command,
                options.max_width - 8,
                break_long_words=False,
                break_on_hyphens=False,
            )
            yield _padded(Text(" \\\n  ".join(lines)), 2)


def _padded(item: RenderableType, columns: int) -> Padding:
    return Padding(item, (0, 0, 0, columns))


def _print_page(blocks: Iterator[RenderableType]) -> None:
    """Print blocks of text to stdout, in the characters and the width that it has."""
    console = Console(file=characters.readable(sys.stdout), highlight=False)
    console.width = min(console.width, WIDEST)
    with console.capture() as captured:
        for block in blocks:
            console.print(block)
    lines = captured.get().splitlines()
    console.file.write("".join(f"{line.rstrip()}\n" for line in lines))


def sections_of_command(command: Any, context: Any) -> list[Section]:
    """Return the arguments of a command, and its options in groups."""
    arguments: Rows = []
    options: list[Any] = []
    for parameter in command.get_params(context):
        if parameter.param_type_name == "argument":
            arguments.append((_argument_form(parameter), _help_of(parameter)))
        elif not parameter.hidden:
            options.append(parameter)
    sections = _grouped(options)
    if arguments:
        sections.insert(0, Section(ARGUMENTS, arguments))
    return sections


def usage_of_command(context: Any, sections: Sequence[Section]) -> str:
    """Return how a command with these sections is called."""
    forms = [
        form
        for section in sections
        if section.title == ARGUMENTS
        for form, _ in section.rows
    ]
    return " ".join([context.command_path, *forms, "[OPTIONS]"])


def _command_page(command: Any, context: Any) -> Iterator[RenderableType]:
    sections = sections_of_command(command, context)
    yield _usage(usage_of_command(context, sections))
    yield _description(command.help)
    yield from sections
    yield Examples((command.epilog or "").splitlines())


def _group_page(group: Any, context: Any) -> Iterator[RenderableType]:
    yield _usage(f"{context.command_path} COMMAND [OPTIONS]")
    yield _description(group.help)
    yield from sections_of_group(group, context)
    yield from _grouped(group.get_params(context))
    yield Examples((group.epilog or "").splitlines())


def sections_of_group(group: Any, context: Any) -> list[Section]:
    """Return the commands of a group in their own groups, with the help of each."""
    sections = []
    summaries: dict[str, str] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        summaries[name] = _plain(command.help)
    for title, names in COMMAND_GROUPS.items():
        listed = [name for name in names.split() if name in summaries]
        rows = [(name, summaries.pop(name)) for name in listed]
        if rows:
            sections.append(Section(title, rows))
    if summaries:
        sections.append(Section(OTHER_COMMANDS, list(summaries.items())))
    return sections


def _usage(line: str) -> RenderableType:
    return Text.assemble(("Usage: ", "yellow"), (line, "bold"))


def _description(text: str | None) -> RenderableType:
    return Text(f"\n{_plain(text)}")


def _plain(text: str | None) -> str:
    """Return a text on one line, in the characters of stdout: columns are counted in these."""
    return characters.fitting(" ".join((text or "").split()), sys.stdout)


def _grouped(options: Sequence[Any]) -> list[Section]:
    """Return the groups that have options, in their order."""
    group_of_option: dict[str, str] = {}
    for title, names in OPTION_GROUPS.items():
        group_of_option.update(dict.fromkeys(names.split(), title))
    rows: dict[str, Rows] = {title: [] for title in (*OPTION_GROUPS, OTHER_OPTIONS)}
    for option in options:
        long_form = max(option.opts, key=len)
        title = option.rich_help_panel or group_of_option.get(long_form, "")
        row = (_option_form(option), _help_of(option))
        rows.setdefault(title or OTHER_OPTIONS, []).append(row)
    return [
        Section(title, group_rows)
        for title, group_rows in rows.items()
        if group_rows
    ]


def _argument_form(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _option_form(option: Any) -> str:
    """Return ``-l, --layer LAYER``."""
    forms = ", ".join(sorted(option.opts, key=len))
    if option.is_flag:
        return forms
    long_form = max(option.opts, key=len)
    value = option.metavar or long_form.rpartition("-")[2].upper()
    return f"{forms} {value}"


def _help_of(parameter: Any) -> str:
    """Return a parameter's help and its default, which some name in the help itself."""
    text = _plain(parameter.help)
    default = parameter.default
    is_option = parameter.param_type_name == "option"
    if is_option and parameter.required:
        return f"{text} [required]"
    if (
        default is None
        or default is False
        or callable(default)
        or "[default" in text
    ):
        return text
    return f"{text} [default: {default}]"
