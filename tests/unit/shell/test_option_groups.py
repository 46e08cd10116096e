"""Groups of options: dataclasses that a command takes, and the command line has flat."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from nd_plugin.shell.messages import with_message_options
from nd_plugin.shell.option_groups import parameters_of, with_flat_options


@dataclass(frozen=True)
class Colour:
    tone: Annotated[str, typer.Option(help="Name.")] = "red"
    depth: Annotated[int | None, typer.Option("--bits", min=1)] = None


@dataclass(frozen=True)
class Border(Colour):
    width: Annotated[float, typer.Option()] = 0.5


@dataclass(frozen=True)
class Clashing:
    tone: Annotated[str, typer.Option()] = "blue"


class Painter:
    """Command that keeps what it was called with, and from where each value came."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.sources: dict[str, str] = {}

    def command(self) -> Any:
        def paint(
            context: typer.Context,
            shape: Annotated[str, typer.Argument()],
            *,
            times: Annotated[int, typer.Option()] = 1,
            colour: Colour,
            json: Annotated[bool, typer.Option("--json")] = False,
        ) -> None:
            """Paint a shape."""
            for parameter in context.command.params:
                source = context.get_parameter_source(parameter.name or "")
                self.sources[parameter.name or ""] = source.name if source else ""
            self.calls.append(
                {"shape": shape, "times": times, "colour": colour, "json": json}
            )

        return paint


@pytest.fixture
def painter() -> Painter:
    return Painter()


def run(command: Any, *arguments: str) -> Any:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(arguments))


def test_options_of_a_group_stand_where_it_stood(painter: Painter) -> None:
    flat = with_flat_options(painter.command())
    parameters = inspect.signature(flat).parameters
    assert list(parameters) == [
        "context",
        "shape",
        "times",
        "tone",
        "depth",
        "json",
    ]
    assert flat.__name__ == "paint" and flat.__doc__ == "Paint a shape."
    depth = parameters["depth"]
    assert depth.default is None and depth.kind is inspect.Parameter.KEYWORD_ONLY
    (option,) = depth.annotation.__metadata__
    assert option.min == 1
    assert flat.__annotations__["depth"] is depth.annotation


def test_the_command_gets_the_group(painter: Painter) -> None:
    flat = with_flat_options(painter.command())
    assert run(flat, "disc").exit_code == 0
    assert run(flat, "--tone", "red", "disc", "--bits", "8").exit_code == 0
    assert [call["colour"] for call in painter.calls] == [
        Colour(),
        Colour("red", 8),
    ]
    assert painter.calls[0] == {
        "shape": "disc",
        "times": 1,
        "colour": Colour(),
        "json": False,
    }
    # whether an option is given is known, whatever its default is
    assert painter.sources["tone"] == painter.sources["depth"] == "COMMANDLINE"
    assert painter.sources["times"] == "DEFAULT"


def test_bounds_hold(painter: Painter) -> None:
    flat = with_flat_options(painter.command())
    assert run(flat, "disc", "--bits", "0").exit_code == 2
    assert painter.calls == []


def test_a_group_has_the_fields_of_the_group_it_extends() -> None:
    borders = []

    def frame(*, border: Border) -> None:
        borders.append(border)

    flat = with_flat_options(frame)
    assert list(inspect.signature(flat).parameters) == ["tone", "depth", "width"]
    assert run(flat, "--width", "2", "--tone", "grey").exit_code == 0
    assert borders == [Border("grey", None, 2.0)]


def test_two_options_of_one_name_are_refused() -> None:
    def frame(*, colour: Colour, other: Clashing) -> None: ...

    with pytest.raises(ValueError, match="duplicate parameter name: 'tone'"):
        with_flat_options(frame)


def test_a_command_without_groups_stays_as_it_is() -> None:
    calls = []

    def name(text: Annotated[str, typer.Argument()] = "none") -> None:
        calls.append(text)

    flat = with_flat_options(name)
    (parameter,) = inspect.signature(flat).parameters.values()
    (original,) = parameters_of(name)
    assert parameter.name == original.name and parameter.default == "none"
    assert parameter.kind == original.kind
    assert parameter.annotation.__origin__ is str
    assert run(flat, "this").exit_code == 0
    assert calls == ["this"]


def test_options_of_messages_stand_last(painter: Painter) -> None:
    flat = with_flat_options(with_message_options(painter.command()))
    names = list(inspect.signature(flat).parameters)
    assert names[-3:] == ["json", "quiet", "log_file"]
    assert run(flat, "disc", "-q", "--bits", "4").exit_code == 0
    assert painter.calls[0]["colour"] == Colour(depth=4)
    assert "quiet" not in painter.calls[0]
