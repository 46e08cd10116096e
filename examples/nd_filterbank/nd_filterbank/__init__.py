"""Backend ``filterbank``: the filters of classical vision, opened like a network.

Imported whenever plugins are listed, so it imports nothing heavy.
"""

from pathlib import Path

from nd_plugin import BackendSpec, hookimpl


def match(model: object) -> int:
    """Claim texts such as ``filterbank:gabor``.

    A score of 100 outbids nd_torch, which claims every ``package:factory`` with 10.
    """
    return 100 if isinstance(model, str) and model.startswith("filterbank:") else 0


def example(folder: Path) -> str:
    """Return the text of a small bank for ``nd plugins --check``; nothing is written."""
    return "filterbank:gabor?orientations=4"


@hookimpl
def nd_backends() -> list[BackendSpec]:
    """Announce the backend ``filterbank``."""
    return [
        BackendSpec(
            name="filterbank",
            summary="Gabor energies and opponent colours; no network, no weights",
            factory="nd_filterbank.bank:FilterBankBackend",
            match=match,
            accepts=("filterbank:gabor?orientations=8&scales=2",),
            example="nd_filterbank:example",
        )
    ]
