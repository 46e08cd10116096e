"""Rules of what a backend leaves behind: hooks, training mode, settings of the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from nd_plugin.testing.backend_kit.case import BackendCase
from nd_plugin.testing.backend_kit.map_rules import values_of
from nd_plugin.testing.backend_kit.model_state import ModelState, ProcessState
from nd_plugin.testing.backend_kit.probe_record import copies_of
from nd_plugin.testing.conformance import Rule, require
from nd_plugin.testing.outcomes import error_of

NO_SUCH_LAYER = "no such layer"


class _Interruption(Exception):
    """Raised inside a probe."""


def opening_changes_nothing(case: BackendCase) -> None:
    """Require that modules of the caller are as before they were opened."""
    require(case.opened is not None, "nothing was opened")
    before, after = case.state_before, case.state_after_opening
    if before is None or after is None or not before.values:
        return
    difference = before.difference(after)
    require(not difference, f"opening the model has changed {difference}")


def model_as_found(case: BackendCase) -> None:
    """Require that listing and probing leave the modules as they were."""
    with _unchanged(case, "listing layers and a probe"):
        case.opened.layers(case.size)
        with case.opened.probe(case.layers, case.size) as probe:
            probe(case.images.clone())


def model_as_found_after_errors(case: BackendCase) -> None:
    """Require that errors leave the modules as they were, and the process."""
    for place, action in _failing_actions(case):
        with _unchanged(case, place):
            error_of(action)


def usable_after_errors(case: BackendCase) -> None:
    """Require the same maps after errors."""
    expected = values_of(case, case.record.maps)
    if case.record.unreliable:
        return
    for _, action in _failing_actions(case):
        error_of(action)
    with case.opened.probe(case.layers, case.size) as probe:
        maps = copies_of(probe(case.images.clone()))
    for layer in expected:
        require(
            torch.allclose(
                maps[layer], expected[layer], rtol=1e-4, atol=1e-4, equal_nan=True
            ),
            f"after an error inside a probe, a new probe gives other maps of {layer}",
        )


def process_as_found(case: BackendCase) -> None:
    """Require that opening, listing and probing leave the settings of the process."""
    require(case.opened is not None, "nothing was opened")
    case.record.maps.get()
    if case.process_before is not None:
        # the first probe was opened by another check, or here
        difference = case.process_before.difference(ProcessState.now())
        require(not difference, f"opening and probing have changed {difference}")


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


@contextmanager
def _unchanged(case: BackendCase, place: str) -> Iterator[None]:
    """Require that the modules and the settings of the process are the same afterwards."""
    modules = case.modules_of(case.opened)
    model_before = ModelState.of(modules)
    process_before = ProcessState.now()
    yield
    difference = model_before.difference(ModelState.of(modules))
    require(not difference, f"{place} has left a change: {difference}")
    difference = process_before.difference(ProcessState.now())
    require(not difference, f"{place} has left a change: {difference}")


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
