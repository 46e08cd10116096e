"""Groups of options that several commands share: dataclasses whose fields are typer's options.

A command takes a group as one argument, and the command line has an option for each field::

    @dataclass(frozen=True)
    class Preprocessing:
        mean: Annotated[str | None, typer.Option(help="Mean per channel.")] = None

    def dissect(model: ModelText, *, preprocessing: Preprocessing) -> None: ...
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints


def with_flat_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with the fields of its groups as options, each where its group stands.

    Raises ValueError for two options of one name.
    """
    parameters = parameters_of(command)
    groups = {
        parameter.name: parameter.annotation
        for parameter in parameters
        if _is_group(parameter)
    }

    @functools.wraps(command)
    def with_options(**options: Any) -> None:
        arguments: dict[str, Any] = {}
        for name, group in groups.items():
            values = {
                field.name: options.pop(field.name) for field in fields(group)
            }
            arguments[name] = group(**values)
        command(**options, **arguments)

    set_parameters(with_options, _flat(parameters))
    return with_options


def parameters_of(source: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a command, or the fields of a group, with types as annotations."""
    # texts of annotations are looked up in the module of the source
    annotations = get_type_hints(source, include_extras=True)
    return [
        parameter.replace(annotation=annotations[name])
        for name, parameter in inspect.signature(source).parameters.items()
    ]


def set_parameters(
    command: Callable[..., None], parameters: Iterable[inspect.Parameter]
) -> None:
    """Make these the parameters that typer sees of a command."""
    signature = inspect.Signature(list(parameters))
    vars(command)["__signature__"] = signature
    command.__annotations__ = {
        parameter.name: parameter.annotation
        for parameter in signature.parameters.values()
    }


def _flat(parameters: Iterable[inspect.Parameter]) -> Iterator[inspect.Parameter]:
    for parameter in parameters:
        if not _is_group(parameter):
            yield parameter
            continue
        for field in parameters_of(parameter.annotation):
            yield field.replace(kind=parameter.kind)


def _is_group(parameter: inspect.Parameter) -> bool:
    return isinstance(parameter.annotation, type) and is_dataclass(
        parameter.annotation
    )
