"""Command line ``nd``: results on stdout, progress and logs on stderr.

Exit codes: 0 done, 1 the run failed, 2 usage, 3 backend or device not available, 129 hung up, 130
interrupted, 143 terminated.
Commands import torch and other heavy packages inside their functions: ``nd --help`` stays light.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from nd_plugin.cli import console
from nd_plugin.cli.analysis_commands import explain, parity, report
from nd_plugin.cli.concept_sets.build import build
from nd_plugin.cli.concept_sets.check import check
from nd_plugin.cli.concept_sets.export import export
from nd_plugin.cli.concept_sets.fetch import fetch
from nd_plugin.cli.concept_sets.info import info
from nd_plugin.cli.concept_sets.listing import list_concepts
from nd_plugin.cli.experiments.compare_command import compare
from nd_plugin.cli.experiments.evolve_command import evolve
from nd_plugin.cli.experiments.probe_command import probe
from nd_plugin.cli.experiments.rotate_command import rotate
from nd_plugin.cli.listings import doctor, layers
from nd_plugin.cli.plugin_commands.listing import list_plugins
from nd_plugin.cli.plugin_commands.new import new
from nd_plugin.cli.run_commands import demo, dissect, merge
from nd_plugin.cli.views.rate import rate
from nd_plugin.cli.views.unit import unit
from nd_plugin.shell import completion
from nd_plugin.shell.default_command import GroupWithDefault
from nd_plugin.shell.help_pages import HelpCommand, HelpGroup
from nd_plugin.shell.messages import with_message_options
from nd_plugin.shell.option_groups import with_flat_options

app: typer.Typer = typer.Typer(
    cls=HelpGroup,
    name="nd",
    help="Network Dissection: names the units of a vision network by the concepts they detect.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "nd demo\n"
        "nd layers torchvision:resnet18\n"
        "nd dissect torchvision:resnet18 -l layer4 -c shapes -o runs/resnet18\n"
        "nd report runs/resnet18 --html report"
    ),
)
concept_sets: typer.Typer = typer.Typer(
    cls=GroupWithDefault,
    name="concepts",
    help="Concept sets: list, inspect, check, build, export and fetch them.",
    no_args_is_help=True,
    epilog="nd concepts shapes\nnd concepts masks:street --json",
)
plugins: typer.Typer = typer.Typer(
    cls=GroupWithDefault,
    name="plugins",
    help="Plugins: list and check the installed ones, and make new ones.",
    epilog="nd plugins\nnd plugins --check torch\nnd plugins new concept-set nd-street",
)
app.add_typer(concept_sets)
app.add_typer(plugins)


def main() -> None:
    """Run ``nd`` with the arguments of this process."""
    with completion.adapted_to_bash():
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


def _add(
    command: Callable[..., None],
    *examples: str,
    name: str | None = None,
    group: typer.Typer = app,
) -> None:
    """Add a command to a group, with examples for its help; ``name`` is not its function's."""
    command = console.without_foreign_exits(command)
    flat_command = with_flat_options(with_message_options(command))
    epilog = "\n".join(examples)
    group.command(name, cls=HelpCommand, epilog=epilog)(flat_command)


_add(
    dissect,
    "nd dissect torchvision:resnet18 -l layer4 -c shapes -o runs/resnet18",
    "nd dissect net.onnx -l 'layer?' -c broden:broden1_224 --input-size 224",
    "nd dissect package.module:factory --weights net.safetensors -l all -c masks:street",
)
_add(merge, "nd merge runs/r-1 runs/r-2 -o runs/r")
_add(demo, "nd demo", "nd demo --images 100 -o runs/demo")
_add(
    layers,
    "nd layers torchvision:resnet18",
    "nd layers net.onnx --input-size 48x320 --json",
)
_add(
    parity,
    "nd parity net.onnx torchvision:resnet18 -l layer4 -c shapes",
    "nd parity int8.onnx net.onnx -l conv1=/conv1/Conv_output_0 -c shapes --tolerance 0.05",
)
_add(
    rotate,
    "nd rotate torchvision:resnet18 -l layer4 -c shapes -o runs/rotated",
    "nd rotate net.onnx -l relu5 -c broden:broden1_224 --alpha 0,1 --basis sae.safetensors",
    "nd rotate --from runs/rotated --plot fig6.pdf",
)
_add(doctor, "nd doctor")
_add(
    list_concepts,
    "nd concepts shapes",
    "nd concepts masks:street --json",
    name="list",
    group=concept_sets,
)
_add(
    info,
    "nd concepts info broden:broden1_224",
    "nd concepts info masks:street --plot samples.pdf",
    "nd concepts info masks:street+color --color-table w2c.npy --json",
    group=concept_sets,
)
_add(
    build,
    "nd concepts build union masks:street shapes",
    "nd concepts build broden1_227 ade=masks:ade20k dtd=masks:dtd --size 227 --report union.md",
    "nd concepts build union masks:street shapes --resume",
    group=concept_sets,
)
_add(
    export,
    "nd concepts export masks:street street-broden",
    "nd concepts export masks:street street-224 --size 224",
    "nd concepts export broden:broden1_224 broden-masks --format masks --limit 1000",
    name="export",
    group=concept_sets,
)
_add(
    fetch,
    "nd concepts fetch broden",
    "nd concepts fetch broden --size 227 --url https://mirror.example/broden1_227.zip",
    "nd concepts fetch broden --from Downloads/broden1_224.zip",
    group=concept_sets,
)
_add(
    check,
    "nd concepts check broden:broden1_224",
    "nd concepts check masks:street --strict --json",
    "nd concepts check --tables broden1_224",
    group=concept_sets,
)
_add(
    list_plugins,
    "nd plugins",
    "nd plugins --check",
    "nd plugins --check torch --json",
    name="list",
    group=plugins,
)
_add(
    new,
    "nd plugins new concept-set nd-street",
    "nd plugins new backend nd-jax-models -o jax-models",
    "nd plugins new reporter nd-markdown --json",
    group=plugins,
)
_add(
    report,
    "nd report runs/resnet18",
    "nd report runs/resnet18 --html report",
    "nd report runs/resnet18 --format csv -o units.csv",
    "nd report runs/resnet18 runs/vgg16 --plot fig9.pdf",
)
_add(
    compare,
    "nd compare runs/resnet18 runs/vgg16 --plot networks.pdf",
    "nd compare runs/resnet18:layer3 runs/resnet18:layer4 caffe_reference_places365.csv",
    "nd compare networks.mat:vgg16_* --plot fig9.pdf",
    "nd compare runs/resnet18 runs/vgg16 --concept airplane --plot airplane.png",
    "nd compare runs/base runs/new --fail-under 0.95 --junit gate.xml",
)
_add(
    unit,
    "nd unit runs/resnet18 12",
    "nd unit runs/resnet18 12 -l layer4 --plot unit12.pdf",
)
_add(
    explain,
    "nd explain runs/resnet18 torchvision:resnet18 photo.jpg",
    "nd explain runs/resnet18 torchvision:resnet18 photo.jpg -l 'layer?' --html why.html",
)
_add(
    rate,
    "nd rate runs/resnet18",
    "nd rate runs/resnet18 --descriptions people.csv --units 50",
    "nd rate runs/resnet18 --table",
    "nd rate runs/resnet18 --export page",
)
_add(
    evolve,
    "nd evolve package.module:factory weights/ -l layer4 -c shapes -o runs/training",
    "nd evolve stage-*.onnx -l relu2 -c masks:street --accuracy accuracy.csv",
    "nd evolve --from runs/training --plot emergence.pdf",
    "nd evolve --from runs/training --plot units.pdf --plot-kind histories",
)
_add(
    probe,
    "nd probe torchvision:resnet18 images/ -l 'layer?'",
    "nd probe torchvision:resnet18 images/ -l layer4 --rotate 0.5,1 --repeats 5",
    "nd probe --from a-probe --from b-probe --run a --run b --plot figure25.pdf",
)
