"""Pages of explanations: units with masks and top images, in one file, and foreign texts."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from foreign_texts import EVIL, QUOTES, with_foreign_texts
from made_pictures import make_pictures

from nd_plugin import Dissection
from nd_plugin.explain.explanation import Explanation
from nd_plugin.report.explanation_record import Check, RankedUnit
from nd_plugin.site.explanation_page import explanation_page, next_concepts
from nd_plugin.site.mask_paths import darkened_path


class Reader(HTMLParser):
    """Elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(
        self, tag: str, attributes: list[tuple[str, str | None]]
    ) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, text: str) -> None:
        self.text += f" {text}"

    @property
    def words(self) -> str:
        """Text with single spaces."""
        return " ".join(self.text.split())

    def values(self, tag: str, attribute: str) -> list[str]:
        """Values of an attribute of all elements of a kind that have it."""
        return [
            attributes[attribute] or ""
            for name, attributes in self.elements
            if name == tag and attribute in attributes
        ]


def explanation_of(
    dissection: Dissection | None, name: str = "zebra"
) -> Explanation:
    """Explanation by units 2 and 3, with a mask of the upper half and an empty one."""
    upper = np.zeros((8, 8), np.bool_)
    upper[:4] = True
    concept, category = "cat", "object"
    if dissection is not None:
        concept = dissection.concepts[0].name
    units = (
        RankedUnit(2, concept, category, 0.2727, True, 1.5, 0.6, upper),
        RankedUnit(3, "", "", 0.0, False, -0.75, -0.3, ~upper & upper),
    )
    return Explanation(
        layer="block.1/relu",
        image=np.full((8, 8, 3), 200, np.uint8),
        target=3,
        name=name,
        predicted="horse",
        output=4.25,
        bias=0.5,
        absolute_sum=2.5,
        contribution="linear",
        mask="image",
        units=units,
        check=Check(predicted=0.75, measured=0.8),
        notes=("the image was resized",),
        dissection=dissection,
    )


def test_units_with_masks_contributions_and_concepts(pictured: Dissection) -> None:
    reader = Reader(explanation_page([explanation_of(pictured)]))
    words = reader.words
    assert "zebra 4.25 output -0.8 measured change without these units" in words
    assert "-0.75 predicted change" in words
    assert "predicted horse" in words, "the class that is predicted instead"
    assert "the image was resized" in words
    assert "cat unit 2 object , IoU 0.2727 +1.5 contribution share 60.0%" in words
    assert "next best: dog 0.0588 ear 0.0323 tail 0.0303" in words
    assert "(no concept) unit 3 overlaps no concept -0.75 contribution" in words
    lengths = [
        width
        for width in reader.values("rect", "width")
        if width in ("100.0", "50.0")
    ]
    assert lengths == ["100.0", "50.0"]
    paths = reader.values("path", "d")
    assert paths[0] == darkened_path(explanation_of(None).units[0].mask)


def test_top_images_have_the_units_masks(pictured: Dissection) -> None:
    reader = Reader(explanation_page([explanation_of(pictured)]))
    paths = reader.values("path", "d")
    expected = []
    for unit in (2, 3):
        for rank in (0, 1):
            mask = pictured.activation_mask(unit, rank)
            assert mask is not None
            expected.append(darkened_path(mask))
    # behind each unit's mask in the explained image
    assert [*paths[1:3], *paths[4:6]] == expected
    alts = reader.values("img", "alt")
    assert "b.jpg, activation up to 2; bright where unit 2 is active" in alts


def test_without_pictures_it_says_so(dissection: Dissection) -> None:
    reader = Reader(explanation_page([explanation_of(dissection)]))
    assert "The run has no pictures of its units' top images" in reader.words
    assert len(reader.values("img", "src")) == 3
    alone = Reader(explanation_page([explanation_of(None)]))
    assert "has no pictures" not in alone.words and "next best" not in alone.words


def test_it_is_one_file_without_a_script(pictured: Dissection) -> None:
    page = explanation_page([explanation_of(pictured)])
    reader = Reader(page)
    sources = reader.values("img", "src")
    assert all(source.startswith("data:image/") for source in sources)
    tags = {tag for tag, _ in reader.elements}
    assert "script" not in tags
    assert "script-src 'none'" in reader.values("meta", "content")[0]


def test_several_have_a_list_of_contents(pictured: Dissection) -> None:
    records = [explanation_of(pictured), explanation_of(pictured, "lion")]
    reader = Reader(explanation_page(records))
    links = [
        link for link in reader.values("a", "href") if link.startswith("#expl")
    ]
    assert links == ["#explanation-1", "#explanation-2"]
    assert set(reader.values("section", "id")) == {
        "explanation-1",
        "explanation-2",
    }
    assert "Explanation: zebra, lion" in reader.words


def test_no_text_becomes_markup(dissection: Dissection) -> None:
    evil = with_foreign_texts(dissection)
    evil = replace(evil, stored_pictures=make_pictures(evil))
    page = explanation_page([explanation_of(evil, f"{EVIL}{QUOTES}")])
    reader = Reader(page)
    assert EVIL not in page and EVIL in reader.text
    assert "script" not in {tag for tag, _ in reader.elements}
    names = [name for _, attributes in reader.elements for name in attributes]
    assert not [name for name in names if name.startswith("on") or name == "style"]


@pytest.mark.parametrize(
    ("unit", "concepts"),
    [(2, ["dog", "ear", "tail"]), (1, ["dog", "cat"]), (3, []), (4, [])],
)
def test_next_concepts_are_those_that_overlap(
    dissection: Dissection, unit: int, concepts: list[str]
) -> None:
    names = [score.name for score in next_concepts(dissection, unit)]
    assert names == concepts
