"""Options of ``nd report`` on scores beside IoU."""

from __future__ import annotations

from typing import Annotated

import typer

By = Annotated[
    str,
    typer.Option(
        "--by",
        metavar="SCORE",
        help="Score that labels and orders units: iou, f1, precision, recall or correlation.",
    ),
]

MinScore = Annotated[
    float | None,
    typer.Option(
        help="Count a unit whose label has a higher --by score as a detector. "
        "[default: by IoU, as without --by]",
    ),
]
