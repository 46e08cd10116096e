"""Checks of concept sets by what their plugins offer, for ``nd concepts check``."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from nd_plugin.concepts.check.opened_sets import find_faults
from nd_plugin.concepts.combine.expressions import (
    Expression,
    Source,
    sources_of,
)
from nd_plugin.contracts.plugin_specs import ConceptSetSpec, SetFinding, TableRule
from nd_plugin.errors import BadInput, ConceptSetInvalid, PluginFailed
from nd_plugin.foreign_code import describe_error, translating_errors
from nd_plugin.plugins.host import Offer, host, load_factory
from nd_plugin.plugins.opening import (
    SpecText,
    call_with_options,
    expression_of,
    open_concepts,
)
from nd_plugin.storage.names import expanded_home

Kind = TypeVar("Kind", SetFinding, TableRule)


def check_concepts(
    concepts: str, notes: list[str] | None = None
) -> Iterator[SetFinding]:
    """Yield the faults of a concept set, also of one that cannot be opened.

    ``notes`` takes what a set that is opened says of itself, such as the files that it leaves out,
    and which checks of a combination's sets were not made.

    A plugin's own check comes first; a set without one is opened, and its images are read, and so
    is a combination of sets. Raises ConceptSetInvalid for what nobody claims, and for a set without
    a check that cannot be opened.
    """
    expression = expression_of(concepts)
    source = expression.text if isinstance(expression, Source) else ""
    text = SpecText.parse(source)
    offer = host().named(ConceptSetSpec, text.name)
    if offer is None or not offer.spec.check:
        concept_set = open_concepts(concepts)
        if notes is not None:
            notes += getattr(concept_set, "notes", ())
            notes += _unmade_checks(expression)
        yield from find_faults(concept_set)
        return
    has_errors = False
    for finding in _results(offer, offer.spec.check, text, SetFinding):
        has_errors = has_errors or finding.is_error
        yield finding
    if not has_errors:
        yield from _opening_faults(concepts, text)


def check_tables(concepts: str) -> Iterator[TableRule]:
    """Yield the identities of a set's tables, which need no image.

    ``concepts`` is a set's text, or a folder of a format whose tables can be checked. Raises
    BadInput where none can, ConceptSetInvalid for no folder.
    """
    text = SpecText.parse(concepts)
    offer = host().named(ConceptSetSpec, text.name)
    checkable = [
        candidate
        for candidate in host().specs(ConceptSetSpec)
        if candidate.spec.check_tables
    ]
    if offer is None and expanded_home(concepts).is_dir() and len(checkable) == 1:
        offer = checkable[0]
        text = SpecText(offer.spec.name, concepts, {})
    if (
        offer is None
        and ":" not in concepts
        and not expanded_home(concepts).is_dir()
    ):
        raise ConceptSetInvalid(
            f"no folder {concepts!r}; --tables takes the folder with label.csv and index.csv, or a "
            "set's text"
        )
    if offer is None or not offer.spec.check_tables:
        names = [f"{candidate.spec.name}:ROOT" for candidate in checkable]
        raise BadInput(
            f"the tables of {concepts!r} cannot be checked alone; those of "
            f"{' or '.join(names) or 'no installed concept set'} can"
        )
    yield from _results(offer, offer.spec.check_tables, text, TableRule)


def _unmade_checks(expression: Expression) -> Iterator[str]:
    """Yield a note on each set of a combination that has a check of its own."""
    for source in dict.fromkeys(sources_of(expression)):
        offer = host().named(ConceptSetSpec, SpecText.parse(source.text).name)
        if offer is not None and offer.spec.check:
            command = f"nd concepts check {shlex.quote(source.text)}"
            yield (
                f"of {source.text} only what the combination opens was checked; its own check "
                f"looks at its tables and files, too: {command}"
            )


def _opening_faults(concepts: str, text: SpecText) -> Iterator[SetFinding]:
    """Yield a fault for a set that cannot be opened, though its check has none."""
    try:
        open_concepts(concepts)
    except ConceptSetInvalid as error:
        yield SetFinding(
            "opening", text.argument, str(error), "change what the message names"
        )


def _results(
    offer: Offer, name: str, text: SpecText, kind: type[Kind]
) -> Iterator[Kind]:
    """Yield what a plugin's check yields. Raises PluginFailed for its failures."""
    subject = f"concept set {offer.spec.name!r}"
    check = load_factory(offer, name)

    def failure(error: BaseException) -> PluginFailed:
        return PluginFailed(
            f"{offer.plugin.origin} failed to check {text.argument!r}: "
            f"{describe_error(error)}"
        )

    call = partial(call_with_options, check, text.argument, text.options, subject)
    yield from _checked(_translated(call, failure), offer, kind)


def _translated(
    call: Callable[[], Any], failure: Callable[[BaseException], PluginFailed]
) -> Iterator[Any]:
    with translating_errors(failure):
        results = iter(call())
    end = object()
    while True:
        with translating_errors(failure):
            result = next(results, end)
        if result is end:
            return
        yield result


def _checked(
    results: Iterator[Any], offer: Offer, kind: type[Kind]
) -> Iterator[Kind]:
    for result in results:
        if not isinstance(result, kind):
            raise PluginFailed(
                f"{offer.plugin.origin} failed in its check: it gives a "
                f"{type(result).__name__}, not a {kind.__name__}"
            )
        yield result
