"""Options that would do nothing: those of a run beside ``--from``, which reports what is saved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer

from nd_plugin.errors import BadInput

# of every command
OF_REPORTS = ("saved", "source", "plot", "plot_kind", "json", "quiet", "log_file")


def refuse_run_options(context: typer.Context, reporting: Iterable[str]) -> None:
    """Raise BadInput for a given option or argument that a saved result has no use for.

    ``reporting`` are the parameters, beside those of every command, that a report takes.
    """
    allowed = {*OF_REPORTS, *reporting}
    forms = []
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in allowed and is_given(context, name):
            forms.append(_form(parameter))
    if forms:
        verb = "is" if len(forms) == 1 else "are"
        raise BadInput(
            f"--from reports what is saved, and {', '.join(forms)} {verb} for a run; "
            "leave one or the other out"
        )


def is_given(context: typer.Context, parameter: str) -> bool:
    """Return whether a parameter stands on the command line, whatever its default is."""
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


def _form(parameter: Any) -> str:
    """Return an option's long form, or an argument's name."""
    if parameter.param_type_name == "argument":
        return str(parameter.name or "").upper()
    return str(max(parameter.opts, key=len))
