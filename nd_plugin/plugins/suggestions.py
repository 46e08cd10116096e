"""Suggestions for texts that no backend opens: ``torchvision:resnet18`` for ``resnet18``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import Any

from nd_plugin.contracts.plugin_specs import BackendSpec
from nd_plugin.errors import PluginFailed, Unavailable
from nd_plugin.plugins.guard import Owner
from nd_plugin.plugins.guarded_members import TEXTS
from nd_plugin.plugins.host import Offer, host, load_factory, warn_of

MOST = 3
ALIKE = 0.8  # of 1, by difflib
WEIGHTS_ENDINGS = (".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".npz", ".h5")


def known_models(*, installed: bool) -> list[str]:
    """Return the texts of all models that backends know by name; ``installed``: and can open."""
    texts: list[str] = []
    for offer in host().specs(BackendSpec):
        if not offer.spec.known_models:
            continue
        try:
            list_models = load_factory(offer, offer.spec.known_models)
        except Unavailable:  # `nd plugins` and `nd doctor` name what is broken
            continue
        texts += _listed(offer, list_models, installed=installed)
    return texts


def _listed(
    offer: Offer, list_models: Callable[..., Any], *, installed: bool
) -> list[str]:
    """Return what a backend lists; nothing, with a warning, where its code fails."""
    owner = Owner(offer.plugin.origin, f"backend {offer.spec.name!r}")
    try:
        listed = owner.call("known_models", TEXTS, list_models, installed=installed)
    except PluginFailed as error:
        warn_of(str(error))
        return []
    return list(listed)


def suggest_model(text: str) -> str:
    """Return the end of a message: what to write for a text that no backend opens, or nothing."""
    if PurePath(text).suffix.lower() in WEIGHTS_ENDINGS:
        return (
            "; a file of weights has no architecture: name the model by its factory, "
            f"package.module:factory --weights {text}"
        )
    prefixed = _with_prefix(text)
    if prefixed:
        return f"; write {prefixed}"
    return _suggest_known(text, known_models(installed=False))


def _with_prefix(text: str) -> str:
    """Return ``timm:resnet50`` for ``timm/resnet50``: the form of a backend, its sign mistaken."""
    for offer in host().specs(BackendSpec):
        for form in offer.spec.accepts:
            prefix, sign, argument = form.partition(":")
            mistaken = re.fullmatch(rf"{re.escape(prefix)}[/.](.*)", text)
            if sign and argument == "NAME" and mistaken:
                name = re.split(r"[/:]", mistaken[1])[-1].removeprefix("models.")
                return f"{prefix}:{name}"
    return ""


def _suggest_known(text: str, known: Iterable[str]) -> str:
    """Return the end of a message: known texts with the name in ``text``, else those alike."""
    texts_of_name: dict[str, list[str]] = {}
    for known_text in known:
        name = known_text.partition(":")[2]
        texts_of_name.setdefault(_plain(name), []).append(known_text)
    candidates = list(dict.fromkeys(_names_in(text)))
    for candidate in candidates:
        if candidate in texts_of_name:
            return f"; write {' or '.join(texts_of_name[candidate])}"
    similar = difflib.get_close_matches(
        candidates[0], texts_of_name, n=MOST, cutoff=ALIKE
    )
    texts: list[str] = []
    for name in similar:
        texts += texts_of_name[name]
    return f"; the nearest are {', '.join(texts[:MOST])}" if texts else ""


def _names_in(text: str) -> Iterator[str]:
    """Yield names that a text may mean: of ``zoo/resnet18.a1_in1k``, ``models.resnet18()``."""
    name = re.split(r"[/:\\]", text.partition("?")[0])[-1].removesuffix("()")
    yield _plain(name)
    yield _plain(name.rpartition(".")[2])
    yield _plain(name.partition(".")[0])


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
