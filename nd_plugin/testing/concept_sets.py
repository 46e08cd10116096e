"""Conformance kit of concept sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.testing.concept_set_kit import (
    annotation_rules,
    copy_rules,
    error_rules,
    image_rules,
    vocabulary_rules,
)
from nd_plugin.testing.concept_set_kit.case import ConceptSetCase
from nd_plugin.testing.conformance import Check, checks_of, run_checks

CONCEPT_SET_RULES = (
    *vocabulary_rules.RULES,
    *image_rules.RULES,
    *annotation_rules.RULES,
    *copy_rules.RULES,
    *error_rules.RULES,
)


def check_concept_set(
    factory: Callable[..., ConceptSet],
    argument: Any = "",
    /,
    *,
    images: int = 3,
    **options: Any,
) -> None:
    """Check a concept set, and its first ``images`` images and annotations.

    ``factory`` is what ``ConceptSetSpec.factory`` names, and is called as ``factory(argument,
    **options)``: ``check_concept_set(Gratings, size="96")``. With ``open_concepts`` as the factory,
    the argument is a set's whole text: ``check_concept_set(open_concepts, "masks:PATH")``.
    Raises ConformanceError with every check that does not hold.
    """
    name = getattr(factory, "__qualname__", type(factory).__qualname__)
    subject = f"concept set {getattr(factory, '__module__', '?')}.{name}"
    checks = concept_set_checks(factory, argument, images=images, **options)
    run_checks(subject, checks)


def concept_set_checks(
    factory: Callable[..., ConceptSet],
    argument: Any = "",
    /,
    *,
    images: int = 3,
    **options: Any,
) -> list[Check]:
    """Return the checks of `check_concept_set`; nothing is opened before one is called."""
    case = ConceptSetCase(factory, argument, options, images)
    return checks_of(CONCEPT_SET_RULES, case)
