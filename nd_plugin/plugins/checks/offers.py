"""Checks of one offer of a plugin: what its spec names, and the conformance kit on its example."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from nd_plugin.contracts.plugin_specs import BackendSpec, ReporterSpec
from nd_plugin.errors import Unavailable
from nd_plugin.foreign_code import describe_error, is_failure
from nd_plugin.plugins.host import Offer, host, load_factory
from nd_plugin.plugins.spec_types import CHECKS as FIELD_CHECKS
from nd_plugin.plugins.spec_types import PLACE
from nd_plugin.testing.conformance import Check, broken_checks
from nd_plugin.testing.reporter_kit.case import ReporterCase
from nd_plugin.testing.reporters import reporter_checks

State = Literal["holds", "broken", "not checked"]


@dataclass(frozen=True)
class Result:
    """Result of one check."""

    check: str
    statement: str  # what holds in a sound plugin
    state: State
    problem: str = ""  # what was found instead, or why nothing was checked


def check_offer(offer: Offer) -> Iterator[Result]:
    """Check an offer: what its spec names can be imported, then the kit."""
    results = list(_check_names(offer))
    yield from results
    if any(result.state != "holds" for result in results):
        return
    if isinstance(offer.spec, ReporterSpec):
        reporter = load_factory(offer)
        yield _run(_endings_check(offer, reporter))
        yield from map(_run, reporter_checks(reporter))
        return
    if not offer.spec.example:
        yield Result(
            "kit",
            "the conformance kit holds for its example",
            "not checked",
            "no example: only its names and imports were checked",
        )
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield from _check_example(offer, Path(folder))


def _check_names(offer: Offer) -> Iterator[Result]:
    """Import each function and class that a spec names."""
    for field in fields(offer.spec):
        words, _ = FIELD_CHECKS[field.name]
        place = getattr(offer.spec, field.name)
        if words != PLACE or not place:
            continue
        statement = f"{field.name} names something that can be imported and called"
        problem = ""
        try:
            named = load_factory(offer, place)
            if not callable(named):
                problem = f"{place} is a {type(named).__name__}"
        except Unavailable as error:
            problem = str(error)
        yield Result(field.name, statement, state_of(problem), problem)


def _check_example(offer: Offer, folder: Path) -> Iterator[Result]:
    """Make the example of a backend or concept set in a folder, and run the kit on it."""
    statement = "its function makes an example in an empty folder"
    try:
        example = load_factory(offer, offer.spec.example)(folder)
        checks = _kit(offer)(example)
    except Unavailable as error:  # a library that this environment lacks
        yield Result("example", statement, "not checked", str(error))
        return
    except BaseException as error:  # third-party code
        if not is_failure(error):
            raise
        problem = f"raised {describe_error(error)}"
        yield Result("example", statement, "broken", problem)
        return
    yield Result("example", statement, "holds")
    yield from map(_run, checks)


def _kit(offer: Offer) -> Callable[[Any], list[Check]]:
    """Return the kit of an offer's kind, which takes its example."""
    # the kits of backends and concept sets import torch
    if isinstance(offer.spec, BackendSpec):
        from nd_plugin.testing.backends import backend_checks

        return lambda model: backend_checks(load_factory(offer), model)
    from nd_plugin.plugins.opening import open_concepts
    from nd_plugin.testing.concept_sets import concept_set_checks

    return lambda text: concept_set_checks(open_concepts, text)


def _run(check: Check) -> Result:
    for broken in broken_checks([check]):
        state: State = "not checked" if broken.is_unchecked else "broken"
        return Result(check.name, check.statement, state, broken.problem)
    return Result(check.name, check.statement, "holds")


def _endings_check(offer: Offer, reporter: Any) -> Check:
    """Return the check of the endings of files that a reporter claims."""

    def run() -> None:
        endings = [ending.lower() for ending in offer.spec.endings]
        for ending in endings:
            if not ending.startswith(".") or ending == ".":
                raise AssertionError(f"{ending!r} begins with no dot")
            for other in host().specs(ReporterSpec):
                if other == offer:
                    continue
                if ending in map(str.lower, other.spec.endings):
                    raise AssertionError(
                        f"{ending!r} is claimed by {other.spec.name!r} of "
                        f"{other.plugin.origin}, too"
                    )
        content = ReporterCase(reporter).content("gives-content")
        if endings and isinstance(content, Mapping):
            raise AssertionError(
                f"it gives a folder, and claims files that end in {endings[0]!r}"
            )

    statement = "endings begin with a dot, are claimed once, and a folder has none"
    return Check("endings", statement, run)


def state_of(problem: str) -> State:
    """Return the state of a check that has found a problem, or none."""
    return "broken" if problem else "holds"
