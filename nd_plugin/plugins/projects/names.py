"""Names of a plugin's project: one is given, the others follow from it, all are checked."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from nd_plugin.contracts.plugin_specs import BackendSpec, ConceptSetSpec
from nd_plugin.errors import BadInput
from nd_plugin.plugins.host import Host
from nd_plugin.storage.names import is_device

DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
SEPARATORS = re.compile(r"[-_.]+")
OUR_PREFIX = "nd-"  # of distributions: the plugin's own name does without it
LONGEST = 40  # characters: names stand in lines of code
MODULES_OF_PROJECTS = frozenset(["conftest", "src", "tests"])
# words between concept sets (docs/concepts.md), and commands of `nd concepts` and `nd plugins`,
# which run where the name of a set or plugin may stand
WORDS = frozenset("build check color concat export fetch info list new".split())


@dataclass(frozen=True)
class ProjectNames:
    """Names of a project and of what it offers."""

    distribution: str  # for pip, as it was given: "nd-street"
    module: str  # for import: "nd_street"
    plugin: str  # of the entry point, and of what it offers: "street"

    @classmethod
    def derive(cls, name: str) -> ProjectNames:
        """Derive all names from that of a distribution. Raises BadInput for none that serves."""
        _check_form(name)
        normalised = SEPARATORS.sub("-", name).lower()
        module = normalised.replace("-", "_")
        plugin = normalised.removeprefix(OUR_PREFIX)
        _check_module(name, module)
        if plugin in WORDS:
            raise BadInput(
                f"the plugin would be called {plugin!r}, which is a word of nd's own; choose "
                f"another name, such as {OUR_PREFIX}my-{plugin}"
            )
        return cls(name, module, plugin)

    def check_free(self, host: Host) -> None:
        """Check that nothing installed has one of these names. Raises BadInput."""
        self._check_offers(host)
        self._check_distribution()
        if _is_installed(self.module):
            raise BadInput(
                f"a package {self.module!r} is installed here, which hides the plugin's module; "
                f"choose another name, such as {OUR_PREFIX}{self.plugin}-plugin"
            )

    def _check_offers(self, host: Host) -> None:
        for taken, owner in _taken_names(host):
            if self.plugin == taken:
                raise BadInput(
                    f"the plugin would be called {self.plugin!r}, a name that {owner} has; choose "
                    f"another one, such as {OUR_PREFIX}my-{self.plugin}"
                )

    def _check_distribution(self) -> None:
        try:
            version = metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return
        raise BadInput(
            f"{self.distribution} {version} is installed here; choose another name, or uninstall "
            "it first if it is an earlier try of yours"
        )


def _check_form(name: str) -> None:
    """Check that a name is one of a distribution, of few characters."""
    if not DISTRIBUTION.fullmatch(name):
        raise BadInput(
            f"{name!r} is no name of a distribution: use letters a to z, digits and single "
            f"hyphens, such as {OUR_PREFIX}street"
        )
    if len(name) > LONGEST:
        raise BadInput(
            f"{name!r} has {len(name)} characters; take {LONGEST} at most"
        )


def _check_module(name: str, module: str) -> None:
    """Check that a name serves Python as a module."""
    advice = f"choose another one, such as {OUR_PREFIX}{SEPARATORS.sub('-', name)}"
    if not module.isidentifier():
        raise BadInput(
            f"{name!r} would be imported as {module!r}, which is no name in Python; {advice}"
        )
    if keyword.iskeyword(module) or module in ("true", "false", "none"):
        raise BadInput(f"{name!r} is a word of Python's own; {advice}")
    if module in sys.stdlib_module_names:
        raise BadInput(
            f"{name!r} is a module of Python's standard library; {advice}"
        )
    if module in MODULES_OF_PROJECTS or is_device(module):
        raise BadInput(
            f"{name!r} is a name that Python's tools or a file system use themselves; {advice}"
        )


def _taken_names(host: Host) -> Iterator[tuple[str, str]]:
    """Yield each name that a plugin has or that its texts begin with, and who has it."""
    for plugin in host.plugins:
        yield plugin.name, plugin.origin
    for offer in host.offers:
        yield str(offer.spec.name), offer.plugin.origin
        if isinstance(offer.spec, BackendSpec | ConceptSetSpec):
            for form in offer.spec.accepts:
                scheme, colon, _ = form.partition(":")
                if colon:
                    yield scheme, f"{offer.plugin.origin} (it opens {form})"


def _is_installed(module: str) -> bool:
    """Return whether a module can be imported; a folder without code is none."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # of modules that replace themselves
        return True
    return spec is not None and spec.origin is not None
