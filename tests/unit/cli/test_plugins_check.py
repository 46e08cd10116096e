"""``nd plugins --check``: installed plugins, each by what it imports and by the kits."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
from installed_plugins import Install, plugin_folder

from nd_plugin.plugins import host
from nd_plugin.plugins.checks.offers import check_offer
from nd_plugin.plugins.loading import DISABLE
from nd_plugin.testing.reporter_kit import content_rules

REPORTER = """
    from html import escape
    from nd_plugin import ReporterSpec, hookimpl

    def page(reports):
        parts = ["<!doctype html>"]
        for report in reports:
            parts.append(f"<h1>{escape(report.title)}</h1>")
            parts += [f"<p>{escape(note)}</p>" for note in report.notes]
        return "".join(parts)

    def folder(reports):
        return {"index.html": page(reports)}

    @hookimpl
    def nd_reporters():
        return [ReporterSpec("sample", "of a test", f"{__name__}:FACTORY", ENDINGS)]
"""
CONCEPTS = """
    import numpy
    from PIL import Image
    from nd_plugin import (
        Annotation, BadInput, Concept, ConceptSetSpec, Identity, Unavailable, fingerprint,
        hookimpl,
    )

    class Dots:
        categories = ("thing",)
        concepts = (Concept("dot", "thing"),)
        native_masks = True

        def __init__(self, argument, images="4"):
            if argument:
                raise BadInput(f"no dots {argument!r}")
            self.count = int(images)
            text = f"{argument}?images={images}"
            self.identity = Identity("sample", text, "1", fingerprint([text.encode()]))

        def __len__(self):
            return self.count

        def _check(self, index):
            if not 0 <= index < self.count:
                raise IndexError(index)

        def name(self, index):
            self._check(index)
            return f"dot-{index}.png"

        def image(self, index):
            self._check(index)
            return Image.new("RGB", (32, 24), (9 * index, 0, 0))

        def annotation(self, index):
            self._check(index)
            plane = numpy.zeros((24, 32), numpy.int64)
            plane[index : index + 4, 8:20] = LABEL
            return Annotation([plane], ())

    def example(folder):
        EXAMPLE

    @hookimpl
    def nd_concept_sets():
        place = f"{__name__}:example"
        return [ConceptSetSpec("sample", "of a test", f"{__name__}:Dots", example=place)]
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install plugins for a test, whose reporters do not ask for the time."""
    monkeypatch.setattr(content_rules, "SECONDS_BETWEEN", 0.0)
    with plugin_folder(tmp_path) as install:
        yield install


def reporter(factory: str = "page", endings: str = "()") -> str:
    return REPORTER.replace("FACTORY", factory).replace("ENDINGS", endings)


def concept_set(
    example: str = "return 'sample:'",
    label: str = "1",
    named: str = "{__name__}:example",
) -> str:
    """Return a plugin whose example has a body, whose spec may not name it, and whose pixels."""
    source = CONCEPTS.replace("EXAMPLE", example).replace("LABEL", label)
    return source.replace("{__name__}:example", named)


def checks_of(done: Any) -> dict[str, dict[str, str]]:
    """Return the checks in a JSON document of one plugin, by name."""
    (plugin,) = json.loads(done.stdout)["plugins"]
    return {check["check"]: check for check in plugin["checks"]}


def broken(done: Any) -> dict[str, str]:
    """Return the problems of broken checks by name; the exit code has to fit them."""
    problems = {
        name: check["problem"]
        for name, check in checks_of(done).items()
        if check["state"] == "broken"
    }
    assert done.returncode == (1 if problems else 0)
    assert json.loads(done.stdout)["broken"] == len(problems)
    return problems


def test_a_sound_reporter(install: Install, nd: Any) -> None:
    install("sound", reporter())
    done = nd("plugins", "--check", "sound", "--json")
    assert broken(done) == {}
    checks = checks_of(done)
    assert {"loads", "light-imports", "factory", "endings"} < set(checks)
    assert checks["markup-escaped"]["offer"] == "reporter sample"
    assert checks["markup-escaped"]["state"] == "holds"
    assert checks["markup-escaped"]["statement"].startswith("no name makes")
    assert "checking reporter sample" in done.stderr


def test_a_wrong_reporter(install: Install, nd: Any) -> None:
    install("wrong", reporter().replace("escape(report.title)", "report.title"))
    done = nd("plugins", "--check", "wrong", COLUMNS="160")
    assert done.returncode == 1
    (row,) = [line for line in done.stdout.splitlines() if " broken " in line]
    assert row.startswith("reporter sample  markup-escaped")
    assert "<nd-name>" in row
    assert done.stdout.splitlines()[-1].endswith("1 broken")


@pytest.mark.parametrize(
    ("factory", "endings", "problem"),
    [
        (
            "folder",
            "('.site',)",
            "gives a folder, and claims files that end in '.site'",
        ),
        ("page", "('site',)", "'site' begins with no dot"),
        ("page", "('.HTML',)", "'.html' is claimed by 'html' of plugin 'reports'"),
    ],
)
def test_wrong_endings(
    install: Install, factory: str, endings: str, problem: str
) -> None:
    install("ending", reporter(factory, endings))
    (offer,) = [
        offer for offer in host.host().offers if offer.spec.name == "sample"
    ]
    # the kit behind it is not run
    (result,) = [
        result
        for result in itertools.islice(check_offer(offer), 2)
        if result.check == "endings"
    ]
    assert result.state == "broken" and problem in result.problem


def test_a_factory_that_is_not_there(install: Install, nd: Any) -> None:
    install("absent", reporter("nowhere"))
    done = nd("plugins", "--check", "absent", "--json")
    assert "no attribute 'nowhere'" in broken(done)["factory"]
    assert "gives-content" not in checks_of(done)


def test_heavy_imports_are_named_and_others_are_not_blamed(
    install: Install, tmp_path: Path, nd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jax.py").touch()
    # this process forgets it again: SciPy asks a jax that is there for its arrays
    monkeypatch.setitem(sys.modules, "jax", ModuleType("jax"))
    install("heavy", "import jax\n" + dedent(concept_set(named="")))
    done = nd("plugins", "--check", "heavy", "--json")
    assert broken(done) == {"light-imports": "heavy imports jax"}
    assert (
        checks_of(nd("plugins", "--check", "shapes", "--json"))["light-imports"][
            "state"
        ]
        == "holds"
    )


def test_a_module_that_fails_is_shown(install: Install, nd: Any) -> None:
    install("failing", "raise ImportError('no library of that name')")
    done = nd("plugins", "--check", "failing")
    assert done.returncode == 1
    assert "no library of that name" in done.stdout


def test_a_blocked_plugin_is_not_checked(nd: Any) -> None:
    environment = {DISABLE: "shapes"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DISABLE, "shapes")
        host.host.cache_clear()
        done = nd("plugins", "--check", "shapes", "--json", **environment)
    host.host.cache_clear()
    assert checks_of(done)["loads"]["state"] == "not checked"
    assert done.returncode == 0


def test_a_concept_set_by_its_example(install: Install, nd: Any) -> None:
    install("dots", concept_set())
    done = nd("plugins", "--check", "dots", "--json")
    assert broken(done) == {}
    assert checks_of(done)["example"]["state"] == "holds"
    assert len(checks_of(done)) > 10


def test_a_wrong_concept_set(install: Install, nd: Any) -> None:
    install("dots", concept_set(label="2"))
    assert broken(nd("plugins", "--check", "dots", "--json"))


@pytest.mark.parametrize(
    ("example", "state", "problem"),
    [
        (
            "raise Unavailable('install dots-data')",
            "not checked",
            "install dots-data",
        ),
        ("raise SystemExit(3)", "broken", "SystemExit: 3"),
        ("return folder / 'missing'", "broken", ""),
    ],
)
def test_an_example_that_fails(
    install: Install, example: str, state: str, problem: str, nd: Any
) -> None:
    install("dots", concept_set(example))
    done = nd("plugins", "--check", "dots", "--json")
    found = [c for c in checks_of(done).values() if c["state"] == state]
    assert problem in found[0]["problem"]
    assert done.returncode == (1 if state == "broken" else 0)


def test_an_offer_without_an_example(install: Install, nd: Any) -> None:
    install("dots", concept_set(named=""))
    done = nd("plugins", "--check", "dots", "--json")
    assert broken(done) == {}
    assert checks_of(done)["kit"]["problem"].startswith("no example: only")
    assert json.loads(done.stdout)["not_checked"] == 1


def test_in_a_narrow_terminal(install: Install, nd: Any) -> None:
    install("dots", concept_set(named=""))
    done = nd("plugins", "--check", "dots", COLUMNS="40")
    assert max(map(len, done.stdout.splitlines())) <= 40
    assert "light-imports" in done.stdout and "not" in done.stdout
