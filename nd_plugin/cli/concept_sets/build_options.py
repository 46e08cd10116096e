"""Groups of options of ``nd concepts build``, each with the values that they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nd_plugin.errors import BadInput

if TYPE_CHECKING:
    from nd_plugin.concepts.colours.colour_table import ColourTable
    from nd_plugin.concepts.union.labels.merge_rules import MergeRules
    from nd_plugin.concepts.union.settings import BuildRun
    from nd_plugin.concepts.union.splits import Splits
    from nd_plugin.receptive_fields.geometry import Size

MOST_WORKERS = 32
IMAGES = "Images and masks"


@dataclass(frozen=True)
class Sizes:
    """Sizes of images and masks."""

    size: Annotated[
        str,
        typer.Option(
            help="Size of images: 224, 227, 384, N or HxW pixels.",
            rich_help_panel=IMAGES,
        ),
    ] = "224"
    mask_size: Annotated[
        str | None,
        typer.Option(
            help="Size of masks: N or HxW pixels. [default: half the images']",
            rich_help_panel=IMAGES,
        ),
    ] = None

    def of_images_and_masks(self) -> tuple[Size, Size]:
        """Return both sizes, (rows, columns). Raises BadInput."""
        from nd_plugin.preprocess import parse_size
        from nd_plugin.probe_data.items import half

        image_size = parse_size(self.size, "size", "N or HxW")
        if self.mask_size is None:
            return image_size, half(image_size)
        return image_size, parse_size(self.mask_size, "mask size", "N or HxW")


@dataclass(frozen=True)
class Splitting:
    """Splits of the images."""

    split: Annotated[
        str,
        typer.Option(
            metavar="NAME=SHARE,…",
            help="Splits and their shares, by a hash of each image's name.",
        ),
    ] = "train=0.7,val=0.3"
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            help="Seed of the splits; 0: Broden's own.",
            rich_help_panel=IMAGES,
        ),
    ] = 0

    def splits(self) -> Splits:
        """Return the splits. Raises BadInput."""
        from nd_plugin.concepts.union.splits import Splits

        return Splits.parse(self.split, self.seed)


@dataclass(frozen=True)
class Colors:
    """Names of colours that are computed from pixels."""

    color_table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.npy",
            help="Table of colour names by RGB, such as van de Weijer's. [default: our own]",
        ),
    ] = None
    no_color: Annotated[
        bool,
        typer.Option(
            "--no-color",
            help="Compute no colour names; keep those of the sources.",
        ),
    ] = False

    def table(self) -> ColourTable | None:
        """Return the table of names; None: none are computed. Raises BadInput."""
        from nd_plugin.concepts.colours.colour_table import ColourTable

        if not self.no_color:
            return ColourTable.load(self.color_table)
        if self.color_table is not None:
            raise BadInput(
                "--color-table and --no-color exclude each other; use one"
            )
        return None


@dataclass(frozen=True)
class Labels:
    """Which labels are merged, and which are left out."""

    min_samples: Annotated[
        int,
        typer.Option(
            min=1,
            help="Leave out labels that fewer images carry.",
        ),
    ] = 10
    min_coverage: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="Leave out labels that cover less, in images' worth of pixels (Broden: 0.5).",
        ),
    ] = 0.0
    synonyms: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Labels to merge, whatever their sources: columns name,synonyms, several with ;",
        ),
    ] = None
    keep_apart: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Labels that no synonym merges: columns name,other.",
        ),
    ] = None

    def rules(self) -> MergeRules:
        """Return the user's rules. Raises BadInput, ConceptSetInvalid for the files."""
        from nd_plugin.concepts.union.labels.merge_rules import MergeRules

        return MergeRules.read(self.synonyms, self.keep_apart)


@dataclass(frozen=True)
class Construction:
    """How the set is built; no file depends on it."""

    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Worker processes. [default: cores - 1]",
        ),
    ] = None
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue an interrupted build.",
        ),
    ] = False
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Stop at an image that cannot be read, instead of skipping it.",
        ),
    ] = False
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace an earlier set there, or discard an interrupted build.",
        ),
    ] = False

    def run(self) -> BuildRun:
        """Return how the set is built."""
        from nd_plugin.concepts.union.settings import BuildRun

        return BuildRun(
            workers=self._worker_count(),
            strict=self.strict,
            resume=self.resume,
            overwrite=self.overwrite,
        )

    def _worker_count(self) -> int:
        """Return the number of worker processes beside the first one."""
        from nd_plugin.machine.forked_workers import can_fork
        from nd_plugin.probe_data.workers import cores

        if not can_fork():
            return 0
        return (
            min(cores() - 1, MOST_WORKERS) if self.workers is None else self.workers
        )
