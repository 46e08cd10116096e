"""Forward passes with hooks on, after which the model is as before."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.utils.hooks import RemovableHandle

from nd_plugin import ModelFailed, NDError, Signal, describe_error, is_failure
from nd_torch.naming import named_layers

Hook = Callable[[nn.Module, Any, Any], None]


class Stop(Signal):
    """End of a forward pass, raised by a hook once all requested layers have run.

    No Exception, since a model's ``except Exception`` would swallow it.
    """


@contextmanager
def at_rest(root: nn.Module | None) -> Iterator[None]:
    """Run the model in evaluation mode and eagerly; restore each module's own mode on leaving.

    The modules of a forward function (no ``root``) are unknown: each is switched to evaluation
    mode as it is about to run.
    """
    modules_at_rest = (
        _unknown_modules_at_rest() if root is None else _modules_at_rest(root)
    )
    with modules_at_rest, eager():
        yield


@contextmanager
def _modules_at_rest(root: nn.Module) -> Iterator[None]:
    modes: dict[nn.Module, bool] = {}
    for module in root.modules():
        if hasattr(module, "training"):  # a frozen TorchScript module has no mode
            modes[module] = module.training
    was_training = modes.get(root, False)
    try:
        _switch(root, training=False)
        yield
    finally:
        if was_training:
            # also undoes side effects of eval(), such as LoRA's merged weights
            _switch(root, training=True)
        _restore_modes(modes)


def _switch(root: nn.Module, *, training: bool) -> None:
    """Switch a model between training and evaluation mode, where its modules have both.

    Exported programs refuse: their mode is part of the graph.
    """
    try:
        root.train(training)
    except NotImplementedError:
        for module in root.modules():
            if not isinstance(module, fx.GraphModule):
                module.training = training


@contextmanager
def _unknown_modules_at_rest() -> Iterator[None]:
    modes: dict[nn.Module, bool] = {}

    def switch_to_evaluation(module: nn.Module, _: Any) -> None:
        modes.setdefault(module, module.training)
        module.training = False

    handle = nn.modules.module.register_module_forward_pre_hook(
        switch_to_evaluation
    )
    try:
        yield
    finally:
        handle.remove()
        _restore_modes(modes)


def _restore_modes(modes: dict[nn.Module, bool]) -> None:
    for module, training in modes.items():
        module.training = training


@contextmanager
def eager() -> Iterator[None]:
    """Run compiled modules as plain Python, where hooks fire (a compiled graph skips new hooks)."""
    if "torch._dynamo" not in sys.modules:
        # nothing has been compiled, and loading it takes seconds
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


@contextmanager
def private_random_numbers(device: torch.device) -> Iterator[None]:
    """Restore the generators of random numbers (torch, NumPy, Python) on leaving."""
    python_state = random.getstate()
    numpy_state = np.random.get_state()
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


@contextmanager
def hooked(modules: Sequence[nn.Module], hook: Hook) -> Iterator[None]:
    """Put a forward hook on modules, once on each; remove it on leaving."""
    distinct_modules = dict.fromkeys(modules)
    handles = [attach_hook(module, hook) for module in distinct_modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def attach_hook(module: nn.Module, hook: Callable[..., Any]) -> RemovableHandle:
    """Put a forward hook on a module.

    A TorchScript module takes none; a global hook sees it run where Python code calls it.
    """
    if not isinstance(module, torch.jit.ScriptModule):
        return module.register_forward_hook(hook)

    def hook_of_all(running: nn.Module, inputs: Any, output: Any) -> Any:
        return hook(running, inputs, output) if running is module else None

    return nn.modules.module.register_module_forward_hook(hook_of_all)


def attach_pre_hook(module: nn.Module, hook: Callable[..., Any]) -> RemovableHandle:
    """Put a hook on a module that is called before it runs; see `attach_hook`."""
    if not isinstance(module, torch.jit.ScriptModule):
        return module.register_forward_pre_hook(hook)

    def hook_of_all(running: nn.Module, inputs: Any) -> Any:
        return hook(running, inputs) if running is module else None

    return nn.modules.module.register_module_forward_pre_hook(hook_of_all)


def forward(
    call: Callable[[Tensor], Any], images: Tensor, root: nn.Module | None
) -> None:
    """Run one forward pass for the sake of its hooks.

    Raises ModelFailed, which names the failing module and the reason.
    """
    try:
        with torch.no_grad():
            call(images)
    except Stop:
        return
    except NDError:
        raise
    except BaseException as error:  # a user's model may raise any
        if not is_failure(error):
            raise
        location = "" if root is None else _locate_failure(call, images, root)
        raise ModelFailed(
            f"the model failed in its forward pass{location} on images of shape "
            f"{tuple(images.shape)}: {describe_error(error)} "
            f"(images have {images.shape[1]} channels, as the preprocessing says; --input-size, or "
            "preprocess= in Python, sets their size)"
        ) from error


def _locate_failure(
    call: Callable[[Tensor], Any], images: Tensor, root: nn.Module
) -> str:
    """Repeat a failed pass and name the module that was running; "" where it passes this time."""
    with _running_modules(root) as running:
        try:
            with torch.no_grad():
                call(images)
        except BaseException as error:
            # the failure again, or the end of a pass that succeeds this time
            if not is_failure(error) and not isinstance(error, Stop):
                raise
        else:
            return ""
    names = {id(module): name for name, module in named_layers(root)}
    named = [module for module in running if id(module) in names]
    if not named:
        return ""
    innermost = named[-1]
    return f", in {names[id(innermost)]} ({type(innermost).__name__}),"


@contextmanager
def _running_modules(root: nn.Module) -> Iterator[list[nn.Module]]:
    """Keep a stack of the modules that are running, the innermost last."""
    running: list[nn.Module] = []

    def enter(module: nn.Module, _: Any) -> None:
        running.append(module)

    def leave(module: nn.Module, *_: Any) -> None:
        running.pop()

    modules = list(root.modules())
    handles = [attach_pre_hook(module, enter) for module in modules]
    handles += [attach_hook(module, leave) for module in modules]
    try:
        yield running
    finally:
        for handle in handles:
            handle.remove()
