"""Command ``nd explain``: explanation of a model's output for one image, by the units of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nd_plugin.captum_api.layer_dissection import LayerDissection
from nd_plugin.cli import console
from nd_plugin.cli.options.explanations import ExplainOptions
from nd_plugin.cli.report import say_written
from nd_plugin.contracts.models import Model, ModelOptions
from nd_plugin.errors import BadInput, NDError, RunFailed, nearest
from nd_plugin.explain.explanation import Explanation, Explanations
from nd_plugin.foreign_code import describe_error
from nd_plugin.pictures.pixel_limit import pixel_limit_around
from nd_plugin.plugins.layer_patterns import LayerNames, describe, is_pattern
from nd_plugin.plugins.opening import open_model
from nd_plugin.report.explanations import render_all
from nd_plugin.results import displayed_layers, run_folder
from nd_plugin.results.dissection import Dissection

LAYERS_LISTED = 12  # in an error, all of a run's


def explain(
    run: Path,
    model: str,
    image: Path,
    explain_options: ExplainOptions,
    *,
    options: ModelOptions,
    html: Path | None,
    as_json: bool,
) -> None:
    """Explain an image; write the explanation to the terminal, to a page or as JSON."""
    if html is not None:
        displayed_layers.check_html_target(html)
    dissections = choose_dissections(
        run_folder.load_run(run),
        explain_options.layer,
        explain_options.quantile,
        run,
    )
    classes = (
        read_classes(explain_options.classes) if explain_options.classes else None
    )
    target = parse_target(explain_options.target, classes)
    with console.results_only():
        explanations = _explanations(
            dissections, model, image, explain_options, options, classes, target
        )
    if html is not None:
        explanations.to_html(html)
        say_written(html)
    if as_json:
        console.write(explanations.to_json())
    elif html is None:
        console.show(render_all(explanations))


def _explanations(
    dissections: Sequence[Dissection],
    model: str,
    image: Path,
    explain_options: ExplainOptions,
    options: ModelOptions,
    classes: Sequence[str] | None,
    target: Any,
) -> Explanations:
    """Explain the image by each dissection in turn."""
    opened = open_model(model, options)
    explanations: list[Explanation] = []
    for dissection in dissections:
        explanations += _explain_by(
            dissection, opened, image, explain_options, classes, target
        )
    return Explanations(explanations)


def _explain_by(
    dissection: Dissection,
    opened: Model,
    image: Path,
    explain_options: ExplainOptions,
    classes: Sequence[str] | None,
    target: Any,
) -> Explanations:
    units = LayerDissection(opened, dissection.layer)
    units.dissection = dissection
    with (
        _translated_errors(explain_options.target),
        pixel_limit_around(explain_options.max_pixels),
    ):
        return units.explain(
            image,
            target,
            top_k=explain_options.top_k,
            detectors_only=explain_options.detectors_only,
            contribution=explain_options.contribution,
            mask=explain_options.mask,
            image_quantile=explain_options.image_quantile,
            classes=classes,
        )


@contextmanager
def _translated_errors(target: str | None) -> Iterator[None]:
    """Translate errors of torch, Captum and the model to ours."""
    try:
        yield
    except (AssertionError, IndexError) as error:
        # raised by Captum and torch for unfit targets
        raise BadInput(
            f"target {target!r} does not fit the model's output: {error}"
        ) from error
    except NDError:  # ours already
        raise
    except (RuntimeError, TypeError) as error:
        raise RunFailed(f"the model failed: {describe_error(error)}") from error
    except MemoryError as error:
        raise RunFailed(
            f"the explanation failed: {describe_error(error)}; give the process more memory"
        ) from error


def choose_dissections(
    dissections: Sequence[Dissection],
    layer: str | None,
    quantile: float | None,
    run: Path,
) -> list[Dissection]:
    """Choose dissections by a layer or a pattern of layers; see `choose_dissection`."""
    run_layers = tuple(
        dict.fromkeys(dissection.layer for dissection in dissections)
    )
    if layer is None or layer in run_layers or not is_pattern(layer):
        return [choose_dissection(dissections, layer, quantile, run)]
    layers = LayerNames(run_layers).expand(layer)
    console.say(f"-l {layer}: {describe(layers, len(run_layers), 'of the run')}")
    return [choose_dissection(dissections, name, quantile, run) for name in layers]


def choose_dissection(
    dissections: Sequence[Dissection],
    layer: str | None,
    quantile: float | None,
    run: Path,
) -> Dissection:
    """Choose a dissection by layer (default: the run's last) and quantile (default: the first)."""
    layer = _choose_layer(dissections, layer, run)
    by_quantile: dict[float, Dissection] = {}
    for dissection in dissections:
        if dissection.layer == layer:
            by_quantile[dissection.settings.quantile] = dissection
    if quantile is None:
        quantile = next(iter(by_quantile))
        if len(by_quantile) > 1:
            console.say(
                f"explained at quantile {quantile:g}, the first of the run; "
                f"--quantile chooses another"
            )
    if quantile not in by_quantile:
        quantiles = ", ".join(f"{value:g}" for value in by_quantile)
        raise BadInput(
            f"the run {run} has no quantile {quantile:g}; it has {quantiles}"
        )
    return by_quantile[quantile]


def _choose_layer(
    dissections: Sequence[Dissection], layer: str | None, run: Path
) -> str:
    layers = list(dict.fromkeys(dissection.layer for dissection in dissections))
    if layer is None:
        layer = layers[-1]
        if len(layers) > 1:
            console.say(
                f"explained by {layer}, the last layer of the run; -l chooses another"
            )
    if layer not in layers:
        all_or_nearest = f"it has {', '.join(layers)}"
        if len(layers) > LAYERS_LISTED:
            nearest_layers = ", ".join(nearest(layer, layers))
            all_or_nearest = (
                f"of its {len(layers)} the nearest are {nearest_layers}"
            )
        raise BadInput(f"the run {run} has no layer {layer!r}; {all_or_nearest}")
    return layer


def parse_target(text: str | None, classes: Sequence[str] | None) -> Any:
    """Parse a class's number or name, or numbers separated by commas; None: the predicted class."""
    if text is None:
        return None
    if classes and text in classes:
        return classes.index(text)
    indices = []
    for field in text.split(","):
        if not field.strip().lstrip("-").isdigit():
            raise _unknown_target(text, classes)
        indices.append(int(field))
    return tuple(indices) if len(indices) > 1 else indices[0]


def _unknown_target(text: str, classes: Sequence[str] | None) -> BadInput:
    if classes and "," not in text:
        candidates = ", ".join(nearest(text, classes)) or "none"
        return BadInput(f"no class {text!r}; the nearest are {candidates}")
    return BadInput(
        f"target {text!r} is not a number; to use class names, give them with --classes FILE"
    )


def read_classes(path: Path) -> list[str]:
    """Read class names, one on a line."""
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the class names {path} cannot be read: {error}") from error
