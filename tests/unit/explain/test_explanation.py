"""Explanations: ranking, names, masks, ablation check; in terminals, as HTML, JSON and figure."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import Call
from rich.console import Console
from torch import Tensor, nn

from nd_plugin import (
    BadInput,
    Dissection,
    Explanation,
    Explanations,
    LayerDissection,
    NotSaved,
    Preprocess,
)
from nd_plugin.cli.explain import choose_dissection, parse_target
from nd_plugin.explain import explainer
from nd_plugin.explain.class_names import target_name
from nd_plugin.report.explanation_record import run_lengths
from nd_plugin.report.json_text import SCHEMA
from nd_plugin.report.mask_overlays import overlay

PLAIN = Preprocess(size=(32, 32), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
EVIL = "<script>alert('é & [bold]')</script>"


class Known(nn.Module):
    """Five units of known contribution: unit k is the mean brightness times k."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 8, 8, bias=False)
        self.conv.weight.data[:] = torch.arange(5.0).view(-1, 1, 1, 1) / 192
        self.seen = Call(lambda x: x)
        self.head = nn.Linear(5, 3)
        self.head.weight.data[:] = torch.tensor(
            [[1.0, 1, 1, 1, 1], [0, 0, -1, 0, 1], [1, 2, 0, 0, 0]]
        )
        self.head.bias.data[:] = torch.tensor([0.5, 0.0, -0.25])

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.seen(self.conv(x)).mean((2, 3)))


@pytest.fixture
def images() -> Tensor:
    """A bright upper left quarter; all grey."""
    pictures = torch.zeros(2, 3, 32, 32)
    pictures[0, :, :16, :16] = 1
    pictures[1] = 0.5
    return pictures


@pytest.fixture
def units(dissection: Dissection) -> LayerDissection:
    found = LayerDissection(Known(), "seen")
    named = [
        replace(concept, name=EVIL) if concept.name == "tail" else concept
        for concept in dissection.concepts
    ]
    found.dissection = replace(dissection, layer="seen", concepts=tuple(named))
    return found


class TestExplain:
    def test_the_predicted_class_by_default(
        self, units: LayerDissection, images: Tensor
    ) -> None:
        first, second = units.explain(images, top_k=2, preprocess=PLAIN)
        assert units.contribution == "linear" and first.contribution == "linear"
        assert (first.target, first.predicted, second.target) == (0, "class 0", 0)
        assert first.output == pytest.approx(
            0.25 * 10 + 0.5
        ) and second.output == pytest.approx(0.5 * 10 + 0.5)
        assert [unit.unit for unit in first.units] == [4, 3]
        assert [unit.contribution for unit in second.units] == pytest.approx(
            [2.0, 1.5], abs=1e-4
        )
        assert second.bias == 0.5
        assert second.check is not None
        assert second.check.predicted == pytest.approx(
            3.5
        ) and second.check.measured == pytest.approx(3.5)
        assert abs(second.check.error) < 1e-5

    def test_any_other_class(self, units: LayerDissection, images: Tensor) -> None:
        (found, _) = units.explain(
            images,
            [2, 1],
            classes=["kitchen", "garden", "street"],
            preprocess=PLAIN,
        )
        assert found.name == "street" and found.predicted == "kitchen"
        assert [unit.unit for unit in found.units][:1] == [1], (
            "2 * 1 / 4 is the most"
        )
        assert found.bias == -0.25
        garden = units.explain(images[:1], 1, top_k=5)[0]
        assert [unit.unit for unit in garden.units] == [4, 0, 1, 3, 2], (
            "against comes last, ties by number"
        )
        assert garden.units[-1].contribution == pytest.approx(-0.5, abs=1e-4)

    def test_names_come_from_the_dissection(
        self, units: LayerDissection, images: Tensor
    ) -> None:
        found = {
            unit.unit: unit for unit in units.explain(images, top_k=5)[0].units
        }
        assert (found[2].concept, found[2].category, found[2].detector) == (
            "cat",
            "object",
            True,
        )
        assert (found[4].concept, found[4].detector) == ("cat", False) and found[
            4
        ].iou > 0
        assert (found[3].concept, found[3].category, found[3].iou) == (
            "",
            "",
            0.0,
        ), "its masks overlap nothing"
        only = units.explain(images, top_k=5, detectors_only=True)[0]
        assert [unit.unit for unit in only.units] == [2, 1, 0]

    def test_masks(self, units: LayerDissection, images: Tensor) -> None:
        found = units.explain(images, top_k=1, image_quantile=0.25)[0].units[0]
        expected = np.zeros((32, 32), bool)
        expected[:20, :20] = (
            True  # above 0: up to the centre of the first dark cell, pixel 19.5
        )
        assert np.array_equal(found.mask, expected)
        # the four brightest cells of sixteen are more than 0.2 of them: half way to the dark ones
        saturated = units.explain(images, top_k=1)[0].units[0].mask
        assert (
            saturated[:12, :12].all()
            and saturated[15, 11]
            and not saturated[16:].any()
            and not saturated[:, 16:].any()
        )
        absolute = units.explain(images, top_k=5, mask="dissection")[1].units
        assert {unit.unit: unit.mask.mean() for unit in absolute} == {
            0: 0,
            1: 1,
            2: 1,
            3: 1,
            4: 1,
        }, "0 is not above 1.5"

    def test_other_kinds(self, units: LayerDissection, images: Tensor) -> None:
        for kind in ("gradient", "ablation"):
            found = units.explain(images, contribution=kind)[1]
            assert found.contribution == kind and found.bias is None
            assert [unit.contribution for unit in found.units] == pytest.approx(
                [2.0, 1.5, 1.0, 0.5, 0.0], abs=1e-5
            )
        with pytest.raises(
            BadInput,
            match=r"'activation' does not explain an output; "
            r"possible are linear, gradient, ablation$",
        ):
            units.explain(images, contribution="activation")

    def test_the_check_finds_what_gradients_do_not_see(
        self, dissection: Dissection, images: Tensor
    ) -> None:
        model = Known()
        capped = nn.Sequential(model, nn.Hardtanh(-2, 2))
        units = LayerDissection(capped, "0.seen")
        units.dissection = replace(dissection, layer="0.seen")
        found = units.explain(images, 0, top_k=1)[1]
        assert found.contribution == "gradient" and found.check is not None
        # 5.5 is beyond the cap, and so is 3.5
        assert found.check.predicted == 0.0 and found.check.measured == 0.0
        found = units.explain(images, 0, top_k=5)[1]
        assert (
            found.check is not None
            and found.check.measured == pytest.approx(1.5)
            and found.check.error < -1
        )

    def test_a_single_output_needs_no_target(
        self, dissection: Dissection, images: Tensor
    ) -> None:
        one = nn.Sequential(Known(), Call(lambda x: x[:, :1]))
        units = LayerDissection(one, "0.seen")
        units.dissection = replace(dissection, layer="0.seen")
        found = units.explain(images)[0]
        assert (
            found.target is None
            and found.name == "output"
            and found.predicted == ""
        )

    @pytest.mark.parametrize(
        "classes",
        [["kitchen", "garden", "street"], {2: "street", 1: "garden"}],
    )
    def test_targets_by_the_names_of_classes(
        self, units: LayerDissection, images: Tensor, classes: Any
    ) -> None:
        for by_name, by_number in [
            ("street", 2),
            (["street", "garden"], [2, 1]),
        ]:
            named = units.explain(images, by_name, classes=classes)
            expected = units.explain(images, by_number, classes=classes)
            assert named.to_json() == expected.to_json()
            assert named[0].name == "street"

    def test_a_saved_run(
        self,
        units: LayerDissection,
        images: Tensor,
        tmp_path: Path,
        dissection: Dissection,
    ) -> None:
        from nd_plugin.results.run_folder import save_run

        expected = units.explain(images)[0].to_dict()
        save_run(tmp_path / "run", [dissection, units.dissection])  # type: ignore[list-item]
        tomorrow = LayerDissection(Known(), "seen")
        tomorrow.dissection = tmp_path / "run"
        assert tomorrow.explain(images)[0].to_dict() == expected
        assert (
            isinstance(tomorrow.dissection, list) and len(tomorrow.dissection) == 2
        )

    def test_other_weights_are_noted(
        self, units: LayerDissection, images: Tensor
    ) -> None:
        (note,) = units.explain(images, preprocess=PLAIN)[0].notes
        assert "a model with other weights (fingerprint abc" in note

    def test_what_cannot_be_explained(
        self, units: LayerDissection, images: Tensor
    ) -> None:
        for arguments, message in [
            ({"top_k": 0}, "top_k is 0; it must be at least 1"),
            ({"mask": "none"}, "mask 'none' is neither 'image' nor 'dissection'"),
            (
                {"classes": ["one"], "target": 2},
                "class 2 has no name: 1 names were given",
            ),
        ]:
            with pytest.raises(BadInput, match=message):
                units.explain(images, **arguments)  # type: ignore[arg-type]
        with pytest.raises(BadInput, match="is one image: expected a batch"):
            units.explain(images[0], 0)
        with pytest.raises(BadInput, match="is one image: expected a batch"):
            units.segment(images[0], 0)
        with pytest.raises(BadInput, match="no dissection: run dissect"):
            LayerDissection(Known(), "seen").explain(images)
        with pytest.raises(BadInput, match="explain takes one layer at a time"):
            LayerDissection(Known(), ["seen", "conv"]).explain(images)

    def test_no_images(self, units: LayerDissection) -> None:
        assert len(units.explain(torch.zeros(0, 3, 32, 32), 0)) == 0


def shown(what: Any, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(what)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


class TestShown:
    @pytest.fixture
    def found(self, units: LayerDissection, images: Tensor) -> Explanations:
        return units.explain(
            images,
            classes=["kitchen", "garden", "[red]x"],
            target=[0, 2],
            preprocess=PLAIN,
        )

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_in_the_terminal(self, found: Explanations, width: int) -> None:
        text = shown(found, width)
        lines = text.splitlines()
        assert max(map(len, lines)) <= width and "…" not in text
        assert lines[0].startswith("kitchen  3 ") and any(
            line.startswith("[red]x") for line in lines
        )
        assert "predicted      kitchen" in text and "(no concept)" in text
        flat = " ".join(text.split())
        assert (
            "Together these units contribute +2.5 of 3 (the head's bias is +0.5)."
            in flat
        )
        assert (
            "Ablation check: zeroing these units changes the output by -2.5 (predicted -2.5)."
            in flat
        )

    def test_no_word_is_cut_in_a_narrow_terminal(self, found: Explanations) -> None:
        lines = [line.rstrip() for line in shown(found[0], 40).splitlines()]
        assert max(map(len, lines)) <= 40
        words = " ".join(lines).replace(",", " ").replace(":", " ").split()
        numbers = ("+0.75", "30.0%")
        for word in ("(no", "concept)", "unit", "IoU", "contribution", *numbers):
            assert word in words, word

    def test_names_are_no_markup(self, found: Explanations) -> None:
        assert EVIL in shown(found, 120)

    def test_as_html(self, found: Explanations) -> None:
        page = found.to_html()
        seen: list[tuple[str, dict[str, str | None]]] = []

        class Reader(HTMLParser):
            def handle_starttag(
                self, tag: str, attributes: list[tuple[str, str | None]]
            ) -> None:
                seen.append((tag, dict(attributes)))

        Reader().feed(page)
        pictures = [
            attributes["src"] or "" for tag, attributes in seen if tag == "img"
        ]
        assert len(pictures) == 12 and all(
            source.startswith("data:image/jpeg;base64,") for source in pictures
        )
        links = [attributes["href"] for tag, attributes in seen if tag == "link"]
        assert links == ["data:,"], "nothing is fetched"
        assert "script" not in {tag for tag, _ in seen}
        assert "&lt;script&gt;" in page
        assert page.startswith("<!doctype html>") and "kitchen" in page

    def test_as_json(self, found: Explanations) -> None:
        (first, *_) = json.loads(found.to_json())["explanations"]
        assert {"schema": SCHEMA, **first} == json.loads(found[0].to_json())
        assert (
            first["target"] == 0
            and first["units"][0]["unit"] == 4
            and first["check"]["error"] < 1e-5
        )
        assert set(first["check"]) == {"predicted", "measured", "error"}
        mask = first["units"][0]["mask"]
        assert mask["size"] == [32, 32]
        assert decoded(**mask) == found[0].units[0].mask.tolist()

    def test_images_come_back_as_they_were(
        self, found: Explanations, units: LayerDissection, images: Tensor
    ) -> None:
        assert (
            found[0].image[:16, :16].min() == 255 and found[0].image[16:].max() == 0
        )
        assert np.isin(found[1].image, (127, 128)).all()
        stretched = units.explain(images[:1] * 50 - 10, preprocess=PLAIN)[0].image
        assert np.array_equal(stretched, found[0].image)

    def test_files(self, found: Explanations, tmp_path: Path) -> None:
        path = tmp_path / "why.html"
        folder = tmp_path / "folder"
        for shown in (found, found[0]):
            text = shown.to_json(path)
            assert text == shown.to_json() == path.read_text(encoding="utf-8")
            # a notebook would display what is returned
            assert shown.to_html(path) is None
            assert path.read_text(encoding="utf-8") == shown.to_html()
            assert shown.to_html(folder) is None
            assert (folder / "index.html").read_bytes() == path.read_bytes()
        with pytest.raises(NotSaved, match="cannot be written"):
            found.to_html(path / "below a file.html")

    def test_sequences(self, found: Explanations) -> None:
        assert (
            isinstance(found[0], Explanation)
            and isinstance(found[1:], Explanations)
            and len(found[1:]) == 1
        )
        assert repr(found[0]).startswith(
            "Explanation(kitchen: 3; 4 (cat) +1,"
        ) and repr(found).startswith("Explanations([")


def test_layer_and_quantile_of_a_run(
    dissection: Dissection, capsys: pytest.CaptureFixture[str]
) -> None:
    at = [
        replace(dissection, settings=replace(dissection.settings, quantile=tau))
        for tau in (0.01, 0.2)
    ]
    other = replace(dissection, layer="last")
    run = Path("a")
    assert choose_dissection([*at, other], dissection.layer, 0.2, run) is at[1]
    assert (
        choose_dissection([*at, other], None, None, run) is other
        and "last, the last layer" in capsys.readouterr().err
    )
    assert choose_dissection(at, dissection.layer, None, run) is at[0]
    assert (
        "at quantile 0.01, the first of the run; --quantile chooses another"
        in capsys.readouterr().err
    )
    with pytest.raises(
        BadInput, match=r"the run a has no quantile 0\.3; it has 0\.01, 0\.2"
    ):
        choose_dissection(at, None, 0.3, run)
    with pytest.raises(
        BadInput,
        match=f"the run a has no layer 'x'; it has {dissection.layer}, last",
    ):
        choose_dissection([*at, other], "x", None, run)


@pytest.mark.parametrize(
    ("text", "target"),
    [(None, None), ("3", 3), ("-1", -1), ("1,2", (1, 2)), ("cat", 1)],
)
def test_targets(text: str | None, target: object) -> None:
    assert parse_target(text, ["dog", "cat"]) == target


@pytest.mark.parametrize(("text", "classes", "said"), [
    ("cat", None, "target 'cat' is not a number; to use class names, .* --classes FILE"),
    ("cut", ["cat"], "no class 'cut'; the nearest are cat"),
    ("1,cat", ["cat"], "target '1,cat' is not a number"),
])  # fmt: skip
def test_targets_that_are_none(
    text: str, classes: list[str] | None, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        parse_target(text, classes)


def decoded(size: list[int], counts: list[int]) -> list[list[bool]]:
    """Decode COCO's uncompressed run lengths pixel by pixel: column by column, zeros first."""
    rows, columns = size
    mask = [[False] * columns for _ in range(rows)]
    pixel = 0
    value = False
    for count in counts:
        for _ in range(count):
            column, row = divmod(pixel, rows)
            mask[row][column] = value
            pixel += 1
        value = not value
    assert pixel == rows * columns, "the counts cover every pixel"
    return mask


def test_run_lengths() -> None:
    assert run_lengths(np.array([[True, False, False], [True, True, False]])) == [
        0,
        2,
        1,
        1,
        2,
    ]
    assert run_lengths(np.zeros((2, 3), bool)) == [6]
    assert run_lengths(np.ones((2, 3), bool)) == [0, 6]
    assert all(type(count) is int for count in run_lengths(np.eye(3, dtype=bool)))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (5, 8), (32, 17)])
def test_run_lengths_are_decoded_column_by_column(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    for fraction in (0.0, 0.1, 0.5, 1.0):
        mask = random.random(size) < fraction
        assert decoded(list(size), run_lengths(mask)) == mask.tolist()
        transposed = mask.T  # not contiguous in memory
        assert (
            decoded(list(transposed.shape), run_lengths(transposed))
            == transposed.tolist()
        )


def test_reports_need_neither_torch_nor_matplotlib() -> None:
    modules = "nd_plugin.report.explanations, nd_plugin.report.explanation_record"
    code = f"import sys, {modules}; print({{'torch', 'captum', 'matplotlib'}} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_overlay() -> None:
    image = np.full((5, 5, 3), 200, np.uint8)
    mask = np.zeros((5, 5), bool)
    mask[1:4, 1:4] = True
    drawn = overlay(image, mask)
    assert (
        (drawn[2, 2] == 200).all()
        and (drawn[0, 0] == 80).all()
        and drawn[1, 2].tolist() == [255, 210, 0]
    )
    assert (image == 200).all()


class TestChecksBeforeWork:
    """Errors that need no contributions are raised before any are computed."""

    @pytest.fixture(autouse=True)
    def no_contributions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*arguments: Any, **options: Any) -> None:
            raise AssertionError("contributions were computed")

        monkeypatch.setattr(explainer, "contribute", fail)

    @pytest.mark.parametrize(
        ("kind", "message"),
        [
            ("activation", "does not explain an output"),
            ("shapley", "contribution 'shapley' is none of auto, linear, gradient"),
        ],
    )
    def test_kind(
        self,
        units: LayerDissection,
        images: Tensor,
        kind: str,
        message: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(explainer, "LayerPass", None)  # not even a forward pass
        with pytest.raises(BadInput, match=message):
            units.explain(images, contribution=kind)

    def test_number_of_units(self, dissection: Dissection, images: Tensor) -> None:
        model = Known()
        units = LayerDissection(model, "head")
        units.dissection = replace(dissection, layer="head")
        with pytest.raises(BadInput, match="has 5 units, and layer 'head' has 3"):
            units.explain(images, 0)

    def test_image_quantile(self, units: LayerDissection, images: Tensor) -> None:
        with pytest.raises(BadInput, match=r"image_quantile 1\.5 is not between"):
            units.explain(images, image_quantile=1.5)

    def test_class_of_the_target(
        self, units: LayerDissection, images: Tensor
    ) -> None:
        with pytest.raises(
            BadInput, match="class 2 has no name: 1 names were given"
        ):
            units.explain(images, [0, 2], classes=["kitchen"])


class TestClassNames:
    def test_a_predicted_class_without_a_name_is_a_number(
        self, units: LayerDissection, images: Tensor
    ) -> None:
        explanation = units.explain(images, 2, classes={2: "street"})[0]
        assert (explanation.name, explanation.predicted) == ("street", "class 0")
        explanation = units.explain(images, classes={2: "street"})[0]
        assert (explanation.name, explanation.predicted) == ("class 0", "class 0")

    @pytest.mark.parametrize(
        ("target", "name"),
        [
            (None, "output"),
            (1, "garden"),
            (-1, "street"),
            (np.int64(1), "garden"),
            ((1,), "garden"),
            (True, "True"),
            ((1, 2), "(1, 2)"),
        ],
    )
    def test_within_a_tensor(self, target: Any, name: str) -> None:
        outputs = torch.zeros(1, 3)
        assert target_name(outputs, target, ["kitchen", "garden", "street"]) == name

    @pytest.mark.parametrize(
        ("target", "name"),
        [
            (("logits", 1), "garden"),
            (("depth", 0, 1), "('depth', 0, 1)"),
            ("logits", "logits"),
        ],
    )
    def test_within_a_dict(self, target: Any, name: str) -> None:
        outputs = {"logits": torch.zeros(1, 3), "depth": torch.zeros(1, 2, 2)}
        assert target_name(outputs, target, ["kitchen", "garden", "street"]) == name
