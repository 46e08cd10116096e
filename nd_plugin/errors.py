"""Errors that nd_plugin raises on purpose, in one tree.

::

    NDError                      base class; ``exit_code`` is the command line's exit status
    ├── BadInput (ValueError)    request that makes no sense: exit 2
    │   ├── LayerNotFound        no such layer; names the nearest
    │   ├── LayerAmbiguous       runs several times, or returns several tensors: choose one
    │   ├── UnitsNotFound        output has no units laid out over the image
    │   ├── ConceptSetInvalid    concept set is empty, malformed or missing
    │   ├── ModelNotFound        no such file, factory or model name; or weights do not fit
    │   ├── RunInvalid           saved dissection is damaged, of a newer format, or not one
    │   └── PluginConflict       two plugins claim the same thing; names both distributions
    ├── RunFailed (RuntimeError) request that made sense and failed: exit 1
    │   ├── ModelFailed          exception in the model's forward pass; names the module
    │   ├── PluginFailed         exception in a plugin, or an answer of a wrong type; names the
    │   │                        plugin, its distribution and the place
    │   ├── NonFiniteActivation  NaN or infinity (minus infinity: in a whole map, or as a
    │   │                        threshold); names the unit
    │   ├── Unreadable           image or annotation cannot be read, under ``strict``
    │   ├── ProcessLost          worker or process of torchrun died, or made no progress
    │   └── NotSaved             result could not be written
    └── Unavailable (RuntimeError)  backend or device missing on this machine: exit 3
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "BadInput",
    "ConceptSetInvalid",
    "LayerAmbiguous",
    "LayerNotFound",
    "ModelFailed",
    "ModelNotFound",
    "NDError",
    "NonFiniteActivation",
    "NotSaved",
    "PluginConflict",
    "PluginFailed",
    "ProcessLost",
    "RunFailed",
    "RunInvalid",
    "Unavailable",
    "UnitsNotFound",
    "Unreadable",
    "check_run",
    "nearest",
]


class NDError(Exception):
    """Base class of all errors of nd_plugin."""

    exit_code: ClassVar[int] = 1


class BadInput(NDError, ValueError):
    """Request that makes no sense."""

    exit_code = 2


class LayerNotFound(BadInput):
    """Layer that the model does not have."""


class LayerAmbiguous(BadInput):
    """Layer name that could mean several outputs."""


class UnitsNotFound(BadInput):
    """Layer output without units laid out over the image."""


class ConceptSetInvalid(BadInput):
    """Concept set that is empty, malformed or missing."""


class ModelNotFound(BadInput):
    """Model file, factory or name that does not exist, or weights that do not fit it."""


class RunInvalid(BadInput):
    """Saved dissection that is damaged, of a newer format, or not one at all."""


class PluginConflict(BadInput):
    """Name or capability that two plugins claim."""


class RunFailed(NDError, RuntimeError):
    """Request that made sense and failed."""


class ModelFailed(RunFailed):
    """Exception in the model's forward pass."""


class PluginFailed(RunFailed):
    """Exception in a plugin's code, or an answer of a type that its contract does not have."""


class NonFiniteActivation(RunFailed):
    """Activation that is NaN or infinite, or a unit that is minus infinity nearly everywhere."""


class Unreadable(RunFailed):
    """Image or annotation that cannot be read, if ``strict`` forbids skipping it."""


class ProcessLost(RunFailed):
    """Worker, or process of torchrun, that died or made no progress; what is done is saved."""


class NotSaved(RunFailed):
    """Result that could not be written."""


class Unavailable(NDError, RuntimeError):
    """Backend or device that this machine does not have."""

    exit_code = 3


def nearest(wanted: str, known: Iterable[str], *, most: int = 4) -> list[str]:
    """Return up to ``most`` names in ``known`` that resemble ``wanted``, best first, for errors."""
    names = list(dict.fromkeys(known))
    similar = difflib.get_close_matches(wanted, names, n=most, cutoff=0.3)
    overlapping = [
        name for name in names if wanted and (wanted in name or name in wanted)
    ]
    ranked = dict.fromkeys([*similar[:2], *overlapping, *similar])
    return list(ranked)[:most]


def check_run(layer: str, run: int | None, count: int) -> None:
    """Check that a layer that runs ``count`` times in one forward pass has the run asked for.

    ``run`` counts from 0; None: the layer has to run once. Raises LayerNotFound, LayerAmbiguous.
    """
    if count == 0:
        raise LayerNotFound(
            f"layer {layer!r} does not run in the model's forward pass"
        )
    if run is None and count > 1:
        choices = ", ".join(f"{layer}#{number}" for number in range(count))
        raise LayerAmbiguous(
            f"layer {layer!r} runs {count} times in one forward pass; choose one: {choices}"
        )
    if run is not None and run >= count:
        raise LayerNotFound(
            f"layer {layer!r} runs {count} times in one forward pass; its last run is "
            f"{layer}#{count - 1}"
        )
