"""PyTorch backend: any ``nn.Module``, observed by forward hooks.

Imported whenever plugins are listed, so it does not import torch.
"""

import re
from typing import Any

from nd_plugin import BackendSpec, hookimpl

FACTORY_TEXT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\?.*)?")
LIBRARY_PREFIXES = ("torchvision:", "timm:")
MODEL_CLASSES = (
    ("torch.nn.modules.module", "Module"),
    ("torch.export.exported_program", "ExportedProgram"),
)


def match(model: Any) -> int:
    """Score the backend's claim on a model: 100 is certain, 0 none.

    Modules and texts of torchvision and timm are certain. ``package.module:factory`` scores 10,
    since texts of plugins have this form; forward functions score 5.
    """
    if isinstance(model, str):
        return _match_text(model)
    if any(
        (base.__module__, base.__qualname__) in MODEL_CLASSES
        for base in type(model).__mro__
    ):
        return 100
    is_function = callable(model) and not isinstance(model, type)
    return 5 if is_function else 0


def _match_text(text: str) -> int:
    if text.startswith(LIBRARY_PREFIXES):
        return 100
    return 10 if FACTORY_TEXT.fullmatch(text) else 0


@hookimpl
def nd_backends() -> list[BackendSpec]:
    """Announce the backend ``torch``."""
    return [
        BackendSpec(
            name="torch",
            summary="PyTorch modules, by forward hooks",
            factory="nd_torch.backend:TorchBackend",
            match=match,
            accepts=(
                "torchvision:NAME",
                "timm:NAME",
                "nd_torch.zoo:NAME",
                "package.module:factory?key=value",
                "an nn.Module",
                "an ExportedProgram",
            ),
            doctor="nd_torch.doctor:examine",
            known_models="nd_torch.known_models:known_models",
            example="nd_torch.example:example",
        )
    ]
