"""Groups of options that go together, each with the values that its options stand for.

See `shell.option_groups`: a command takes a group as one argument.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from nd_plugin.cli import parsing
from nd_plugin.cli.options.shared import (
    BatchSize,
    CustomOps,
    Device,
    Feeds,
    Input,
    InputSize,
    MaxPixels,
    Memory,
    Workers,
)
from nd_plugin.contracts.models import ModelOptions
from nd_plugin.errors import BadInput


@dataclass(frozen=True)
class ModelChoice:
    """How a model is opened, beside its weights: where it runs, and an ONNX model's inputs."""

    device: Device = "auto"
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            help="Arithmetic of the model: float32, tf32, float16, bfloat16. "
            "[default: full float32]",
        ),
    ] = None
    input_name: Input = None
    feed: Feeds = None
    custom_op_library: CustomOps = None

    def model_options(self, weights: str | None = None) -> ModelOptions:
        """Return what a backend takes beside the model's name. Raises BadInput."""
        return ModelOptions(
            self.device,
            weights,
            self.input_name,
            parsing.parse_feeds(self.feed or ()),
            tuple(self.custom_op_library or ()),
            self.precision,
        )


@dataclass(frozen=True)
class Preprocessing:
    """How images become a model's input, where it is not the model's own."""

    input_size: InputSize = None
    mean: Annotated[
        str | None,
        typer.Option(
            help="Mean per channel, such as 0.485,0.456,0.406, or one for all channels."
        ),
    ] = None
    std: Annotated[
        str | None,
        typer.Option(
            help="Standard deviation per channel, such as 0.229,0.224,0.225, or one for all."
        ),
    ] = None
    scale: Annotated[
        float | None,
        typer.Option(
            help="Factor for pixels, before mean and std. [default: the model's, else 1/255]"
        ),
    ] = None
    interpolation: Annotated[
        str | None, typer.Option(help="nearest, bilinear, bicubic, lanczos.")
    ] = None
    channel_order: Annotated[str | None, typer.Option(help="rgb or bgr.")] = None

    def values(self) -> dict[str, Any]:
        """Return the options that are set, as values of a Preprocess. Raises BadInput."""
        # imports torch
        from nd_plugin.preprocess import parse_size

        size = (
            parse_size(self.input_size, "input size") if self.input_size else None
        )
        values = {
            "size": size,
            "mean": parsing.parse_statistics(self.mean, "mean")
            if self.mean
            else None,
            "std": parsing.parse_statistics(self.std, "std") if self.std else None,
            "scale": self.scale,
            "interpolation": self.interpolation,
            "channel_order": self.channel_order,
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Loading:
    """How images are brought to the model."""

    batch_size: BatchSize = None
    workers: Workers = None


@dataclass(frozen=True)
class Passes(Loading):
    """How images pass through the model, and how much memory their activations may take."""

    memory: Memory = None
    device_memory: Annotated[
        str | None,
        typer.Option(
            help="Memory of a GPU for activation maps and annotations; more go to --memory. "
            "[default: 40 % of what is free]"
        ),
    ] = None

    def limits(self) -> dict[str, Any]:
        """Return batch size, workers, and both memories in bytes; None: by default."""
        return {
            "batch_size": self.batch_size,
            "workers": self.workers,
            "memory": parsing.parse_memory(self.memory),
            "device_memory": parsing.parse_memory(
                self.device_memory, "--device-memory"
            ),
        }


@dataclass(frozen=True)
class Masks:
    """Where cells of a map look, and at which size masks are compared."""

    anchor: Annotated[
        str,
        typer.Option(
            help="Position of cells: rf (receptive-field centres) or cell (even grid)."
        ),
    ] = "rf"
    mask_size: Annotated[
        str,
        typer.Option(
            help="Size at which masks are compared: auto, native, N or HxW."
        ),
    ] = "auto"

    def settings(self) -> dict[str, Any]:
        """Return the options as values of Settings."""
        return asdict(self)


@dataclass(frozen=True)
class Reading:
    """Which images are refused."""

    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Stop at the first image that cannot be read, "
            "and refuse a layer that gives other activations from run to run.",
        ),
    ] = False
    max_pixels: MaxPixels = None

    def settings(self) -> dict[str, Any]:
        """Return the options as values of Settings."""
        return asdict(self)


@dataclass(frozen=True)
class Pictures:
    """Most activating images, and how many of them are kept as pictures."""

    top_images: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Number of most activating images saved per unit, as small pictures with their "
            "masks. [default: 50 names, pictures of the first 15]",
        ),
    ] = None
    no_pictures: Annotated[
        bool,
        typer.Option(
            "--no-pictures", help="Save no pictures of the most activating images."
        ),
    ] = False
    picture_budget: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Size of a layer's pictures: 8MiB, 1GB …; beyond it, fewer images have pictures. "
            "[default: 32MiB]",
        ),
    ] = None

    def settings(self) -> dict[str, Any]:
        """Return the options that are set as values of Settings. Raises BadInput.

        A number of top images is also the number of pictures.
        """
        values: dict[str, Any] = {}
        if self.top_images is not None:
            values["top_images"] = self.top_images
            values["pictures"] = self.top_images
        if self.no_pictures:
            values["pictures"] = 0
        if self.picture_budget is not None:
            values["picture_budget"] = parsing.parse_bytes(
                self.picture_budget, "--picture-budget"
            )
        return values


@dataclass(frozen=True)
class Significance:
    """Counts for intervals and for the level of chance."""

    folds: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Also count N random parts of the images apart, for intervals by resampling "
            "without a second run; 20 is a good number.",
        ),
    ] = 0
    permutations: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Also count against N permutations of the annotations among the images: the "
            "level of chance, and a p-value of at least 1/(N + 1) for each unit.",
        ),
    ] = 0
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            help="Seed of --folds and --permutations.",
            # `nd rate` has another --seed
            rich_help_panel="Significance",
        ),
    ] = 0

    def settings(self) -> dict[str, Any]:
        """Return the options as values of Settings. Raises BadInput for a seed of neither."""
        if self.seed and not self.folds and not self.permutations:
            raise BadInput(
                f"--seed {self.seed} is the seed of --folds and --permutations: give one of "
                "them, too"
            )
        return asdict(self)


@dataclass(frozen=True)
class Checkpoints:
    """Progress of a run that is saved, and continued from."""

    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue the run if it was interrupted."),
    ] = False
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Save progress after every N images; by default every 2000, and at most "
            "twice a minute.",
        ),
    ] = None

    def values(self) -> dict[str, Any]:
        """Return the options as values of RunOptions."""
        return {"resume": self.resume, "every_images": self.checkpoint_every}
