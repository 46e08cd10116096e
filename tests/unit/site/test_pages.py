"""The dress of pages: escaped texts, safe data, and a policy that names what the page holds."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from nd_plugin.report.colours import category_colour
from nd_plugin.report.mask_overlays import BRIGHTNESS_OUTSIDE, OUTLINE_COLOUR
from nd_plugin.site import pages

EVIL = "</script><script>alert(1)</script>\"'&\u2028\u202eלא"


def test_a_title_is_escaped() -> None:
    text = pages.page("base.html", EVIL)
    assert "<script" not in text
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in text


def test_json_text_has_nothing_that_ends_a_script_element() -> None:
    text = pages.json_text({EVIL: [EVIL]})
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert json.loads(text) == {EVIL: [EVIL]}


def test_a_data_block_holds_its_text() -> None:
    block = str(pages.data_block(pages.json_text(EVIL), 'a"b'))
    assert block.startswith('<script type="application/json" id="a&#34;b">')
    assert block.count("<") == 2


def test_the_policy_names_the_style_and_the_script_that_the_page_holds() -> None:
    text = pages.page(
        "base.html", "t", script="console.log(1)", categories=("object",)
    )
    for element in ("style", "script"):
        match = re.search(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
        assert match is not None
        digest = hashlib.sha256(match[1].encode()).digest()
        assert (
            f"{element}-src &#39;sha256-{base64.b64encode(digest).decode()}" in text
        )
    assert "default-src &#39;none&#39;" in text
    assert "unsafe" not in text


@pytest.mark.parametrize("loads_files", [False, True])
def test_only_a_page_that_loads_files_may(loads_files: bool) -> None:
    text = pages.page("base.html", "t", loads_files=loads_files)
    assert ("file:" in text) == loads_files


def test_every_rule_of_the_style_sheet_stands_below_the_class_nd() -> None:
    sheet = re.sub(r"/\*.*?\*/", "", pages.stylesheet(), flags=re.DOTALL)
    selectors = re.findall(r"([^{}]+)\{", sheet)
    for group in selectors:
        for selector in group.split(","):
            name = selector.strip()
            assert name.startswith((".nd", "body.nd", "@media", "(")), name


def test_the_classes_of_categories_have_the_colours_of_all_reports() -> None:
    text = pages.page("base.html", "t", categories=("part", "wear", "object"))
    assert f".nd .category-0 {{ --category: {category_colour('part')}; }}" in text
    assert f".nd .category-2 {{ --category: {category_colour('object')}; }}" in text


def test_pages_dim_and_outline_as_drawn_pictures_do() -> None:
    black = round(100 * (1 - BRIGHTNESS_OUTSIDE))
    dimmed = f"rgb(0 0 0 / {black}%)"
    outline = "#{:02x}{:02x}{:02x}".format(*OUTLINE_COLOUR)
    script = (pages.HERE / "scripts" / "pictures.js").read_text(encoding="utf-8")
    assert f'DIMMED = "{dimmed}"' in script
    assert f'OUTLINE_OF_UNIT = "{outline}"' in script
    assert f"fill: {dimmed}; fill-rule: evenodd; stroke: {outline};" in str(
        pages.stylesheet()
    )
