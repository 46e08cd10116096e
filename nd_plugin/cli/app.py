"""Command line ``nd``: results on stdout, progress and logs on stderr.

Exit codes: 0 done, 1 the run failed, 2 usage, 3 backend or device not available, 130 interrupted.
Commands import torch and other heavy packages inside their functions: ``nd --help`` stays light.
"""

from __future__ import annotations

from typing import Annotated

import typer

from nd_plugin.cli import console
from nd_plugin.cli.analysis_commands import explain, parity, report
from nd_plugin.cli.listings import concepts, doctor, layers, plugins
from nd_plugin.cli.run_commands import demo, dissect, merge

app = typer.Typer(
    name="nd",
    help="Network Dissection: names the units of a vision network by the concepts they detect.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run ``nd`` with the arguments of this process."""
    console.guarded(app)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.")
    ] = False,
) -> None:
    if version:
        from importlib import metadata

        typer.echo(f"nd_plugin {metadata.version('nd_plugin')}")
        raise typer.Exit


# In the order in which `nd --help` lists them.
app.command()(dissect)
app.command()(merge)
app.command()(demo)
app.command()(layers)
app.command()(parity)
app.command()(doctor)
app.command()(concepts)
app.command()(plugins)
app.command()(report)
app.command()(explain)
