"""Rules of what a backend leaves behind: hooks, training mode, settings of the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from nd_plugin.contracts.reproducibility import nearly_equal
from nd_plugin.testing.backend_kit.case import BackendCase
from nd_plugin.testing.backend_kit.map_form_rules import values_of
from nd_plugin.testing.backend_kit.map_rules import repeats
from nd_plugin.testing.backend_kit.model_state import (
    ModelState,
    ProcessState,
    modules_of,
)
from nd_plugin.testing.backend_kit.probe_record import copies_of
from nd_plugin.testing.conformance import Rule, require
from nd_plugin.testing.outcomes import error_of

NO_SUCH_LAYER = "no such layer"


class _Interruption(Exception):
    """Raised inside a probe."""


def opening_changes_nothing(case: BackendCase) -> None:
    """Require that modules of the caller are as before they were opened."""
    require(case.opened is not None, "nothing was opened")
    changes = "; ".join(case.changes_by_opening)
    require(not changes, f"opening the model has changed {changes}")
    modules = modules_of(case.model)
    with _in_training_mode(modules):
        before = ModelState.of(modules)
        case.open()
        difference = before.difference(ModelState.of(modules))
    require(not difference, f"opening the model has changed {difference}")


def model_as_found(case: BackendCase) -> None:
    """Require that listing and probing leave the modules as they were."""
    modules = case.modules_of(case.opened)
    with _in_training_mode(modules):
        before = ModelState.of(modules)
        case.opened.layers(case.size)
        with case.opened.probe(case.layers, case.size) as probe:
            probe(case.images.clone())
        difference = before.difference(ModelState.of(modules))
    require(not difference, f"listing layers and a probe have left {difference}")


@contextmanager
def _in_training_mode(modules: Mapping[str, nn.Module]) -> Iterator[None]:
    """Put modules into training mode, as a user may have them, and back."""
    inner: list[nn.Module] = []
    for module in modules.values():
        inner += module.modules()
    modes = [module.training for module in inner]
    for module in inner:
        module.training = True
    try:
        yield
    finally:
        for module, mode in zip(inner, modes, strict=True):
            module.training = mode


def model_as_found_after_errors(case: BackendCase) -> None:
    """Require that errors leave the modules as they were, and the process."""
    modules = case.modules_of(case.opened)
    for place, action in _failing_actions(case):
        model_before = ModelState.of(modules)
        process_before = ProcessState.now()
        error_of(action)
        model_difference = model_before.difference(ModelState.of(modules))
        process_difference = process_before.difference(ProcessState.now())
        difference = model_difference or process_difference
        require(not difference, f"{place} has left {difference}")


def usable_after_errors(case: BackendCase) -> None:
    """Require the same maps after errors."""
    repeats(case)
    expected = values_of(case, case.record.maps)
    if case.record.unreliable:
        return
    # of the three, the one that leaves an open probe in the middle of its work
    _, action = next(_failing_actions(case))
    error_of(action)
    with case.opened.probe(case.layers, case.size) as probe:
        maps = copies_of(probe(case.images.clone()))
    for layer in expected:
        require(
            nearly_equal(maps[layer], expected[layer]),
            f"after an error inside a probe, a new probe gives other maps of {layer}",
        )


def process_as_found(case: BackendCase) -> None:
    """Require that opening and probing leave the settings of the process."""
    require(case.record is not None, "nothing was probed")
    require(not case.changes_of_process, "; ".join(case.changes_of_process))


def _failing_actions(
    case: BackendCase,
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Iterate over requests that fail, with their names for messages."""

    def interrupted() -> None:
        with case.opened.probe(case.layers, case.size) as probe:
            probe(case.images.clone())
            raise _Interruption

    def wrong_images() -> None:
        with case.opened.probe(case.layers, case.size) as probe:
            # no model takes images of no channel
            probe(case.images[:, :0])

    def unknown_layer() -> None:
        with case.opened.probe([*case.layers, NO_SUCH_LAYER], case.size):
            pass

    yield "an exception inside a probe", interrupted
    yield "a call with images that the model does not take", wrong_images
    yield "a probe on a layer that does not exist, beside others", unknown_layer


RULES: tuple[Rule[BackendCase], ...] = (
    Rule(
        "opening-changes-nothing",
        "modules of PyTorch that are opened keep their mode, hooks, parameters and buffers",
        opening_changes_nothing,
    ),
    Rule(
        "model-as-found",
        "after a probe no hook remains, and mode, parameters and buffers are as before",
        model_as_found,
    ),
    Rule(
        "model-as-found-after-errors",
        "the same after an exception in a probe, in a pass, and for a layer that does not exist",
        model_as_found_after_errors,
    ),
    Rule(
        "usable-after-errors",
        "after such errors a new probe gives the same maps",
        usable_after_errors,
    ),
    Rule(
        "process-as-found",
        "gradient mode, random numbers, threads and types of torch are as before",
        process_as_found,
    ),
)
