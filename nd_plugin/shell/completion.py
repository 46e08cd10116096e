"""Completion in shells: models, concept sets, layers.

Nothing is downloaded and no code of the user's runs: layers come from the run, from an earlier
listing, or from a file of moderate size. typer leaves out what does not continue the word.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

from nd_plugin.borders.json_values import parse_json
from nd_plugin.borders.printable import one_line
from nd_plugin.contracts.plugin_specs import BackendSpec, ConceptSetSpec
from nd_plugin.plugins.host import host
from nd_plugin.plugins.suggestions import known_models
from nd_plugin.shell import layer_cache

VARIABLE = "_ND_COMPLETE"  # set by the scripts of `nd --install-completion`
BASH = "complete_bash"
LARGEST_FILE = 200 * 2**20  # bytes, of a model that completion opens
RUN_RECORD = "run.json"
# of a set in a combination, behind the first
SET_STARTS = re.compile(r"\+\s*|\(\s*|,\s*")


@contextlib.contextmanager
def adapted_to_bash() -> Iterator[None]:
    """Join the words that bash has split at colons, and answer with what follows the last colon."""
    if os.environ.get(VARIABLE) != BASH:
        yield
        return
    words = os.environ.get("COMP_WORDS", "").split("\n")
    joined, position = join_at_colons(words, int(os.environ.get("COMP_CWORD", "0")))
    os.environ["COMP_WORDS"] = "\n".join(joined)
    os.environ["COMP_CWORD"] = str(position)
    incomplete = joined[position] if position < len(joined) else ""
    answers = io.StringIO()
    try:
        with contextlib.redirect_stdout(answers):
            yield
    finally:
        start = incomplete.rfind(":") + 1
        lines = [line[start:] for line in answers.getvalue().splitlines()]
        sys.stdout.write("".join(f"{line}\n" for line in lines if line))


def join_at_colons(words: Sequence[str], position: int) -> tuple[list[str], int]:
    """Return words with ``a``, ``:``, ``b`` joined, and the new position of one of them."""
    joined: list[str] = []
    new_position = position
    is_open = False  # the last word ends in a colon of its own
    for index, word in enumerate(words):
        continues = bool(joined) and (word == ":" or is_open)
        if continues:
            joined[-1] += word
        else:
            joined.append(word)
        is_open = word == ":"
        if index == position:
            new_position = len(joined) - 1
    return joined, new_position if position < len(words) else len(joined)


def complete_model(incomplete: str) -> list[str]:
    """Complete a file, or a model that a backend knows by its name."""
    library = incomplete.partition(":")[0]
    with warnings.catch_warnings():
        # of a plugin that fails: there is no place for messages
        warnings.simplefilter("ignore")
        known = known_models(installed=True)
    if ":" in incomplete:
        texts = [text for text in known if text.startswith(f"{library}:")]
    else:
        texts = sorted({f"{text.partition(':')[0]}:" for text in known})
    files = _paths(incomplete, _model_endings())
    return [*texts, *files]


def complete_concepts(incomplete: str) -> list[str]:
    """Complete the name of a concept set, and the folder behind it.

    In a combination, of its last set: behind ``+``, ``(`` or the comma of ``concat(a, b)``.
    """
    start = _start_of_last_set(incomplete)
    before, last_set = incomplete[:start], incomplete[start:]
    name, colon, folder = last_set.partition(":")
    if colon:
        return [f"{before}{name}:{path}" for path in _paths(folder)]
    texts: list[str] = []
    for offer in host().specs(ConceptSetSpec):
        name = offer.spec.name
        takes_argument = any(
            form.startswith(f"{name}:") for form in offer.spec.accepts
        )
        text = f"{name}:" if takes_argument else name
        texts.append(f"{before}{text}")
    return texts


def _start_of_last_set(incomplete: str) -> int:
    """Return where the last set of a combination begins.

    A folder that begins so exists already where the character is part of its name.
    """
    starts = [match.end() for match in SET_STARTS.finditer(incomplete)]
    whole = incomplete.partition(":")[2]
    is_folder = whole and any(path.startswith(whole) for path in _paths(whole))
    if not starts or is_folder:
        return 0
    return starts[-1]


def complete_plugin(incomplete: str) -> list[str]:
    """Complete the name of a plugin, or of something that it offers."""
    names = [plugin.name for plugin in host().plugins]
    names += [str(offer.spec.name) for offer in host().offers]
    return sorted({name for name in names if name.startswith(incomplete)})


def complete_layer(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a layer, or the last of several behind commas, of the run or the model."""
    names = _layers_of_run(_argument(context, "run"))
    names = names or _layers_of_model(_argument(context, "model"))
    # a shell shows them as they are
    names = [name for name in names if name == one_line(name)]
    before, comma, last = incomplete.rpartition(",")
    is_name_with_comma = any(name.startswith(incomplete) for name in names)
    if not comma or is_name_with_comma:
        return names
    return [f"{before},{name}" for name in names if name.startswith(last)]


def _argument(context: Any, name: str) -> Any:
    """Return an argument of the command line so far.

    Where an option lacks its value, which is being completed, the arguments are not parsed yet.
    """
    names = [
        parameter.name
        for parameter in context.command.params
        if parameter.param_type_name == "argument"
    ]
    unparsed = dict(zip(names, context.args, strict=False))
    return context.params.get(name) or unparsed.get(name)


def _layers_of_run(run: Any) -> list[str]:
    """Return the layers that a run's record lists; none where there is no run."""
    if run is None:
        return []
    try:
        record = parse_json(Path(run, RUN_RECORD).read_text(encoding="utf-8"))
        return [str(layer["layer"]) for layer in record["layers"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _layers_of_model(model: Any) -> list[str]:
    """Return the layers of a model that were listed before, or of its file if it is not large."""
    if not isinstance(model, str):
        return []
    names = layer_cache.recall(model)
    if names or not _is_small_file(model):
        return names
    # a model that cannot be opened has no completion, and no message either
    silence = io.StringIO()
    with (
        contextlib.redirect_stdout(silence),
        contextlib.redirect_stderr(silence),
        contextlib.suppress(Exception),
    ):
        names = _list_layers(model)
    layer_cache.remember(model, names)
    return names


def _list_layers(model: str) -> list[str]:
    from nd_plugin.contracts.models import ModelOptions
    from nd_plugin.plugins.layer_patterns import LayerNames
    from nd_plugin.plugins.opening import open_model

    opened = open_model(model, ModelOptions("cpu"))
    return list(LayerNames.of(opened.layers(opened.preprocess.size)).names)


def _is_small_file(model: str) -> bool:
    path = Path(model)
    try:
        return path.is_file() and path.stat().st_size <= LARGEST_FILE
    except (OSError, ValueError):
        return False


def _model_endings() -> tuple[str, ...]:
    """Return the endings of the files that backends open, such as ``.onnx``."""
    endings: list[str] = []
    for offer in host().specs(BackendSpec):
        for form in offer.spec.accepts:
            name, dot, ending = form.partition(".")
            if name == "FILE" and dot:
                endings.append(f".{ending}")
    return tuple(endings)


def _paths(incomplete: str, endings: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield folders, and files with one of the endings, that begin with a path."""
    folder = incomplete.rpartition("/")[0]
    prefix = incomplete[: len(folder) + 1] if "/" in incomplete else ""
    try:
        entries = sorted(Path(prefix or ".").iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield f"{prefix}{entry.name}/"
        elif endings and entry.name.endswith(endings):
            yield f"{prefix}{entry.name}"
