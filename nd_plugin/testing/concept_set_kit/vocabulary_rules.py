"""Rules of an opened concept set: its members, its identity, concepts, names and notes."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from nd_plugin.contracts.concept_sets import Concept
from nd_plugin.testing.concept_set_kit.case import ConceptSetCase
from nd_plugin.testing.conformance import Rule, require
from nd_plugin.testing.own_values import (
    require_identity,
    require_texts,
    require_tuple,
)


def opens(case: ConceptSetCase) -> None:
    """Require an opened set with all members, and with images."""
    concepts = case.opened
    require(
        len(concepts) == len(concepts), "the number of images is the same each time"
    )


def identity(case: ConceptSetCase) -> None:
    """Require an identity of texts, the same in a second opened set."""
    require_identity(case.opened.identity)
    second = case.open().identity
    require(
        second == case.opened.identity,
        f"opened again, the same set is {second}, not {case.opened.identity}",
    )


def concepts(case: ConceptSetCase) -> None:
    """Require a tuple of Concepts, each once."""
    vocabulary = case.opened.concepts
    require_tuple(vocabulary, "concepts")
    require(vocabulary, "the concept set has no concepts")
    for concept in vocabulary:
        require(
            isinstance(concept, Concept),
            f"concepts holds Concepts, not a {type(concept).__name__}",
        )
        _require_label(concept.name, "the name of a concept")
        _require_label(concept.category, f"the category of {concept.name}")
        require_tuple(concept.synonyms, f"synonyms of {concept.name}")
        require_texts(concept.synonyms, f"synonyms of {concept.name}")
    pairs = [(concept.name, concept.category) for concept in vocabulary]
    twice = sorted({pair for pair in pairs if pairs.count(pair) > 1})
    require(not twice, f"concepts has {twice} several times")
    require(vocabulary == case.opened.concepts, "concepts are the same each time")


def categories(case: ConceptSetCase) -> None:
    """Require a tuple of the categories that concepts have, each once."""
    listed = case.opened.categories
    require_tuple(listed, "categories")
    require_texts(listed, "categories")
    require(len(set(listed)) == len(listed), f"categories has one twice: {listed}")
    used = {getattr(concept, "category", "") for concept in case.opened.concepts}
    empty = sorted(set(listed).difference(used))
    require(not empty, f"no concept is in {', '.join(empty)}")
    unlisted = sorted(used.difference(listed))
    require(
        not unlisted, f"concepts are in {', '.join(unlisted)}, not in categories"
    )
    require(listed == case.opened.categories, "categories are the same each time")


def native_masks(case: ConceptSetCase) -> None:
    """Require True or False."""
    value = case.opened.native_masks
    require(
        isinstance(value, bool), f"native_masks is True or False, not {value!r}"
    )


def notes(case: ConceptSetCase) -> None:
    """Require notes of texts, that are the same when they are asked for again."""
    texts = getattr(case.opened, "notes", ())
    require_texts(texts, "notes")
    again = getattr(case.opened, "notes", ())
    require(tuple(texts) == tuple(again), "notes are the same each time")


def names(case: ConceptSetCase) -> None:
    """Require names that are unique, printable, and paths inside the set at most."""
    concepts = case.opened
    listed = [concepts.name(index) for index in range(len(concepts))]
    for name in listed:
        _require_label(name, "the name of an image")
        require(
            not _leads_out(name), f"the image name {name!r} leads out of the set"
        )
    seen: set[Any] = set()
    for name in listed:
        require(name not in seen, f"several images have the name {name!r}")
        seen.add(name)
    again = [concepts.name(index) for index in case.indices]
    require(listed[: len(again)] == again, "names are the same each time")


def _require_label(text: Any, subject: str) -> None:
    require(isinstance(text, str), f"{subject} is a text, not {text!r}")
    require(text.strip(), f"{subject} is empty")
    require(
        text.isprintable(),
        f"{subject} has characters that cannot be printed: {text!r}",
    )


def _leads_out(name: str) -> bool:
    posix = PurePosixPath(name)
    windows = PureWindowsPath(name)
    is_absolute = posix.is_absolute() or windows.is_absolute() or windows.drive
    return bool(is_absolute) or ".." in (*posix.parts, *windows.parts)


RULES: tuple[Rule[ConceptSetCase], ...] = (
    Rule(
        "opens",
        "factory(argument, **options) gives a set with all members, and with images",
        opens,
    ),
    Rule(
        "identity",
        "name, source and version are texts; opened again, the set has the same identity",
        identity,
    ),
    Rule(
        "concepts",
        "concepts is a tuple of Concepts, each once, with names that can be printed",
        concepts,
    ),
    Rule(
        "categories",
        "categories is a tuple, of exactly the categories that concepts have, each once",
        categories,
    ),
    Rule("native-masks", "native_masks is True or False", native_masks),
    Rule("notes", "notes is a sequence of texts, the same each time", notes),
    Rule(
        "names",
        "names are unique texts that can be printed, and no paths out of the set",
        names,
    ),
)
