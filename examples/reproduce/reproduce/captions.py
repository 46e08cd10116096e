"""Captions of drawn scenes: the scene, and its largest objects with their colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reproduce.scenes import COLORS, OBJECTS, DrawnScenes

OBJECTS_TOLD = 4
SMALLEST_SHARE = 0.02  # of the picture, for an object to be told
PADDING = ""
END = "."
CLOSE_UP = "picture"  # first word where there is no scene
LENGTH = 1 + 2 * OBJECTS_TOLD + 1  # words


@dataclass(frozen=True)
class Captions:
    """Captions as numbers: a word is its place in ``words``, and 0 is padding."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, scenes: DrawnScenes) -> Captions:
        """Return captions with the vocabulary of these scenes."""
        words = {
            word for index in range(len(scenes)) for word in caption(scenes, index)
        }
        return cls((PADDING, *sorted(words)))

    def encode(self, scenes: DrawnScenes) -> Tensor:
        """Return the captions as numbers, (image, word); unknown words are left out."""
        numbers = {word: number for number, word in enumerate(self.words)}
        encoded = torch.zeros(len(scenes), LENGTH, dtype=torch.int64)
        for index in range(len(scenes)):
            known = [word for word in caption(scenes, index) if word in numbers]
            for place, word in enumerate(known):
                encoded[index, place] = numbers[word]
        return encoded


def caption(scenes: DrawnScenes, index: int) -> list[str]:
    """Return the words of a scene, such as ``street blue sky grey road red car .``.

    Articles are left out: every word tells something. Objects come by their area, each behind the
    colour name of most of its pixels.
    """
    objects = scenes.planes[index, OBJECTS]
    colors = scenes.planes[index, COLORS]
    areas = np.bincount(objects.ravel(), minlength=1)
    areas[0] = 0  # no object
    largest = np.argsort(-areas, kind="stable")[:OBJECTS_TOLD]
    scene = int(scenes.scene_labels[index])
    words = [_word(scenes, scene) if scene else CLOSE_UP]
    for label in largest.tolist():
        if areas[label] < SMALLEST_SHARE * objects.size:
            break
        color = int(np.bincount(colors[objects == label]).argmax())
        words += [_word(scenes, color), _word(scenes, label)]
    return [*words, END]


def _word(scenes: DrawnScenes, label: int) -> str:
    """Return the name of a concept without the ending of its category (``street-s``)."""
    return scenes.concepts[label - 1].name.removesuffix("-s").removesuffix("-c")
