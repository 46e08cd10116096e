"""Site of the documents: its generated pages are complete, its links lead somewhere."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from site_pages.api import CONSTANTS, api_pages, public_names
from site_pages.commands import command_pages
from site_pages.comments import as_markup, field_comments
from site_pages.links import BrokenLink, anchors_of, with_repository_links
from typer.testing import CliRunner

import nd_plugin
import nd_plugin.reading
import nd_plugin.testing
from nd_plugin.cli.app import app

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ADDRESS = PROJECT["project"]["urls"]["Repository"]
MODULES = (nd_plugin, nd_plugin.reading, nd_plugin.testing)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_name_is_described(module: ModuleType) -> None:
    text = "\n".join(api_pages().values())
    for public in public_names(module.__name__):
        described = rf"^{re.escape(public.name)}\n-+$"
        assert re.search(described, text, re.MULTILINE), public.name
        assert public.summary, public.name


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_descriptions_are_of_the_names_and_not_of_their_types(
    module: ModuleType,
) -> None:
    for public in public_names(module.__name__):
        value = public.value
        has_own = (
            inspect.ismodule(value)
            or inspect.isroutine(value)
            or inspect.isclass(value)
        )
        assert has_own or public.name in CONSTANTS, public.name


def test_every_option_of_a_command_is_on_its_page() -> None:
    pages = command_pages()
    runner = CliRunner()
    for name in ("dissect", "report", "concepts build"):
        page = pages[name.replace(" ", "-")]
        printed = runner.invoke(app, [*name.split(), "--help"]).stdout
        options = set(re.findall(r"^  .*?(--[a-z-]+)", printed, re.MULTILINE))
        assert len(options) > 5
        assert options <= set(re.findall(r"--[a-z-]+", page))


def test_every_command_has_a_page_and_a_line_in_the_index() -> None:
    pages = command_pages()
    assert len(pages) > 20
    for name in pages.keys() - {"index"}:
        assert f"({name}.md)" in pages["index"]


def test_links_out_of_docs_lead_to_the_repository() -> None:
    page = ROOT / "docs" / "page.md"
    text = "[a](../benchmarks) [b](../CONTRIBUTING.md#fuzzing) [c](method.md)\n```\n[d](../no)\n```"
    linked = with_repository_links(text, page, ROOT, "https://host/name")
    assert linked == (
        "[a](https://host/name/tree/main/benchmarks) "
        "[b](https://host/name/blob/main/CONTRIBUTING.md#fuzzing) [c](method.md)\n"
        "```\n[d](../no)\n```"
    )


@pytest.mark.parametrize(
    "target", ["../missing.md", "../CONTRIBUTING.md#missing", "../../outside"]
)
def test_a_broken_link_names_page_and_target(target: str) -> None:
    page = ROOT / "docs" / "page.md"
    with pytest.raises(BrokenLink, match=r"page\.md.*no (file|heading)"):
        with_repository_links(f"[x]({target})", page, ROOT, "https://host")


def test_links_of_the_readme_are_absolute_and_lead_to_files() -> None:
    """The package index shows the README without the files beside it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)|(?:src|href)=\"([^\"]+)\"", text)
    targets = [markdown or html for markdown, html in links]
    raw = ADDRESS.replace("github.com", "raw.githubusercontent.com")
    prefix = re.compile(
        rf"(?:{re.escape(ADDRESS)}/(?:blob|tree)|{re.escape(raw)})/main/"
    )
    own = [target for target in targets if prefix.match(target)]
    assert len(own) > 20
    for target in targets:
        assert target.startswith("https://"), target
    for target in own:
        path, _, anchor = prefix.sub("", target).partition("#")
        assert (ROOT / path).exists(), target
        assert not anchor or anchor in anchors_of(ROOT / path), target


def test_fields_are_described_by_their_comments() -> None:
    comments = field_comments(nd_plugin.Annotation)
    assert comments["labels"] == "concepts that cover every pixel"
    assert comments["size"].startswith("the annotation's own resolution")
    assert comments["planes"] == "(row, column) each"


@pytest.mark.parametrize(
    ("comment", "markup"),
    [
        ("some `Layout`s of |M_k|", r"some \ ``Layout``\ s of \|M_k\|"),
        ("see ``nd x``", r"see \ ``nd x``"),
        ("`at both` and `ends`", r"``at both``\  and \ ``ends``"),
        ("an `open one", "an open one"),
        ("a*b", r"a\*b"),
    ],
)
def test_comments_are_shown_as_they_stand(comment: str, markup: str) -> None:
    assert as_markup(comment) == markup
