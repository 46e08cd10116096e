"""Running a model with hooks, and leaving it as it was found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from nd_plugin import ModelFailed, NDError
from nd_torch.naming import named_layers

Hook = Callable[[nn.Module, Any, Any], None]


class Stop(BaseException):
    """Ends a forward pass once everything asked for has been taken; no model's ``except Exception`` holds it up."""


@contextmanager
def at_rest(root: nn.Module | None) -> Iterator[None]:
    """Evaluation mode, eager execution; each module's own mode restored afterwards.

    The modules of a forward function (no ``root``) are not known: each is put at rest as it is about to run.
    """
    modes: dict[nn.Module, bool] = {module: module.training for module in root.modules()} if root else {}
    was_training = root is not None and root.training
    waking = nn.modules.module.register_module_forward_pre_hook(_put_at_rest(modes)) if root is None else None
    try:
        if root is not None:
            root.eval()
        with eager():
            yield
    finally:
        if waking is not None:
            waking.remove()
        if root is not None and was_training:
            root.train()  # what a module does beside setting the mode, such as unmerging weights, is undone too
        for module, training in modes.items():
            module.training = training


def _put_at_rest(modes: dict[nn.Module, bool]) -> Callable[[nn.Module, Any], None]:
    def hook(module: nn.Module, _: Any) -> None:
        modes.setdefault(module, module.training)
        module.training = False

    return hook


@contextmanager
def eager() -> Iterator[None]:
    """Compiled modules run their own Python code, where hooks fire (a compiled graph passes over new hooks)."""
    if "torch._dynamo" not in sys.modules:  # nothing has been compiled
        yield
        return
    stance = torch.compiler.set_stance("force_eager")
    with stance:
        yield


@contextmanager
def hooked(modules: Sequence[nn.Module], hook: Hook) -> Iterator[None]:
    """Forward hooks on modules, each once, removed on leaving."""
    handles = [module.register_forward_hook(hook) for module in dict.fromkeys(modules)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def forward(call: Callable[[Tensor], Any], images: Tensor, root: nn.Module | None) -> None:
    """One forward pass for the sake of its hooks. Raises ModelFailed, which says in which module and why."""
    try:
        with torch.no_grad():
            call(images)
    except (Stop, NDError):
        return _reraise_ours()
    except Exception as error:
        where = _innermost(call, images, root) if root is not None else ""
        raise ModelFailed(
            f"the model failed in its forward pass{where} on images of shape {tuple(images.shape)}: "
            f"{type(error).__name__}: {error} (images are RGB; --input-size, or preprocess= in Python, sets their size)"
        ) from error


def _reraise_ours() -> None:
    error = sys.exc_info()[1]
    if error is not None and not isinstance(error, Stop):
        raise error


def _innermost(call: Callable[[Tensor], Any], images: Tensor, root: nn.Module) -> str:
    """The module that was running when the pass failed: the pass is run once more with a hook on every module."""
    names = {id(module): (name, type(module).__name__) for name, module in named_layers(root)}
    running: list[int] = []

    def enter(module: nn.Module, _: Any) -> None:
        running.append(id(module))

    def leave(module: nn.Module, *_: Any) -> None:
        running.pop()

    handles = [module.register_forward_pre_hook(enter) for module in root.modules()]
    handles += [module.register_forward_hook(leave) for module in root.modules()]
    try:
        with torch.no_grad():
            call(images)
    except (Exception, Stop):  # the failure that is being located; the probe's own end, where it does not come again
        found = [names[key] for key in running if key in names]
        return f", in {found[-1][0]} ({found[-1][1]})," if found else ""
    finally:
        for handle in handles:
            handle.remove()
    return ""
