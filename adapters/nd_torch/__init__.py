"""The PyTorch backend: any ``nn.Module``, looked into by forward hooks."""

import re
from typing import Any

from nd_plugin import BackendSpec, hookimpl

FACTORY_TEXT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\?.*)?")
LIBRARIES = ("torchvision:", "timm:")


def match(model: Any) -> int:
    """Modules and forward functions; ``torchvision:`` and ``timm:`` names; any other ``package.module:factory``."""
    if isinstance(model, str):
        return 100 if model.startswith(LIBRARIES) else 10 if FACTORY_TEXT.fullmatch(model) else 0
    if any(
        f"{kind.__module__}.{kind.__qualname__}" == "torch.nn.modules.module.Module" for kind in type(model).__mro__
    ):
        return 100
    return 5 if callable(model) and not isinstance(model, type) else 0


@hookimpl
def nd_backends() -> list[BackendSpec]:
    """This backend."""
    return [
        BackendSpec(
            name="torch",
            summary="PyTorch modules, by forward hooks",
            factory="nd_torch.backend:TorchBackend",
            match=match,
            accepts=("torchvision:NAME", "timm:NAME", "package.module:factory?key=value", "an nn.Module"),
            doctor="nd_torch.doctor:examine",
        )
    ]
