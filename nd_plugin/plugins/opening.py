"""Opening models and concept sets by what plugins offer."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.models import Model, ModelOptions
from nd_plugin.contracts.plugin_specs import BackendSpec, ConceptSetSpec
from nd_plugin.errors import BadInput, ConceptSetInvalid, ModelNotFound, NDError, RunFailed, nearest
from nd_plugin.plugins.host import Offer, described, host, load_factory


@dataclass(frozen=True)
class SpecText:
    """A text ``name:argument?key=value&key=value`` taken apart."""

    name: str
    argument: str
    options: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> SpecText:
        """Take a text apart; a part that is missing is empty."""
        head, _, query = text.partition("?")
        name, _, argument = head.partition(":")
        return cls(name, argument, dict(parse_qsl(query, keep_blank_values=True)))


def open_concepts(concepts: str | ConceptSet) -> ConceptSet:
    """Open a concept set: ``"broden:ROOT"``, ``"masks:ROOT"``, ``"shapes"``, or whatever an installed plugin claims.

    An object that is a ConceptSet already is given back. Raises ConceptSetInvalid for what nobody claims, for an empty
    set, and for a category without concepts.
    """
    if not isinstance(concepts, str):
        return _checked(concepts)
    text = SpecText.parse(concepts)
    offer = host().named(ConceptSetSpec, text.name)
    argument, options = text.argument, text.options
    if offer is None:
        offer, argument, options = host().best(ConceptSetSpec, concepts), concepts, {}
    if offer is None:
        form = "; what a folder holds is said before its name" if Path(concepts).is_dir() else ""
        raise ConceptSetInvalid(
            f"no concept set {concepts!r}{form}{_among(ConceptSetSpec, text.name)}"
        )
    factory, whose = load_factory(offer), f"concept set {offer.spec.name!r}"
    return _checked(
        _opened(offer, concepts, lambda: call_with_options(factory, argument, options, whose))
    )


def call_with_options(
    factory: Callable[..., Any], argument: Any, options: dict[str, str], whose: str
) -> Any:
    """``factory(argument, **options)``; an option that it does not take is a BadInput that lists those it does."""
    parameters = list(inspect.signature(factory).parameters.values())
    known = [p.name for p in parameters[1:] if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    any_name = any(p.kind == p.VAR_KEYWORD for p in parameters)
    unknown = [] if any_name else [name for name in options if name not in known]
    if unknown:
        takes = f"it takes {', '.join(known)}" if known else "it takes none"
        raise BadInput(f"{whose} has no option {', '.join(map(repr, unknown))}; {takes}")
    return factory(argument, **options)


def _checked(concepts: Any) -> ConceptSet:
    if not isinstance(concepts, ConceptSet):
        raise ConceptSetInvalid(
            f"{type(concepts).__name__} is no concept set: it lacks the ConceptSet protocol's members"
        )
    where = concepts.identity.source
    if len(concepts) == 0:
        raise ConceptSetInvalid(f"the concept set {where} has no images")
    if not concepts.concepts:
        raise ConceptSetInvalid(f"the concept set {where} has no concepts")
    used = {concept.category for concept in concepts.concepts}
    empty = [category for category in concepts.categories if category not in used]
    if empty:
        raise ConceptSetInvalid(
            f"the concept set {where} has no concept in {', '.join(map(repr, empty))}: leave it out"
        )
    strange = sorted(used.difference(concepts.categories))
    if strange:
        raise ConceptSetInvalid(
            f"the concept set {where} has concepts of unlisted categories: {', '.join(strange)}"
        )
    return concepts


def open_model(model: Any, options: ModelOptions | None = None) -> Model:
    """Open a model by the backend that claims it most strongly.

    ``model`` is an object (an ``nn.Module``) or a text (``torchvision:resnet18``, ``file.onnx``,
    ``package.module:factory``). Raises ModelNotFound for what nobody claims, Unavailable for a backend that cannot
    be loaded.
    """
    offer = host().best(BackendSpec, model)
    if offer is None:
        shown = repr(model) if isinstance(model, str) else f"a {type(model).__name__}"
        raise ModelNotFound(f"no backend opens {shown}{_among(BackendSpec, '')}")
    factory = load_factory(offer)
    opened: Model = _opened(offer, model, lambda: factory().open(model, options or ModelOptions()))
    return opened


def _opened(offer: Offer, subject: Any, how: Callable[[], Any]) -> Any:
    """What a plugin opened; an error that is none of ours is translated, and names the plugin."""
    try:
        return how()
    except NDError:
        raise
    except Exception as error:
        shown = subject if isinstance(subject, str) else type(subject).__name__
        raise RunFailed(
            f"{offer.plugin.origin} failed to open {shown!r}: {described(error)}"
        ) from error


def _among(kind: type, wanted: str) -> str:
    """What could have been meant: for errors."""
    offers = host().specs(kind)
    close = nearest(wanted, [str(offer.spec.name) for offer in offers], most=1) if wanted else []
    forms = [form for offer in offers for form in (offer.spec.accepts or (offer.spec.name,))]
    hint = f"; the nearest is {close[0]!r}" if close else ""
    broken = [plugin for plugin in host().plugins if plugin.state in ("broken", "blocked")]
    lost = (
        f" ({', '.join(p.origin + ' is ' + p.state for p in broken)}: see nd plugins)"
        if broken
        else ""
    )
    return f"{hint}; known are {', '.join(forms) or 'none'}{lost}"
