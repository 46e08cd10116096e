"""Backend ``flax``: models of JAX in Flax, its nnx modules and its Linen modules.

Imported whenever plugins are listed, so it imports neither jax nor flax.
"""

from typing import Any

from nd_plugin import BackendSpec, hookimpl

CERTAIN = 100  # strength of the claim; nd_torch claims ``package:factory`` with 10
PREFIX = "flax:"
MODULE_CLASSES = (
    ("flax.nnx.module", "Module"),
    ("flax.linen.module", "Module"),
)


def match(model: Any) -> int:
    """Claim texts such as ``flax:package.module:factory``, and Flax modules.

    Modules are known by the names of their classes: no import is needed for it.
    """
    if isinstance(model, str):
        return CERTAIN if model.startswith(PREFIX) else 0
    bases = [(base.__module__, base.__qualname__) for base in type(model).__mro__]
    return CERTAIN if any(base in MODULE_CLASSES for base in bases) else 0


@hookimpl
def nd_backends() -> list[BackendSpec]:
    """Announce the backend ``flax``."""
    return [
        BackendSpec(
            name="flax",
            summary="JAX models in Flax (nnx, Linen), compiled by XLA",
            factory="nd_flax.backend:FlaxBackend",
            match=match,
            accepts=(
                "flax:package.module:factory?key=value",
                "an nnx.Module",
                "a bound linen.Module",
            ),
            example="nd_flax.example:example",
        )
    ]
