"""What ``nd explain`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from nd_plugin.captum_api.layer_dissection import LayerDissection
from nd_plugin.captum_api.unit_explanation import preprocess_of
from nd_plugin.cli import console
from nd_plugin.contracts.models import ModelOptions
from nd_plugin.errors import BadInput, RunFailed, Unreadable, nearest
from nd_plugin.explain.explanation import Explanations
from nd_plugin.plugins.opening import open_model
from nd_plugin.report.explanations import render_all
from nd_plugin.results import atomic_files, run_folder
from nd_plugin.results.dissection import Dissection


@dataclass(frozen=True)
class ExplainOptions:
    """What the command line says beside the run, the model and the image."""

    layer: str | None = None
    quantile: float | None = None
    target: str | None = None
    top_k: int = 5
    detectors_only: bool = False
    contribution: str = "auto"
    mask: str = "image"
    image_quantile: float = 0.2
    classes: Path | None = None


def explain(
    run: Path,
    model: str,
    image: Path,
    asked: ExplainOptions,
    *,
    options: ModelOptions,
    html: Path | None,
    as_json: bool,
) -> None:
    """Explain, and print or write it."""
    dissection = chosen(run_folder.load_run(run), asked.layer, asked.quantile, run)
    names = read_classes(asked.classes) if asked.classes else None
    target = parse_target(asked.target, names)
    with console.results_only():
        found = _explained(dissection, model, image, asked, options, names, target)
    if html is not None:
        atomic_files.write_file(html, found.to_html().encode())
        console.say(f"written to {html}")
    if as_json:
        console.write(found.to_json())
    elif html is None:
        console.show(render_all(found))


def _explained(
    dissection: Dissection,
    model: str,
    image: Path,
    asked: ExplainOptions,
    options: ModelOptions,
    names: Sequence[str] | None,
    target: Any,
) -> Explanations:
    opened = open_model(model, options)
    how = preprocess_of(dissection) or opened.preprocess
    pixels = how.normalise(how.resize(read_image(image))[None]).to(opened.device)
    units = LayerDissection(opened, dissection.layer)
    units.dissection = dissection
    try:
        return units.explain(
            pixels,
            target,
            top_k=asked.top_k,
            detectors_only=asked.detectors_only,
            contribution=asked.contribution,
            mask=asked.mask,
            image_quantile=asked.image_quantile,
            classes=names,
            preprocess=how,
        )
    except (
        AssertionError,
        IndexError,
    ) as error:  # Captum's and torch's word for a target that does not fit
        raise BadInput(
            f"target {asked.target!r} does not fit the model's output: {error}"
        ) from error
    except (RuntimeError, TypeError) as error:
        if isinstance(error, RunFailed):
            raise
        raise RunFailed(f"the model failed: {type(error).__name__}: {error}") from error


def chosen(
    found: Sequence[Dissection], layer: str | None, quantile: float | None, run: Path
) -> Dissection:
    """The layer that was asked for, or the run's last, at the quantile that was asked for, or the run's first."""
    layers = list(dict.fromkeys(dissection.layer for dissection in found))
    if layer is None:
        layer = layers[-1]
        if len(layers) > 1:
            console.say(f"explained by {layer}, the last layer of the run; -l chooses another")
    if layer not in layers:
        raise BadInput(f"the run {run} has no layer {layer!r}; it has {', '.join(layers)}")
    by_quantile = {one.settings.quantile: one for one in found if one.layer == layer}
    if quantile is None:
        quantile = next(iter(by_quantile))
        if len(by_quantile) > 1:
            console.say(
                f"explained at quantile {quantile:g}, the first of the run; --quantile chooses another"
            )
    if quantile not in by_quantile:
        known = ", ".join(f"{one:g}" for one in by_quantile)
        raise BadInput(f"the run {run} has no quantile {quantile:g}; it has {known}")
    return by_quantile[quantile]


def parse_target(text: str | None, classes: Sequence[str] | None) -> Any:
    """A class's number or name, or numbers with commas between; None is the class that the model chose."""
    if text is None:
        return None
    if classes and text in classes:
        return classes.index(text)
    parts = tuple(
        int(part) if part.strip().lstrip("-").isdigit() else part.strip()
        for part in text.split(",")
    )
    if classes and len(parts) == 1 and isinstance(parts[0], str):
        raise BadInput(
            f"no class {text!r}; the nearest are {', '.join(nearest(text, classes)) or 'none'}"
        )
    if any(isinstance(part, str) for part in parts):
        raise BadInput(
            f"target {text!r} is no number; for names, --classes FILE lists those of the model's classes"
        )
    return parts if len(parts) > 1 else parts[0]


def read_classes(path: Path) -> list[str]:
    """Class names, one a line."""
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the class names {path} cannot be read: {error}") from error


def read_image(path: Path) -> Image.Image:
    """An image, decoded. Raises BadInput where there is none, Unreadable where it is damaged."""
    if not path.is_file():
        raise BadInput(f"no image {path}")
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except Exception as error:  # whatever a decoder raises
        raise Unreadable(f"the image {path} cannot be read: {error}") from error
