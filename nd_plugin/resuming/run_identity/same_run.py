"""Comparison of two runs: whether one continues the other, or belongs to it as a shard.

What both record is compared; what only one of them records is said, in remarks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from nd_plugin.contracts.reproducibility import (
    HALF_PRECISION_TOLERANCES,
    TOLERANCE,
)
from nd_plugin.errors import BadInput
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.resuming.run_identity.run_description import (
    PICTURE_SETTINGS,
    as_stored,
    check_same,
)

# Of sums, relative to the largest: kernels of other processors, devices and batch sizes add up in
# another order. By the number types that a model computes in.
TOLERANCES = {
    "": TOLERANCE,
    "float32": TOLERANCE,
    "float64": TOLERANCE,
    # a mantissa of ten bits, as float16
    "tf32": HALF_PRECISION_TOLERANCES[torch.float16],
    "float16": HALF_PRECISION_TOLERANCES[torch.float16],
}
# bfloat16, and integers of eight bits, which are rounded to another step now and then
COARSE_TOLERANCE = HALF_PRECISION_TOLERANCES[torch.bfloat16]

# the same data may lie in another folder by now; pictures are taken at the end
ALWAYS_IGNORED = ("source", *PICTURE_SETTINGS)
# within a tolerance, and with a remedy
COMPARED_APART = ("noise", "contents")
TRAITS = ("spec", "structure")


def check_same_run(
    stored: Mapping[str, Any],
    requested: Mapping[str, Any],
    subject: str,
    *,
    ignored: Sequence[str] = (),
) -> list[str]:
    """Check that two descriptions of runs (see `describe`) are of the same one.

    Keys in ``ignored`` may differ at any depth; `check_same_contents` compares the contents of
    images. Returns remarks on what could not be compared.
    Raises BadInput that names ``subject`` and the first difference.
    """
    unknown = _unknown_traits(stored["model"], requested["model"])
    check_same(
        stored,
        requested,
        subject,
        ignored=[*ALWAYS_IGNORED, *COMPARED_APART, *unknown, *ignored],
    )
    return check_same_maps(stored, requested, subject)


def check_same_model(
    stored: Mapping[str, Any], requested: Mapping[str, Any], subject: str
) -> None:
    """Check that two descriptions are of one model, but for what it computes (`check_same_maps`).

    Raises BadInput.
    """
    unknown = _unknown_traits(stored["model"], requested["model"])
    check_same(
        stored["model"],
        requested["model"],
        subject,
        ignored=[*ALWAYS_IGNORED, *unknown],
    )


def _unknown_traits(
    stored_model: Mapping[str, Any], requested_model: Mapping[str, Any]
) -> list[str]:
    """Return the traits of a model that one side does not know: an object has no text."""
    return [
        trait
        for trait in TRAITS
        if not (stored_model.get(trait) and requested_model.get(trait))
    ]


def check_same_group(description: Mapping[str, Any], group: SingleProcess) -> None:
    """Check that all processes of a group run the same model on the same data.

    Machines may hold other versions of either. Every process raises the same BadInput.
    """
    if group.size == 1:
        return
    first, *others = group.gather(as_stored(description))
    for rank, of_process in enumerate(others, start=1):
        subject = f"the run of rank {rank} is another than that of rank 0: it"
        check_same_run(of_process, first, subject, ignored=["shard", "versions"])
        check_same_contents(of_process["contents"], first["contents"], subject)


def check_same_contents(stored: str, requested: str, subject: str) -> None:
    """Check the contents of images and masks, as fingerprints; "" was not verified.

    Raises BadInput, also where only one of them was verified.
    """
    if stored == requested:
        return
    if not requested:
        raise BadInput(
            f"{subject} was begun with --verify-data (verify_data=True): continue it with that, too"
        )
    if not stored:
        raise BadInput(
            f"{subject} was begun without --verify-data (verify_data=True): what its images and "
            "masks held is not known, so leave the option out, or start anew with it"
        )
    raise BadInput(
        f"{subject} differs in the contents of images or masks ({stored}, not {requested}); the "
        "names and sizes of the files are the same. Restore the data, or start anew"
    )


def check_same_maps(
    stored: Mapping[str, Any], requested: Mapping[str, Any], subject: str
) -> list[str]:
    """Check that the models of two runs give the same for images of noise, in each common layer.

    Returns remarks on layers that could not be compared. Raises BadInput that names the layer.
    """
    tolerance = tolerance_of(str(requested["precision"]))
    stored_sums = _sums(stored, requested)
    requested_sums = _sums(requested, stored)
    remarks: list[str] = []
    for layer in requested["layers"]:
        if layer not in stored_sums or layer not in requested_sums:
            remarks.append(
                f"layer {layer!r}: that the model computes the same could not be compared: its "
                "activations for images of noise vary, or were not recorded; weights were compared"
            )
            continue
        difference = relative_difference(stored_sums[layer], requested_sums[layer])
        if difference > tolerance:
            raise BadInput(
                f"{subject} differs in what the model computes: for the same images of noise, "
                f"layer {layer!r} differs by {difference:.2g} of its activations, and rounding "
                f"explains {tolerance:g}. The weights are the same, so the code of the model or an "
                "option is not: use the model that the run began with, or start anew"
            )
    return remarks


def _sums(
    description: Mapping[str, Any], counterpart: Mapping[str, Any]
) -> Mapping[str, Sequence[float]]:
    """Return the sums by layer; none where the counterpart's are of other images of noise."""
    noise = description["noise"]
    if not noise["images"] or noise["images"] != counterpart["noise"]["images"]:
        return {}
    sums: Mapping[str, Sequence[float]] = noise["sums"]
    return sums


def tolerance_of(precision: str) -> float:
    """Return how much sums may differ, relative to the largest, in a precision.

    Of several number types, "int8 and float32", the coarsest decides.
    """
    names = precision.split(" and ")
    return max(TOLERANCES.get(name, COARSE_TOLERANCE) for name in names)


def relative_difference(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the largest difference of two sequences of sums, relative to the largest sum."""
    if len(first) != len(second):
        return math.inf
    largest = max(map(abs, [*first, *second]), default=0.0)
    if largest == 0:
        return 0.0
    pairs = zip(first, second, strict=True)
    return max(abs(left - right) for left, right in pairs) / largest
