"""Steps of a training, read from the names of its checkpoints: ``epoch_10.pt`` is epoch 10."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

STEP = "step"
STAGE = "stage"
# what the number behind a word counts; of a name with several, the first here
WORDS: dict[str, tuple[str, ...]] = {
    STEP: ("global_step", "step", "steps"),
    "iteration": ("iteration", "iterations", "iter", "iters"),
    "epoch": ("epoch", "epochs", "ep"),
    "update": ("checkpoint", "ckpt", "snapshot", "stage"),
}
MULTIPLES = {"": 1, "k": 1000, "m": 1_000_000}
NUMBER = re.compile("[0-9]+")
UNTRAINED = re.compile("(?<![a-z])(init|initial|untrained|random)(?![a-z])")
# of files; a number behind a dot is none of them
ENDING = re.compile(r"\.(safetensors|pt|pth|bin|ckpt|tar|caffemodel|onnx)$")
NAMES_SAID = 3


@dataclass(frozen=True)
class StepReading:
    """Step of each name, what the steps count, and what was guessed."""

    steps: tuple[float, ...]
    unit: str
    notes: tuple[str, ...] = ()


def parse_steps(names: Sequence[str]) -> StepReading | None:
    """Return the steps in names; None where they do not tell one step for each.

    It is the number behind a word such as epoch, iter or step in all names, else the only number
    that differs. A name such as ``init`` without a number is step 0.
    """
    stems = [_stem(name) for name in names]
    untrained = [_is_untrained(stem) for stem in stems]
    numbered = [
        stem for stem, first in zip(stems, untrained, strict=True) if not first
    ]
    if sum(untrained) > 1 or not numbered:
        return None
    reading = _behind_words(numbered) or _only_difference(numbered)
    if reading is None or not any(untrained):
        return reading
    if 0 in reading.steps:
        return None
    remaining = iter(reading.steps)
    steps = tuple(0.0 if first else next(remaining) for first in untrained)
    name = names[untrained.index(True)]
    note = f"{name} has no number: taken as {reading.unit} 0"
    return StepReading(steps, reading.unit, (note,))


def number_stages(names: Sequence[str]) -> StepReading:
    """Number names in their order; a note says so where there are several."""
    steps = tuple(float(number) for number in range(1, len(names) + 1))
    if len(names) < 2:
        return StepReading(steps, STAGE)
    listed = ", ".join(names[:NAMES_SAID])
    more = " …" if len(names) > NAMES_SAID else ""
    note = (
        f"the names of the checkpoints ({listed}{more}) do not tell their steps: they are "
        "numbered in their order; --steps gives the steps"
    )
    return StepReading(steps, STAGE, (note,))


def _stem(name: str) -> str:
    """Return a name in lower case without its endings."""
    stem = name.lower()
    while ENDING.search(stem):
        stem = ENDING.sub("", stem)
    return stem


def _is_untrained(stem: str) -> bool:
    return bool(UNTRAINED.search(stem)) and not NUMBER.search(stem)


def _behind_words(stems: Sequence[str]) -> StepReading | None:
    for unit, words in WORDS.items():
        steps = [_number_behind(stem, words) for stem in stems]
        if None not in steps and len(set(steps)) == len(steps):
            values = tuple(float(step) for step in steps if step is not None)
            return StepReading(values, STEP if unit == "update" else unit)
    return None


def _number_behind(stem: str, words: Sequence[str]) -> int | None:
    """Return the number behind the last of some words in a name, such as 10k of ``iter_10k``."""
    choices = "|".join(words)
    pattern = rf"(?<![a-z])(?:{choices})[^a-z0-9]?([0-9]+)([km]?)(?![a-z0-9])"
    matches = re.findall(pattern, stem)
    if not matches:
        return None
    digits, multiple = matches[-1]
    return int(digits) * MULTIPLES[multiple]


def _only_difference(stems: Sequence[str]) -> StepReading | None:
    """Return the number that differs, where all names have as many and no other differs."""
    numbers = [tuple(map(int, NUMBER.findall(stem))) for stem in stems]
    if len({len(row) for row in numbers}) != 1:
        return None
    columns = list(zip(*numbers, strict=True))
    differing = [column for column in columns if len(set(column)) > 1]
    if len(stems) == 1:
        differing = columns
    if len(differing) != 1 or len(set(differing[0])) < len(stems):
        return None
    return StepReading(tuple(map(float, differing[0])), STEP)
