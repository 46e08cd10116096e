"""Every error that nd_plugin raises on purpose, in one tree.

::

    NDError                      anything below; ``exit_code`` is what the command line returns
    ├── BadInput (ValueError)    what was asked for does not make sense: exit 2
    │   ├── LayerNotFound        no such layer; names the nearest
    │   ├── LayerAmbiguous       runs several times, or returns several tensors: one has to be chosen
    │   ├── UnitsNotFound        a layer's output that has no units laid out over the image
    │   ├── ConceptSetInvalid    a concept set that is empty, malformed or not where it should be
    │   ├── ModelNotFound        no such file, factory or model name; or weights that do not fit
    │   ├── RunInvalid           a saved dissection that is damaged, of a newer format, or not one
    │   └── PluginConflict       two plugins claim the same thing; names both distributions
    ├── RunFailed (RuntimeError) it made sense and did not work: exit 1
    │   ├── ModelFailed          the model raised in its forward pass; says in which module
    │   ├── NonFiniteActivation  NaN or infinity (minus infinity: a whole map, or a threshold); names the unit
    │   ├── Unreadable           an image or annotation that cannot be read, under ``strict``
    │   └── NotSaved             the result could not be written
    └── Unavailable (RuntimeError)  a backend or a device that this machine does not have: exit 3
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
    "RunFailed",
    "RunInvalid",
    "Unavailable",
    "UnitsNotFound",
    "Unreadable",
    "nearest",
]


class NDError(Exception):
    """The root of the tree."""

    exit_code: ClassVar[int] = 1


class BadInput(NDError, ValueError):
    """What was asked for does not make sense."""

    exit_code = 2


class LayerNotFound(BadInput):
    """The model has no such layer."""


class LayerAmbiguous(BadInput):
    """The layer's name leaves open which of several outputs is meant."""


class UnitsNotFound(BadInput):
    """The layer's output has no units laid out over the image."""


class ConceptSetInvalid(BadInput):
    """The concept set is empty, malformed or not where it should be."""


class ModelNotFound(BadInput):
    """No such model file, factory or name; or weights that do not fit it."""


class RunInvalid(BadInput):
    """A saved dissection that is damaged, of a newer format, or not one at all."""


class PluginConflict(BadInput):
    """Two plugins claim the same thing."""


class RunFailed(NDError, RuntimeError):
    """What was asked for made sense and did not work."""


class ModelFailed(RunFailed):
    """The model raised in its forward pass."""


class NonFiniteActivation(RunFailed):
    """An activation is NaN or infinite, or a unit is minus infinity all over a map or almost everywhere."""


class Unreadable(RunFailed):
    """An image or an annotation cannot be read, and ``strict`` forbids to skip it."""


class NotSaved(RunFailed):
    """The result could not be written."""


class Unavailable(NDError, RuntimeError):
    """A backend or a device that this machine does not have."""

    exit_code = 3


def nearest(wanted: str, known: Iterable[str], *, most: int = 4) -> list[str]:
    """The names in ``known`` that look most like ``wanted``, best first: for error messages."""
    names = list(dict.fromkeys(known))
    holding = [name for name in names if wanted and (wanted in name or name in wanted)]
    alike = difflib.get_close_matches(wanted, names, n=most, cutoff=0.3)
    return list(dict.fromkeys([*alike[:2], *holding, *alike]))[:most]
