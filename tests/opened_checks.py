"""Conformance kits on what is open already: a combined set, a model behind a view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nd_plugin import ConceptSet, Model
from nd_plugin.testing import backend_checks, check_concept_set

OF_OPENING = ("unknown-device", "options-refused")


def check_opened_set(concepts: ConceptSet, images: int = 3) -> None:
    check_concept_set(lambda _: concepts, None, images=images)


@dataclass(frozen=True)
class Opened:
    """Backend that has one model, and opens it whatever is asked for."""

    model: Model

    def open(self, model: Any, options: Any) -> Model:
        return self.model


def check_opened_model(
    model: Model, layers: Sequence[Any], size: tuple[int, int]
) -> None:
    backend = Opened(model)
    for check in backend_checks(
        lambda: backend, object(), layers=layers, size=size
    ):
        if check.name not in OF_OPENING:
            check()
