"""Rules of requests that make no sense: errors that name the value, and nothing that is ignored."""

from __future__ import annotations

from pathlib import Path

from nd_plugin.contracts.models import ModelOptions
from nd_plugin.errors import LayerNotFound, nearest
from nd_plugin.foreign_code import describe_error
from nd_plugin.testing.backend_kit.case import BackendCase
from nd_plugin.testing.conformance import Rule, Unchecked, require
from nd_plugin.testing.outcomes import error_of, require_own_error

NO_SUCH_DEVICE = "cuda:99"  # a kind that there is, and a number that no machine has
NO_DEVICE = "no-such-device"
REFUSED_OPTIONS = {
    "weights": ModelOptions(weights="no-such-weights.safetensors"),
    "input": ModelOptions(input="no-such-input"),
    "feeds": ModelOptions(feeds={"no-such-input": "1"}),
    "custom_ops": ModelOptions(custom_ops=("no-such-library.so",)),
}


def unknown_layer(case: BackendCase) -> None:
    """Require LayerNotFound that names the layer and the nearest."""
    names = [layer.name for layer in case.listed]
    if not names:
        raise Unchecked("not checked, as the model lists no layer")
    wrong = f"{names[0]}zzz"

    def request() -> None:
        with case.opened.probe([wrong], case.size):
            pass

    error = error_of(request)
    if not isinstance(error, LayerNotFound):
        what = "nothing" if error is None else describe_error(error)
        raise AssertionError(
            f"probe([{wrong!r}]) raises {what}; raise nd_plugin.LayerNotFound, naming the layer "
            "and the nearest ones (nd_plugin.nearest)"
        ) from error
    message = str(error)
    require(wrong in message, f"LayerNotFound does not name {wrong!r}: {message}")
    rest = message.replace(wrong, "")
    require(
        any(name in rest for name in nearest(wrong, names) or names),
        f"LayerNotFound names no layer that is near {wrong!r}: {message}",
    )


def unknown_model(case: BackendCase) -> None:
    """Require an error that names a model which does not exist."""
    text = _without_query(case.text)
    path = Path(text)
    # the ending is what a backend knows a file by
    wrong = f"{text.removesuffix(path.suffix)}-no-such-model{path.suffix}"
    error = error_of(lambda: case.open(wrong))
    require_own_error(error, "no-such-model", f"opening {wrong!r}")


def unknown_option(case: BackendCase) -> None:
    """Require an error that names an option which does not exist."""
    separator = "&" if "?" in case.text else "?"
    wrong = f"{case.text}{separator}no_such_option=1"
    error = error_of(lambda: case.open(wrong))
    require_own_error(error, "no_such_option", f"opening {wrong!r}")


def unknown_device(case: BackendCase) -> None:
    """Require an error for a device that this machine does not have."""
    require(case.opened is not None, "nothing was opened")
    for device in (NO_SUCH_DEVICE, NO_DEVICE):

        def request(device: str = device) -> None:
            case.open(options=ModelOptions(device=device))

        require_own_error(
            error_of(request), device, f"opening on the device {device!r}"
        )


def options_refused(case: BackendCase) -> None:
    """Require errors for options of values that do not exist, whether a backend has them or not."""
    require(case.opened is not None, "nothing was opened")
    for name, options in REFUSED_OPTIONS.items():

        def request(options: ModelOptions = options) -> None:
            # a library may be looked for when the model is first run
            case.open(options=options).layers(case.size)

        error = error_of(request)
        require_own_error(error, "", f"opening with {name} that do not exist")


def _without_query(text: str) -> str:
    return text.partition("?")[0]


def _is_text(case: BackendCase) -> bool:
    return bool(case.text)


RULES: tuple[Rule[BackendCase], ...] = (
    Rule(
        "unknown-layer",
        "a layer that does not exist is a LayerNotFound, which names it and the nearest",
        unknown_layer,
    ),
    Rule(
        "unknown-model",
        "a text of a model that does not exist is an error of nd_plugin, which names it",
        unknown_model,
        _is_text,
    ),
    Rule(
        "unknown-option",
        "an option in a model's text that does not exist is an error of nd_plugin, which names it",
        unknown_option,
        _is_text,
    ),
    Rule(
        "unknown-device",
        "a device that this machine does not have is an error of nd_plugin, which names it",
        unknown_device,
    ),
    Rule(
        "options-refused",
        "weights, input, feeds and custom_ops that the backend cannot use are refused",
        options_refused,
    ),
)
