"""Choice of a precision, as the host asks a backend for it."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nd_plugin import BadInput
from nd_plugin.contracts.models import Model
from nd_plugin.contracts.precision import (
    check_offered,
    check_precision,
    computed_precision,
    computing,
    in_precision,
)


def backend_model(**members: Any) -> Model:
    return cast(Model, SimpleNamespace(backend="mine", **members))


PLAIN = backend_model()


def test_a_backend_need_not_offer_a_choice() -> None:
    assert computed_precision(PLAIN) == ""
    for precision in (None, "float32"):
        assert in_precision(PLAIN, precision) is PLAIN
        check_offered(PLAIN, precision)
    with computing(PLAIN):
        pass


@pytest.mark.parametrize("precision", ["tf32", "float16", "bfloat16"])
def test_a_choice_that_is_not_offered_is_refused(precision: str) -> None:
    message = f"the backend 'mine' has no choice of precision; leave out precision {precision!r}"
    with pytest.raises(BadInput, match=message):
        in_precision(PLAIN, precision)
    with pytest.raises(BadInput, match=message):
        check_offered(PLAIN, precision)


def test_a_choice_that_is_offered_is_asked_for() -> None:
    changed = backend_model(compute_precision="tf32")
    asked: list[str] = []

    def change(precision: str) -> Model:
        asked.append(precision)
        return changed

    entered: list[str] = []

    @contextmanager
    def enter() -> Any:
        entered.append("entered")
        yield
        entered.append("left")

    model = backend_model(in_precision=change, computing=enter)
    assert in_precision(model, "tf32") is changed and asked == ["tf32"]
    assert in_precision(model, None) is model and asked == ["tf32"]
    assert computed_precision(changed) == "tf32"
    check_offered(model, "bfloat16")
    with computing(model):
        assert entered == ["entered"]
    assert entered == ["entered", "left"]


@pytest.mark.parametrize("precision", ["half", "TF32", ""])
def test_what_is_none_is_named_with_what_there_is(precision: str) -> None:
    message = f"precision '{precision}' is none of float32, tf32, float16, bfloat16"
    with pytest.raises(BadInput, match=message):
        check_precision(precision)
    with pytest.raises(BadInput, match=message):
        in_precision(PLAIN, precision)
