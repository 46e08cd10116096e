"""``broden`` without a folder: the set that was fetched into the cache."""

from __future__ import annotations

from pathlib import Path

import pytest
from written_sets import write_broden

from nd_plugin import ConceptSetInvalid, open_concepts
from nd_plugin.reading import fetched_set


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of fetched sets."""
    monkeypatch.setenv("ND_CACHE", str(tmp_path))
    return tmp_path / "concept_sets"


def test_nothing_was_fetched(sets: Path) -> None:
    for text in ("broden", "broden:"):
        with pytest.raises(
            ConceptSetInvalid, match=r"no folder given; .*nd concepts fetch broden$"
        ):
            open_concepts(text)
    with pytest.raises(
        ConceptSetInvalid, match=r"nd concepts fetch broden --size 227$"
    ):
        open_concepts("broden?size=227")
    with pytest.raises(
        ConceptSetInvalid, match=r"no folder 'nowhere'.*nd concepts fetch"
    ):
        open_concepts("broden:nowhere")
    assert fetched_set("broden") is None
    assert fetched_set("shapes") is None


def test_the_fetched_one_is_opened(sets: Path) -> None:
    write_broden(sets / "broden1_227")
    concepts = open_concepts("broden")
    assert concepts.identity.source == "broden?size=227"
    assert len(concepts) == 6
    assert open_concepts("broden?size=227").identity == concepts.identity
    # the source says how it is opened again
    assert open_concepts(concepts.identity.source).identity == concepts.identity
    assert fetched_set("broden") == sets / "broden1_227"
    assert fetched_set("broden", 224) is None


def test_of_several_sizes_the_usual_one(sets: Path) -> None:
    write_broden(sets / "broden1_384")
    write_broden(sets / "broden1_224")
    assert open_concepts("broden").identity.source == "broden?size=224"
    large = open_concepts("broden?size=384&index=index.csv")
    assert large.identity.source == "broden?size=384"


def test_other_options_hold(sets: Path) -> None:
    write_broden(sets / "broden1_224")
    root = sets / "broden1_224"
    lines = (root / "index.csv").read_text().splitlines()
    (root / "short.csv").write_text("\n".join(lines[:3]))
    concepts = open_concepts("broden?index=short.csv&links=follow")
    assert len(concepts) == 2
    source = "broden?size=224&index=short.csv&links=follow"
    assert concepts.identity.source == source


@pytest.mark.parametrize("size", ["225", "x", "0224", "-224"])
def test_sizes_that_are_none(sets: Path, size: str) -> None:
    with pytest.raises(ConceptSetInvalid, match="is none of 224, 227, 384"):
        open_concepts(f"broden?size={size}")


def test_a_size_of_a_folder(sets: Path, tmp_path: Path) -> None:
    text = write_broden(tmp_path / "mine")
    with pytest.raises(
        ConceptSetInvalid, match="size=224 chooses among fetched sets"
    ):
        open_concepts(f"{text}?size=224")


def test_a_cache_that_leads_elsewhere(sets: Path, tmp_path: Path) -> None:
    """People put large data on another disk, by a link."""
    write_broden(tmp_path / "disk" / "set")
    sets.mkdir()
    (sets / "broden1_224").symlink_to(tmp_path / "disk" / "set")
    assert len(open_concepts("broden")) == 6
