"""Reading of a dictionary's file: its tensors, what is stated of it, and what has to be guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from nd_plugin.bases.encoder import JUMP_RELU, TOP_K
from nd_plugin.bases.tensor_files import TensorFile
from nd_plugin.errors import BadInput

# what users may say of a file: activation and k
Options = Mapping[str, str]


@dataclass
class Reading:
    """File that is being read, what users say of it, and the guesses so far."""

    file: TensorFile
    options: Options
    notes: list[str] = field(default_factory=list)

    def has(self, *names: str) -> bool:
        """Return whether the file has all these tensors."""
        return all(name in self.file.shapes for name in names)

    def optional(self, *names: str) -> Tensor | None:
        """Return the first of these tensors that the file has, or None."""
        for name in names:
            if name in self.file.shapes:
                return self.file.tensor(name)
        return None

    def matrix(self, name: str) -> Tensor:
        """Return a tensor of two axes. Raises BadInput."""
        shape = self.file.shapes[name]
        if len(shape) != 2:
            raise BadInput(
                f"{self.file.path}: {name} has shape {shape}, not two axes"
            )
        return self.file.tensor(name)

    def stated(self, name: str) -> str | None:
        """Return what an option says, else the file."""
        text = self.options.get(name, self.file.texts.get(name))
        if text is None and name == "k":
            number = self.file.number(name)
            return None if number is None else str(number)
        return text

    def activation(
        self, threshold: Tensor | None, default: str, reason: str
    ) -> tuple[str, int | None]:
        """Return the activation, and k: as stated, else as the tensors imply, else a guess."""
        k_text = self.stated("k")
        k = None if k_text is None else whole_number(k_text, "k")
        activation = self.stated("activation")
        if activation is not None:
            return activation.lower(), k
        if k is not None:
            return TOP_K, k
        if threshold is not None:
            return JUMP_RELU, None
        if reason:
            self.notes.append(reason)
        return default, None


def whole_number(text: str, name: str) -> int:
    """Return the whole number that a text is. Raises BadInput, naming what it is of."""
    try:
        number = float(text)
    except ValueError:
        number = 0.5
    if not number.is_integer():
        raise BadInput(f"{name} is {text!r}, not a whole number")
    return int(number)


def guess_note(activation: str) -> str:
    """Return the note on an activation that a file does not state."""
    return (
        f"the file states no activation: {activation} is assumed "
        "(FILE?activation=topk&k=32 says another)"
    )
