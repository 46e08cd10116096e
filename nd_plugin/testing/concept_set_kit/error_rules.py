"""Rules of requests that make no sense, and of fingerprints that tell sets apart."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.foreign_code import describe_error
from nd_plugin.testing.concept_set_kit.case import ConceptSetCase
from nd_plugin.testing.concept_set_kit.image_rules import same_image
from nd_plugin.testing.conformance import Rule, require
from nd_plugin.testing.outcomes import error_of, require_own_error

NO_SUCH = "-no-such-set"
OPTION = "no_such_option"


def index_errors(case: ConceptSetCase) -> None:
    """Require IndexError for an index that no image has, a negative one, too."""
    concepts = case.opened
    methods: dict[str, Callable[[int], Any]] = {
        "name": concepts.name,
        "image": concepts.image,
        "annotation": concepts.annotation,
    }
    for index in (len(concepts), -1):
        for name, method in methods.items():
            error = error_of(lambda method=method, index=index: method(index))  # type: ignore[misc]
            causes = (error, getattr(error, "__cause__", None))
            if any(isinstance(cause, IndexError) for cause in causes):
                continue
            what = "gives something" if error is None else describe_error(error)
            raise AssertionError(
                f"{name}({index}) of a set of {len(concepts)} images: expected IndexError, it "
                f"{what if error is None else f'raises {what}'}"
            )


def unknown_argument(case: ConceptSetCase) -> None:
    """Require an error that names an argument which does not exist."""
    wrong = wrong_argument(str(case.argument))
    error = error_of(lambda: case.factory(wrong, **case.options))
    require_own_error(error, NO_SUCH, f"opening {wrong!r}")


def wrong_argument(argument: str) -> str:
    """Return an argument that nothing has, with the form of another: before query and brackets."""
    head = argument
    for mark in "?[":
        head = head.partition(mark)[0]
    path = Path(head)
    suffix = path.suffix if path.is_file() else ""
    stem = head.removesuffix(suffix)
    return f"{stem}{NO_SUCH}{suffix}{argument[len(head) :]}"


def unknown_option(case: ConceptSetCase) -> None:
    """Require that an option which does not exist is not swallowed."""
    if not _takes(case.factory, OPTION):
        return
    options = {**case.options, OPTION: "1"}
    error = error_of(lambda: case.factory(case.argument, **options))
    require_own_error(error, OPTION, f"opening with {OPTION}='1'")


def _takes(factory: Callable[..., Any], option: str) -> bool:
    """Return whether a factory's signature takes an option; the host refuses it otherwise."""
    try:
        inspect.signature(factory).bind("", **{option: "1"})
    except TypeError:
        return False
    return True


def fingerprint(case: ConceptSetCase) -> None:
    """Require another fingerprint of the set without the options, where it is another set."""
    try:
        plain = _without_options(case)
    except Exception:  # of any kind: the options may be needed
        return
    opened = case.opened
    own, other = opened.identity.fingerprint, plain.identity.fingerprint
    if not own and not other:
        return
    difference = _difference(case, plain)
    require(
        own != other or not difference,
        f"with and without options the fingerprint is {own!r}, but {difference} differ",
    )


def _without_options(case: ConceptSetCase) -> ConceptSet:
    argument = case.argument
    if isinstance(argument, str):
        argument = argument.partition("?")[0]
    return case.factory(argument)


def _difference(case: ConceptSetCase, other: ConceptSet) -> str:
    """Return in what another set differs; "" for what the fingerprint need not tell."""
    opened = case.opened
    if other.concepts != opened.concepts:
        return "concepts"
    if len(other) != len(opened):
        return "numbers of images"
    if any(other.name(index) != opened.name(index) for index in case.indices):
        return "names"
    files_of = getattr(opened, "files", None)
    if files_of is not None and any(files_of(index) for index in case.indices):
        return ""  # contents of files are hashed by --verify-data
    for index in case.indices:
        if not same_image(other.image(index), case.images[index]):
            return "images"
        if not case.annotations[index].equals(other.annotation(index)):
            return "annotations"
    return ""


def _has_options(case: ConceptSetCase) -> bool:
    has_query = isinstance(case.argument, str) and "?" in case.argument
    return bool(case.options) or has_query


def _has_text(case: ConceptSetCase) -> bool:
    return isinstance(case.argument, str | Path)


RULES: tuple[Rule[ConceptSetCase], ...] = (
    Rule(
        "index-errors",
        "name(), image() and annotation() raise IndexError for -1 and for len(concepts)",
        index_errors,
    ),
    Rule(
        "unknown-argument",
        "an argument that does not exist is an error of nd_plugin, which names it",
        unknown_argument,
        _has_text,
    ),
    Rule(
        "unknown-option",
        "an option that does not exist is not taken by the factory, or an error that names it",
        unknown_option,
    ),
    Rule(
        "fingerprint",
        "options that make another set make another fingerprint",
        fingerprint,
        _has_options,
    ),
)
