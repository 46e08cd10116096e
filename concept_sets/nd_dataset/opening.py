"""Data sets named by a text: ``dataset:package.module:factory?names=FILE.csv``."""

from __future__ import annotations

import ast
from typing import Any

from nd_plugin import (
    ConceptSet,
    ConceptSetInvalid,
    UserCode,
    concepts_from_dataset,
    look_in_working_folder,
    own_arguments,
)
from nd_plugin.reading import parse_ignored, read_value_names, set_text

FORM = "expected dataset:package.module:factory?names=FILE.csv"
DEFAULTS = {"category": "object", "ignore": "255"}
LITERALS = {"true": "True", "false": "False", "none": "None"}


def open_dataset(
    code_path: str,
    *,
    names: str = "",
    category: str = DEFAULTS["category"],
    ignore: str = DEFAULTS["ignore"],
    **options: str,
) -> ConceptSet:
    """Call a factory of data sets with ``options``, and return what it makes as a concept set.

    ``names`` is a file with the names of mask values; without it they are the data set's
    ``classes``, where it has them. ``ignore`` are values that are "no label", with commas between
    them. Raises ConceptSetInvalid for code that does not exist or makes something else,
    Unavailable for code that cannot be imported.
    """
    module_name, _, path = code_path.partition(":")
    if not module_name or not path:
        raise ConceptSetInvalid(
            f"dataset:{code_path} names no function of a module; {FORM}"
        )
    complete_options = {
        **options,
        "names": names,
        "category": category,
        "ignore": ignore,
    }
    arguments = {key: _parse_value(value) for key, value in options.items()}
    code = UserCode(code_path, "data set", ConceptSetInvalid)
    look_in_working_folder()
    with own_arguments(module_name):
        target = code.find(module_name, path)
        is_factory = isinstance(target, type) or not hasattr(target, "__getitem__")
        dataset = code.call(target, **arguments) if is_factory else target
    return concepts_from_dataset(
        dataset,
        _names(names, dataset, code_path),
        category=category,
        ignore=parse_ignored(ignore, "dataset"),
        name=set_text("dataset", code_path, complete_options, DEFAULTS),
    )


def _parse_value(text: str) -> Any:
    """Return an option's value as a Python literal (number, True, None, tuple), else as a text."""
    try:
        return ast.literal_eval(LITERALS.get(text, text))
    except (ValueError, SyntaxError):
        return text


def _names(file: str, dataset: Any, code_path: str) -> Any:
    """Return the names of mask values. Raises ConceptSetInvalid for none."""
    if file:
        return read_value_names(file)
    classes = getattr(dataset, "classes", None)
    if classes is None:
        raise ConceptSetInvalid(
            f"dataset:{code_path} has no names of mask values: give names=FILE.csv (with the "
            "columns value,name), or the data set an attribute `classes`"
        )
    return classes
