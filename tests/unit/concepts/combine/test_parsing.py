"""Texts of combinations: what they mean, what keeps its meaning, and what is refused."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from nd_plugin import ConceptSetInvalid
from nd_plugin.concepts.combine.expressions import (
    Coloured,
    Concatenated,
    Expression,
    Overlaid,
    Selected,
    Source,
)
from nd_plugin.concepts.combine.parsing import (
    MOST_STEPS,
    OPERATORS,
    parse_expression,
)
from nd_plugin.concepts.combine.selection import Selection
from nd_plugin.concepts.combine.source_texts import unread_operators

NAMES = ["broden", "masks", "shapes"]
OBJECTS = Selection(categories=("object",))
A, B, SHAPES = Source("masks:a"), Source("masks:b"), Source("shapes")


def parse(text: str) -> Expression:
    return parse_expression(text, NAMES)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("masks:a+masks:b", Overlaid(A, B)),
        ("masks:a + masks:b", Overlaid(A, B)),
        ("masks:a+masks:b+shapes", Overlaid(Overlaid(A, B), SHAPES)),
        ("masks:a+(masks:b+shapes)", Overlaid(A, Overlaid(B, SHAPES))),
        ("shapes+masks:a", Overlaid(SHAPES, A)),
        ("shapes?images=10+masks:a", Overlaid(Source("shapes?images=10"), A)),
        ("masks:a+shapes?images=10", Overlaid(A, Source("shapes?images=10"))),
        ("concat(masks:a, masks:b)", Concatenated((A, B))),
        ("concat( masks:a ,masks:b,shapes )", Concatenated((A, B, SHAPES))),
        ("concat(masks:a+shapes, masks:b)", Concatenated((Overlaid(A, SHAPES), B))),
        (
            "concat(masks:a, concat(masks:b, shapes))",
            Concatenated((A, Concatenated((B, SHAPES)))),
        ),
        ("masks:a[object]", Selected(A, OBJECTS)),
        ("masks:a [object] ", Selected(A, OBJECTS)),
        ("shapes[object]", Selected(SHAPES, OBJECTS)),
        (
            "shapes?images=10&size=64[object]",
            Selected(Source("shapes?images=10&size=64"), OBJECTS),
        ),
        (
            "broden:a[object]?index=val.csv",
            Selected(Source("broden:a?index=val.csv"), OBJECTS),
        ),
        ("masks:a+masks:b[object]", Overlaid(A, Selected(B, OBJECTS))),
        ("(masks:a+masks:b)[object]", Selected(Overlaid(A, B), OBJECTS)),
        (
            "concat(masks:a[object], masks:b)[split=val]",
            Selected(
                Concatenated((Selected(A, OBJECTS), B)), Selection(splits=("val",))
            ),
        ),
        (
            "masks:a[min_samples=10][object]",
            Selected(Selected(A, Selection(min_samples=10)), OBJECTS),
        ),
        ("masks:a+color", Coloured(A)),
        ("masks:a+color?table=b/c.npy", Coloured(A, "b/c.npy")),
        (
            "masks:a+color?table=b.npy+shapes",
            Overlaid(Coloured(A, "b.npy"), SHAPES),
        ),
        ("concat(masks:a+color, masks:b)", Concatenated((Coloured(A), B))),
        ("(masks:a+color)[object]", Selected(Coloured(A), OBJECTS)),
        ('"masks:a"', A),
        ('"masks:a[object]"+masks:b', Overlaid(Source("masks:a[object]"), B)),
        ('"say ""a"""[object]', Selected(Source('say "a"'), OBJECTS)),
        ("(masks:a)", A),
    ],
)
def test_meaning(text: str, expression: Expression) -> None:
    assert parse(text) == expression


@pytest.mark.parametrize(
    "text",
    [
        "shapes",
        "shapes?images=10&size=64",
        # no set follows the plus, nothing closes the bracket, or the name goes on behind it
        "masks:c++/set",
        "masks:a+b",
        "broden:a?index=my+index.csv",
        "masks:a[object",
        "masks:a[object]/b",
        "masks:a (copy), b",
        "masks:a,b)",
        'masks:a"b',
        "hub:beans?split=train[:10]",
        "hub:beans[10:20]",
    ],
)
def test_text_without_a_combination_is_one_source(text: str) -> None:
    assert parse(text) == Source(text)


@pytest.mark.parametrize(
    "name",
    [
        "a+masks:b",
        "a+shapes",
        "a[object]",
        "[object]",
        "a[object][part]",
        "concat(a, b)",
        "a, b",
        "a)",
        "(a)",
        "a+color",
    ],
)
def test_a_folder_that_exists_wins(name: str) -> None:
    Path(name).mkdir()
    source = Source(f"masks:{name}")
    assert parse(f"masks:{name}") == source
    assert parse(f"masks:{name}?x=1") == Source(f"masks:{name}?x=1")
    assert parse(f"masks:{Path.cwd()}/{name}") == Source(
        f"masks:{Path.cwd()}/{name}"
    )
    assert parse(f"concat(masks:{name}, shapes)") == Concatenated((source, SHAPES))
    assert parse(f"masks:{name}[object]") == Selected(source, OBJECTS)
    assert parse(f'"masks:{name}"+shapes') == Overlaid(source, SHAPES)


def test_the_longest_folder_wins_and_parentheses_end_a_shorter_one() -> None:
    Path("a").mkdir()
    Path("a[object]").mkdir()
    assert parse("masks:a[object]") == Source("masks:a[object]")
    assert parse("(masks:a)[object]") == Selected(A, OBJECTS)
    assert parse('"masks:a"[object]') == Selected(A, OBJECTS)
    assert parse("masks:a[part]") == Selected(A, Selection(categories=("part",)))


@pytest.mark.parametrize(
    ("content", "selection"),
    [
        ("object", OBJECTS),
        ("object, part", Selection(categories=("object", "part"))),
        ("object|part", Selection(categories=("object", "part"))),
        ("category=object", OBJECTS),
        ("name=car|road", Selection(names=("car", "road"))),
        ("name=car,name=road,name=car", Selection(names=("car", "road"))),
        (
            'name="door, double"|"a|b"|"say ""x"""',
            Selection(names=("door, double", "a|b", 'say "x"')),
        ),
        (
            "object,split = val | test,min_samples=10",
            Selection(("object",), (), ("val", "test"), 10),
        ),
        ('"a=b"', Selection(categories=("a=b",))),
        ('"a:b","[c]"', Selection(categories=("a:b", "[c]"))),
    ],
)
def test_selections(content: str, selection: Selection) -> None:
    assert parse(f"masks:a[{content}]") == Selected(A, selection)
    # the text of a selection means the same again
    assert parse(f"masks:a{selection.text}") == Selected(A, selection)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("masks:a[]", "empty category"),
        ("masks:a[object,]", "empty category"),
        ("masks:a[name=]", "empty name"),
        ("masks:a[split=val|]", "empty split"),
        ("masks:a[nam=car]", "'nam' selects nothing; the nearest is 'name'"),
        ("masks:a[names=car]", "the nearest is 'name'"),
        ("masks:a[min_samples=ten]", "min_samples 'ten' is not a number of images"),
        ("masks:a[min_samples=0]", "1 or more"),
        ("masks:a[min_samples=-1]", "1 or more"),
        ("masks:a[min_samples=1,min_samples=2]", "more than once"),
        ("concat(masks:a)", "takes two sets or more"),
        ("concat()", "a concept set is missing"),
        ("concat(masks:a, masks:b", "at its end: expected ')'"),
        ("(masks:a+masks:b", "expected ')'"),
        ("(masks:a)x", "at 'x': nothing can follow"),
        ('"masks:a', "a quote is not closed"),
        ("(masks:a)+", "a concept set is missing"),
        ("masks:a+color[object]", "put it in parentheses"),
        ("masks:a+color?tabel=x", "no option 'tabel'; it takes table=FILE.npy"),
        ("masks:a+color?table=", "an empty table"),
        ("shapes?images=3[object]?size=64", "has options already"),
        ("(" * 5000, "more than 200"),
        ("+".join(["shapes"] * 300), "more than 200"),
        ("shapes" + "[object]" * 5000, "more than 200"),
    ],
)
def test_refused(text: str, problem: str) -> None:
    with pytest.raises(ConceptSetInvalid, match=re.escape(problem)) as refused:
        parse(text)
    assert len(str(refused.value)) < 1000


def test_many_sets_are_combined() -> None:
    parse("+".join(["shapes"] * (MOST_STEPS - 1)))


def test_operators_that_were_not_read_are_named() -> None:
    hint = unread_operators("masks:a+colour", NAMES)
    assert "'colour' behind '+' is no concept set (the nearest is 'color')" in hint
    assert "SET[object,split=val]" in unread_operators("masks:a[object", NAMES)
    assert unread_operators("masks:a", NAMES) == ""
    Path("a+colour").mkdir()
    assert unread_operators("masks:a+colour", NAMES) == ""


def test_any_text_is_an_expression_or_refused() -> None:
    pieces = [
        *'+[](),"|=?: ',
        "concat(",
        "shapes",
        "masks:",
        "color",
        "split",
        "a",
        "é",
    ]
    dice = random.Random(0)
    meanings = Counter[str]()
    for _ in range(4000):
        text = "".join(dice.choices(pieces, k=dice.randint(1, 12)))
        try:
            expression = parse(text)
        except ConceptSetInvalid:
            meanings["refused"] += 1
            continue
        meanings[type(expression).__name__] += 1
        if not any(operator in text for operator in OPERATORS):
            assert expression == Source(text.lstrip())
    assert min(meanings.values()) > 0 and len(meanings) >= 5
