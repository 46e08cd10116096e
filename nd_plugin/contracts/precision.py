"""Precision that a model computes in: what can be chosen, and how a backend is asked for it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from nd_plugin.errors import BadInput

if TYPE_CHECKING:
    from nd_plugin.contracts.models import Model

FULL = "float32"
PRECISIONS = (FULL, "tf32", "float16", "bfloat16")
NOT_RECORDED = "precision not recorded"  # of results of earlier versions


def check_precision(precision: str | None) -> None:
    """Check a choice; None leaves it to the backend. Raises BadInput."""
    if precision is not None and precision not in PRECISIONS:
        raise BadInput(
            f"precision {precision!r} is none of {', '.join(PRECISIONS)}"
        )


def computed_precision(model: Model) -> str:
    """Return the precision that a model computes in; "" where its backend does not say."""
    return str(getattr(model, "compute_precision", ""))


def in_precision(model: Model, precision: str | None) -> Model:
    """Return an opened model that computes in a precision; None: the model as it is.

    Raises BadInput for an unknown precision, and for a backend without a choice.
    """
    check_precision(precision)
    if precision is None:
        return model
    change = getattr(model, "in_precision", None)
    if change is not None:
        changed: Model = change(precision)
        return changed
    check_offered(model, precision)
    return model


def check_offered(model: Model, precision: str | None) -> None:
    """Check that a backend without a choice is not asked for one. Raises BadInput."""
    is_offered = hasattr(model, "in_precision")
    if precision in (None, FULL) or is_offered:
        return
    raise BadInput(
        f"the backend {model.backend!r} has no choice of precision; "
        f"leave out precision {precision!r} (--precision)"
    )


def computing(model: Model) -> AbstractContextManager[None]:
    """Return a context in which operations on a model's tensors have the model's precision.

    For operations outside of the model's own passes, such as gradients.
    """
    context = getattr(model, "computing", None)
    if context is None:
        return nullcontext()
    entered: AbstractContextManager[None] = context()
    return entered
