"""Comparison of runs: what decides, within which tolerance, and what is said to be unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from nd_plugin import BadInput
from nd_plugin.resuming.run_identity.same_run import (
    check_same_contents,
    check_same_group,
    check_same_run,
    tolerance_of,
)

SUMS = [1.0, -2.0, 0.5]


def description(
    sums: Mapping[str, Any] | None = None,
    precision: str = "float32",
    **changes: Any,
) -> dict[str, Any]:
    return {
        "model": {"name": "Net", "source": "x", "fingerprint": "abc", "spec": "", "structure": "s"},
        "noise": {"images": "noise", "sums": {"far": SUMS} if sums is None else sums},
        "contents": "",
        "layers": ["far"],
        "precision": precision,
        "shard": "1/2",
        "device": "cpu",
        **changes,
    }  # fmt: skip


def test_rounding_is_within_the_tolerance() -> None:
    near = {"far": [1.0, -2.0 - 1.9e-4, 0.5 + 1.9e-4]}
    assert check_same_run(description(), description(near), "the run") == []


def test_what_rounding_does_not_explain_is_another_model() -> None:
    other = {"far": [1.0, -2.0, 0.5 + 2.1e-4]}
    with pytest.raises(BadInput) as refused:
        check_same_run(description(), description(other), "the run")
    message = str(refused.value)
    assert (
        "layer 'far' differs by 0.0001" in message and "explains 0.0001" in message
    )


@pytest.mark.parametrize(
    ("precision", "tolerance"),
    [
        ("", 1e-4), ("float32", 1e-4), ("float64", 1e-4), ("tf32", 5e-3), ("float16", 5e-3),
        ("bfloat16", 4e-2), ("int8 and float32", 4e-2), ("float16 and float32", 5e-3),
    ],
)  # fmt: skip
def test_the_coarsest_number_type_decides(precision: str, tolerance: float) -> None:
    assert tolerance_of(precision) == tolerance
    inside = {"far": [1.0, -2.0, 0.5 + 1.9 * tolerance]}
    outside = {"far": [1.0, -2.0, 0.5 + 2.1 * tolerance]}
    of_precision = description(precision=precision)
    assert not check_same_run(
        of_precision, description(inside, precision), "the run"
    )
    with pytest.raises(BadInput, match="what the model computes"):
        check_same_run(of_precision, description(outside, precision), "the run")


@pytest.mark.parametrize("zeros", [[0.0] * 3, [1e-30, 0.0, 0.0]])
def test_a_layer_of_zeros_is_another_layer(zeros: list[float]) -> None:
    with pytest.raises(BadInput, match="what the model computes"):
        check_same_run(description(), description({"far": zeros}), "the run")
    dead = description({"far": [0.0] * 3})
    assert check_same_run(dead, dead, "the run") == []


@pytest.mark.parametrize(
    "noise",
    [
        {"images": "", "sums": {}},
        {"images": "noise of another size", "sums": {"far": [9.0]}},
        {"images": "noise", "sums": {}},
    ],
    ids=["of an earlier version", "of other images", "of a layer that varies"],
)
def test_what_is_not_known_is_said(noise: dict[str, Any]) -> None:
    for pair in (
        (description(noise=noise), description()),
        (description(), description(noise=noise)),
    ):
        (remark,) = check_same_run(*pair, "the run")
        assert "'far'" in remark and "could not be compared" in remark


def test_a_trait_that_one_side_lacks_is_not_compared() -> None:
    model = description()["model"]
    named = description(model={**model, "spec": "net?act=relu"})
    assert check_same_run(description(), named, "the run") == []
    other = description(model={**model, "spec": "net?act=sigmoid"})
    with pytest.raises(BadInput, match=r"model\.spec: 'net\?act=relu', not"):
        check_same_run(named, other, "the run")


def test_contents_are_compared_where_both_know_them() -> None:
    check_same_contents("", "", "the run")
    check_same_contents("abc", "abc", "the run")
    with pytest.raises(BadInput, match="contents of images or masks"):
        check_same_contents("abc", "abd", "the run")
    with pytest.raises(BadInput, match="begun with --verify-data"):
        check_same_contents("abc", "", "the run")
    with pytest.raises(BadInput, match="begun without --verify-data"):
        check_same_contents("", "abc", "the run")


class Group:
    """Processes of torchrun, of which the others have other descriptions."""

    def __init__(self, *others: dict[str, Any]) -> None:
        self.others = others
        self.size = 1 + len(others)
        self.rank = 0

    def gather(self, item: Any) -> list[Any]:
        return [item, *self.others]


def test_processes_on_other_machines_have_the_same_model_and_data() -> None:
    first = description()
    same = description(shard="2/2", versions={"torch": "3"})
    check_same_group(first, Group(same))  # type: ignore[arg-type]
    model = {**first["model"], "fingerprint": "abd"}
    for other in (
        description({"far": [5.0, 1.0, 2.0]}),
        description(model=model),
        description(contents="abc"),
    ):
        with pytest.raises(BadInput, match=r"begun|the run of rank 2 is another"):
            check_same_group(first, Group(same, other))  # type: ignore[arg-type]


def test_a_process_alone_gathers_nothing() -> None:
    class Alone(Group):
        def gather(self, item: Any) -> list[Any]:
            raise AssertionError

    check_same_group(description(), Alone())  # type: ignore[arg-type]
