"""Layers chosen by patterns: ``layer?``, ``*.relu``, ``all``, ``paper``, several with commas.

A text that the model accepts as the name of a layer is that layer, whatever its characters: names
in ONNX files may hold commas, brackets and stars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from nd_plugin.contracts.models import LayerDescription, Model
from nd_plugin.errors import BadInput, LayerNotFound, UnitsNotFound, nearest
from nd_plugin.plugins.paper_layers import (
    describe_paper_layer,
    list_paper_layers,
)
from nd_plugin.receptive_fields.geometry import Size

ALL = "all"
PAPER = "paper"  # the layer by which the paper compares the network with others
WILDCARDS = "*?["
COMMA = ","
NAMES_SAID = 12


@dataclass(frozen=True)
class LayerNames:
    """Names that a pattern may stand for, and those that cannot be taken."""

    names: tuple[str, ...]  # with units, in the order in which the layers run
    without_units: tuple[str, ...] = ()
    # all layers of the model, for ``paper``; empty where only names are known
    layers: tuple[LayerDescription, ...] = ()

    @classmethod
    def of(cls, layers: Iterable[LayerDescription]) -> LayerNames:
        """Return the names of listed layers."""
        listed = tuple(layers)
        names: list[str] = []
        without_units: list[str] = []
        for layer in listed:
            (names if has_units(layer) else without_units).append(layer.name)
        return cls(tuple(names), tuple(without_units), listed)

    def expand(self, text: str) -> list[str]:
        """Return the names that a text stands for; a plain one unchecked.

        Raises LayerNotFound for a pattern without a match, which names the nearest, and
        UnitsNotFound for one that matches only layers without units.
        """
        chosen: list[str] = []
        for piece in self._pieces(text):
            chosen += self._matches(piece)
        return list(dict.fromkeys(chosen))

    def _pieces(self, text: str) -> Iterator[str]:
        """Split a text at its commas, but not within the name of a layer."""
        known = {*self.names, *self.without_units}
        pieces = text.split(COMMA)
        start = 0
        while start < len(pieces):
            stops = range(len(pieces), start, -1)
            names = (
                (COMMA.join(pieces[start:stop]).strip(), stop) for stop in stops
            )
            name, stop = next(
                ((name, stop) for name, stop in names if name in known),
                (pieces[start].strip(), start + 1),
            )
            start = stop
            if name:
                yield name

    def _matches(self, piece: str) -> Sequence[str]:
        is_name = piece in self.names or piece in self.without_units
        if is_name or not is_pattern(piece):
            return [piece]
        if piece == PAPER:
            return [self._paper_layer()]
        pattern = "*" if piece == ALL else piece
        matches = _matching(pattern, self.names)
        if matches:
            return matches
        refused = _matching(pattern, self.without_units)
        if refused or piece == ALL:
            listed = f": {enumerated(refused)}" if refused else ""
            raise UnitsNotFound(
                f"no layer that {piece!r} stands for has units{listed} "
                "(nd layers MODEL gives the reasons)"
            )
        raise LayerNotFound(
            f"no layer matches {piece!r} among {len(self.names)}"
            f"{self._suggestions(pattern)}"
        )

    def _paper_layer(self) -> str:
        """Return the layer that the paper compares. Raises BadInput, LayerNotFound."""
        if not self.layers:
            raise BadInput(
                "'paper' is found among the layers of a model, which are not known here; name "
                f"one of {enumerated(self.names)}"
            )
        return list_paper_layers(self.layers)[0].name

    def _suggestions(self, pattern: str) -> str:
        without_wildcards = pattern.translate(str.maketrans("", "", "*?[]"))
        suggestions = nearest(without_wildcards, self.names)
        return f"; the nearest are {', '.join(suggestions)}" if suggestions else ""


def has_units(layer: LayerDescription) -> bool:
    """Return whether units can be taken at a listed layer."""
    return layer.shape is not None and not layer.reason


def is_pattern(text: str) -> bool:
    """Return whether a text stands for other names unless it is itself the name of a layer."""
    has_pattern = any(character in text for character in WILDCARDS + COMMA)
    return has_pattern or text in (ALL, PAPER)


def choose_layers(
    model: Model,
    texts: Sequence[str],
    size: Size,
    say: Callable[[str], None] = lambda message: None,
) -> list[str]:
    """Return the names of a model's layers that texts stand for, each once, at inputs of ``size``.

    ``say`` takes a line about each pattern. The layers are listed, which takes a forward pass, only
    where there is a pattern. Raises LayerNotFound, UnitsNotFound, and BadInput for no layer.
    """
    chosen: list[str] = []
    names: LayerNames | None = None
    for text in texts:
        if not is_pattern(text) or is_layer(model, text, size):
            chosen.append(text)
            continue
        names = names or LayerNames.of(model.layers(size))
        layers = names.expand(text)
        meaning = describe(layers, len(names.names))
        if text == PAPER:
            meaning = describe_paper_layer(list_paper_layers(names.layers)[0])
        say(f"-l {text}: {meaning}")
        chosen += layers
    if not chosen:
        raise BadInput(f"no layer in {', '.join(map(repr, texts))}")
    return list(dict.fromkeys(chosen))


def is_layer(model: Model, text: str, size: Size) -> bool:
    """Return whether a model accepts a text as a layer's name, with units or without."""
    try:
        with model.probe([text], size):
            return True
    except LayerNotFound:
        return False
    except BadInput:
        # it exists: ambiguous, or without units
        return True


def describe(layers: Sequence[str], count: int, of_what: str = "with units") -> str:
    """Name chosen layers, and say how many of how many they are."""
    return f"{enumerated(layers)} ({len(layers)} of {count} {of_what})"


def enumerated(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    beyond = len(names) - NAMES_SAID
    more = f" and {beyond} more" if beyond > 0 else ""
    return ", ".join(names[:NAMES_SAID]) + more


def _matching(pattern: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]
