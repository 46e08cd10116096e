"""Options of commands that dissect: counts for intervals and the chance level, bases of layers."""

from __future__ import annotations

from typing import Annotated

import typer

Folds = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Also count N random parts of the images apart, for intervals by resampling "
        "without a second run; 20 is a good number.",
    ),
]

Permutations = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Also count against N permutations of the annotations among the images: the "
        "level of chance, and a p-value of at least 1/(N + 1) for each unit.",
    ),
]

Seed = Annotated[
    int,
    typer.Option(
        min=0,
        help="Seed of --folds and --permutations.",
        # `nd rate` has another --seed
        rich_help_panel="Significance",
    ),
]

Bases = Annotated[
    list[str] | None,
    typer.Option(
        "--basis",
        metavar="FILE",
        help="Basis in which layers are seen, in place of their own units: directions, or the "
        "encoder of a sparse autoencoder (.npz, .safetensors); repeatable.",
    ),
]
