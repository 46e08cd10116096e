"""Opening models and concept sets through what plugins offer."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from inspect import Parameter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from nd_plugin.concepts.combine.building import build
from nd_plugin.concepts.combine.expressions import Expression, Source
from nd_plugin.concepts.combine.parsing import OPERATORS, parse_expression
from nd_plugin.concepts.combine.source_texts import unread_operators
from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.models import Model, ModelOptions
from nd_plugin.contracts.plugin_specs import BackendSpec, ConceptSetSpec
from nd_plugin.contracts.precision import check_offered
from nd_plugin.errors import (
    BadInput,
    ConceptSetInvalid,
    ModelNotFound,
    PluginFailed,
    Unavailable,
    nearest,
)
from nd_plugin.foreign_code import describe_error, translating_errors
from nd_plugin.machine.process_group import own_device
from nd_plugin.plugins.folder_formats import folder_hint
from nd_plugin.plugins.guard import Owner, guard
from nd_plugin.plugins.guarded_members import CONCEPT_SET
from nd_plugin.plugins.host import Offer, host, load_factory
from nd_plugin.plugins.suggestions import suggest_model
from nd_plugin.storage.names import expanded_home


@dataclass(frozen=True)
class SpecText:
    """Parts of a text ``name:argument?key=value&key=value``."""

    name: str
    argument: str
    options: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> SpecText:
        """Split a text; a missing part is empty. Raises BadInput for an option that is repeated."""
        head, _, query = text.partition("?")
        name, _, argument = head.partition(":")
        options: dict[str, str] = {}
        for key, value in parse_qsl(query, keep_blank_values=True):
            if key in options:
                raise BadInput(
                    f"{text!r}: the option {key!r} is given twice; delete one of the two"
                )
            options[key] = value
        return cls(name, argument, options)


def open_concepts(concepts: str | Path | ConceptSet) -> ConceptSet:
    """Open ``"broden:ROOT"``, ``"masks:ROOT"``, ``"shapes"``, or what an installed plugin claims.

    A text may also combine sets: ``SET[object,split=val]`` selects, ``a+b`` adds the annotations of
    the same images, ``concat(a, b)`` puts images behind images, ``SET+color`` adds colours (see
    docs/concepts.md). A path is taken as it is. An object that is a ConceptSet already is returned
    as it is. Raises ConceptSetInvalid for what nobody claims, for an empty set, and for a category
    without concepts. For a folder without a format, the error says which format it has, or what it
    lacks of each.
    """
    if isinstance(concepts, Path):
        return _open_source(str(concepts))
    if not isinstance(concepts, str):
        return _checked(concepts)
    if not any(operator in concepts for operator in OPERATORS):
        return _open_source(concepts)
    return _open_expression(concepts)


def _open_expression(concepts: str) -> ConceptSet:
    """Open a text that may combine sets, or hold the same characters in its own names."""
    expression = expression_of(concepts)
    if not isinstance(expression, Source):
        # a source that is there several times is opened once
        return _checked(build(expression, cache(_open_source)))
    try:
        return _open_source(expression.text)
    except ConceptSetInvalid as error:
        hint = unread_operators(expression.text, _names_of_sets())
        raise ConceptSetInvalid(f"{error}{hint}") from error


def expression_of(concepts: str) -> Expression:
    """Return the set or the combination of sets that a text names. Raises ConceptSetInvalid."""
    if _is_claimed_as_whole(concepts):
        return Source(concepts)
    return parse_expression(concepts, _names_of_sets())


def _names_of_sets() -> list[str]:
    return [offer.spec.name for offer in host().specs(ConceptSetSpec)]


def _is_claimed_as_whole(concepts: str) -> bool:
    """Return whether a concept set claims a text that begins with no name of a set."""
    if host().named(ConceptSetSpec, SpecText.parse(concepts).name) is not None:
        return False
    return host().best(ConceptSetSpec, concepts) is not None


def _open_source(concepts: str) -> ConceptSet:
    """Open the text of one set, whatever characters it holds."""
    text = SpecText.parse(concepts)
    argument = text.argument
    options = text.options
    offer = host().named(ConceptSetSpec, text.name)
    if offer is None:
        _check_scheme(ConceptSetSpec, concepts)
        offer = host().best(ConceptSetSpec, concepts)
        argument = concepts
        options = {}
    if offer is None:
        raise ConceptSetInvalid(_no_concept_set(concepts, text.name))
    factory = load_factory(offer)
    subject = f"concept set {offer.spec.name!r}"
    opened = _opened(
        offer,
        concepts,
        lambda: call_with_options(factory, argument, options, subject),
    )
    owner = Owner(offer.plugin.origin, subject)
    return _checked(guard(opened, owner, "concept set"))


def _no_concept_set(concepts: str, name: str) -> str:
    if concepts and expanded_home(concepts).is_dir():
        return f"no concept set {concepts!r}; {folder_hint(concepts)}"
    return f"no concept set {concepts!r}{_known_names(ConceptSetSpec, name)}"


def call_with_options(
    factory: Callable[..., Any], argument: Any, options: dict[str, str], whose: str
) -> Any:
    """Return ``factory(argument, **options)``.

    Raises BadInput for an option that the factory does not take, listing those it does.
    """
    parameters = list(inspect.signature(factory).parameters.values())
    by_name = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    accepted = [
        parameter.name for parameter in parameters[1:] if parameter.kind in by_name
    ]
    accepts_any = any(
        parameter.kind == Parameter.VAR_KEYWORD for parameter in parameters
    )
    # the text in front of the options: none of them says it again
    argument_name = parameters[0].name if parameters else ""
    unknown = [
        repr(name)
        for name in options
        if name == argument_name or not (accepts_any or name in accepted)
    ]
    if unknown:
        takes = f"it takes {', '.join(accepted)}" if accepted else "it takes none"
        raise BadInput(f"{whose} has no option {', '.join(unknown)}; {takes}")
    return factory(argument, **options)


def _checked(concepts: ConceptSet) -> ConceptSet:
    """Return the concept set. Raises ConceptSetInvalid for one that cannot be dissected with."""
    # isinstance would look at the identity, whose fingerprint may take a while
    missing = CONCEPT_SET.missing(concepts)
    if missing:
        raise ConceptSetInvalid(
            f"{type(concepts).__name__} is no concept set: it lacks members of the ConceptSet "
            f"protocol: {', '.join(missing)}"
        )
    if len(concepts) == 0:
        raise ConceptSetInvalid(f"{_named(concepts)} has no images")
    if not concepts.concepts:
        raise ConceptSetInvalid(f"{_named(concepts)} has no concepts")
    used = {concept.category for concept in concepts.concepts}
    empty = [
        repr(category) for category in concepts.categories if category not in used
    ]
    if empty:
        raise ConceptSetInvalid(
            f"{_named(concepts)} has no concept in {', '.join(empty)}: leave it out"
        )
    unlisted = sorted(used.difference(concepts.categories))
    if unlisted:
        raise ConceptSetInvalid(
            f"{_named(concepts)} has concepts of unlisted categories: {', '.join(unlisted)}"
        )
    return concepts


def _named(concepts: ConceptSet) -> str:
    """Return the subject of an error; an identity may take a while, and is not looked at before."""
    return f"the concept set {concepts.identity.source}"


def open_model(model: Any, options: ModelOptions | None = None) -> Model:
    """Open a model by the backend that claims it most strongly.

    ``model`` is an object (an ``nn.Module``) or a text (``torchvision:resnet18``, ``file.onnx``,
    ``package.module:factory``). Raises ModelNotFound for what nobody claims, Unavailable for a
    backend that cannot be loaded.
    """
    if isinstance(model, str):
        _check_scheme(BackendSpec, model)
    offer = host().best(BackendSpec, model)
    if offer is None:
        subject = (
            repr(model) if isinstance(model, str) else f"a {type(model).__name__}"
        )
        hint = suggest_model(model) if isinstance(model, str) else ""
        forms = _known_names(BackendSpec, "")
        raise ModelNotFound(f"no backend opens {subject}{hint}{forms}")
    factory = load_factory(offer)
    model_options = options or ModelOptions()
    opened = _opened(offer, model, lambda: factory().open(model, model_options))
    subject = f"model of backend {offer.spec.name!r}"
    is_callers_own = not isinstance(model, str)
    owner = Owner(offer.plugin.origin, subject, is_callers_own)
    guarded: Model = guard(opened, owner, "model")
    check_offered(guarded, model_options.precision)
    return guarded


def open_on_own_device(model: Any, options: ModelOptions) -> Model:
    """Open a model for a process of torchrun on its own GPU, and as `open_model` does elsewhere.

    Under ``auto``, a backend that cannot use the GPU may choose another device. Raises as
    `open_model` and `own_device` do.
    """
    device = own_device(options.device)
    try:
        return open_model(model, replace(options, device=device))
    except Unavailable:
        if options.device != "auto" or device == "auto":
            raise
        return open_model(model, options)


def _opened(offer: Offer, subject: Any, open_it: Callable[[], Any]) -> Any:
    """Open something by a plugin; a foreign error is translated, naming the plugin."""
    name = subject if isinstance(subject, str) else type(subject).__name__

    def failure(error: BaseException) -> PluginFailed:
        return PluginFailed(
            f"{offer.plugin.origin} failed to open {name!r}: {describe_error(error)}"
        )

    with translating_errors(failure):
        return open_it()


def _check_scheme(kind: type, text: str) -> None:
    """Raise Unavailable for a text that begins with the name of a broken or blocked plugin."""
    scheme = SpecText.parse(text).name
    if host().named(kind, scheme) is not None:
        return
    for plugin in host().plugins:
        if plugin.state in ("broken", "blocked") and plugin.name == scheme:
            raise Unavailable(
                f"{text!r} asks for {plugin.origin}, which is {plugin.state}: {plugin.problem}"
            )


def _known_names(kind: type, name: str) -> str:
    """Return the nearest name, all known forms and broken plugins: for errors."""
    offers = host().specs(kind)
    names = [str(offer.spec.name) for offer in offers]
    similar = nearest(name, names, most=1) if name else []
    hint = f"; the nearest is {similar[0]!r}" if similar else ""
    forms: dict[str, None] = {}
    for offer in offers:
        for form in offer.spec.accepts or (offer.spec.name,):
            # without options, of which some sets have many
            forms[form.partition("?")[0]] = None
    return f"{hint}; known are {', '.join(forms) or 'none'}{_missing_plugins()}"


def _missing_plugins() -> str:
    states = []
    for plugin in host().plugins:
        if plugin.state in ("broken", "blocked"):
            states.append(f"{plugin.origin} is {plugin.state}")
    return f" ({', '.join(states)}: see nd plugins)" if states else ""
