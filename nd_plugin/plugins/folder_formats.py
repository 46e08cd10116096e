"""Formats of concept sets that a folder has, or what it lacks of each: for errors."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

from nd_plugin.concepts.sources.folders import OtherLayout
from nd_plugin.contracts.plugin_specs import ConceptSetSpec
from nd_plugin.errors import NDError
from nd_plugin.foreign_code import describe_error, is_failure
from nd_plugin.plugins.host import Offer, host, load_factory
from nd_plugin.storage.names import expanded_home

FOLDER = "ROOT"  # stands for a folder in the texts that a concept set accepts


def folder_hint(folder: str) -> str:
    """Say which formats a folder has; if none, what it lacks of each."""
    problems = _problems(Path(folder))
    texts = _without_problem(problems)
    if texts:
        return f"the folder can be opened as {texts}"
    parent = Path(folder).parent
    texts = _without_problem(_problems(parent))
    if texts:
        return f"the folder above it can be opened as {texts}"
    if not problems:
        return "it is a folder, and no installed concept set reads folders"
    other_layouts = [
        text.partition(":")[0]
        for text, problem in problems.items()
        if isinstance(problem, OtherLayout)
    ]
    layouts = (
        f": it has not the layout of {', '.join(other_layouts)}"
        if other_layouts
        else ""
    )
    reasons = [
        f"\n- as {text}: {problem}"
        for text, problem in problems.items()
        if not isinstance(problem, OtherLayout)
    ]
    return (
        f"it is a folder, and no concept set that reads folders can open it{layouts}"
        f"{''.join(reasons)}"
    )


def _problems(folder: Path) -> dict[str, NDError | str]:
    """Return what a folder lacks, "" for nothing, by the text that would open it."""
    root = str(expanded_home(folder))
    return {
        f"{offer.spec.name}:{folder}": _problem(offer, root)
        for offer in folder_formats()
    }


def _without_problem(problems: Mapping[str, NDError | str]) -> str:
    texts = [repr(text) for text, problem in problems.items() if problem == ""]
    return " or ".join(texts)


def folder_formats() -> list[Offer]:
    """Return the offers of concept sets that take a folder: they accept ``name:ROOT``."""
    return [
        offer
        for offer in host().specs(ConceptSetSpec)
        if f"{offer.spec.name}:{FOLDER}" in offer.spec.accepts
    ]


def _problem(offer: Offer, root: str) -> NDError | str:
    """Return why a concept set cannot open a folder; "" if it can."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            concepts = load_factory(offer)(root)
            return "" if len(concepts) else "it has no images"
    except NDError as error:
        return error
    except BaseException as error:  # third-party code
        if not is_failure(error):
            raise
        return f"{offer.plugin.origin} failed: {describe_error(error)}"
