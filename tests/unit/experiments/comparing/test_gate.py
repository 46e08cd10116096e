"""Gate of a comparison: plain ratios, intervals of runs with folds, layers that are missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from folded import AREA, folded
from published_files import DESCRIPTIONS, cells, write_summary, write_text

from nd_plugin import BadInput, Dissection
from nd_plugin.comparison.compared_layers import ComparedLayer
from nd_plugin.experiments.comparing.gate import Gate, check_gate
from nd_plugin.experiments.comparing.junit import junit_xml
from nd_plugin.experiments.comparing.results import read_results

FOLDS = 10
UNITS = 20
# |M ∩ L| in a fold for an IoU of 0.06 and of 0.02
ABOVE = round(0.06 / 1.06 * 2 * AREA)
BELOW = round(0.02 / 1.02 * 2 * AREA)


def compared(dissection: Dissection, run: str, layer: str = "") -> ComparedLayer:
    named = replace(dissection, layer=layer or dissection.layer)
    return ComparedLayer(replace(named.report(), run=run))


def with_detectors(dissection: Dissection, count: int) -> Dissection:
    """Return a dissection of which so many units are detectors, alike in every fold."""
    overlaps = np.full((FOLDS, UNITS), BELOW)
    overlaps[:, :count] = ABOVE
    return folded(dissection, overlaps)


def without_folds(dissection: Dissection, count: int) -> Dissection:
    return replace(with_detectors(dissection, count), folds=None)


def gate_of(base: Dissection, new: Dissection, fail_under: float) -> Gate:
    results = [[compared(base, "base")], [compared(new, "new")]]
    return check_gate(results, fail_under)


class TestPlainRatio:
    def test_decides_without_folds(self, dissection: Dissection) -> None:
        base = without_folds(dissection, 20)
        assert gate_of(base, without_folds(dissection, 19), 0.95).failures == []
        gate = gate_of(base, without_folds(dissection, 18), 0.95)
        (failure,) = gate.failures
        assert failure == (
            "new has 18 unique detectors in block.1/relu, and base 20: 0.9, less than "
            "--fail-under 0.95"
        )
        (case,) = gate.cases
        assert case.share == 0.9 and case.difference is None
        assert (
            "the plain ratio decides: base and new without counts by" in case.remark
        )

    def test_one_run_without_folds_is_named(self, dissection: Dissection) -> None:
        base, new = with_detectors(dissection, 20), without_folds(dissection, 20)
        (case,) = gate_of(base, new, 0.95).cases
        assert "the plain ratio decides: new without counts" in case.remark

    @pytest.mark.parametrize(
        ("fail_under", "passes"), [(0.55, True), (0.56, False)]
    )
    def test_is_exact(
        self, tmp_path: Path, fail_under: float, passes: bool
    ) -> None:
        # 0.55 * 100 is more than 55 in floating point
        assert 0.55 * 100 > 55
        detectors = np.array([[100, 100], [55, 55]])
        path = write_summary(
            tmp_path / "s.mat",
            networks_name=cells("a", "b"),
            layers_name=cells("conv5", "conv5"),
            concepts=cells("all", "object"),
            num_uniquedetectors=detectors,
            num_detectors=detectors,
            ratio_detectors=detectors / 128,
        )
        results = read_results([f"{path}:a", f"{path}:b"])
        gate = check_gate(results, fail_under)
        assert (not gate.failures) == passes
        (case,) = gate.cases
        assert (case.base, case.new) == ("a", "b")
        assert case.counted == "unique detectors counted per category"
        assert "counted per category: one of them has counts" in case.remark

    def test_a_base_without_detectors_fails(self, dissection: Dissection) -> None:
        nothing = without_folds(dissection, 0)
        (failure,) = gate_of(nothing, nothing, 0.95).failures
        assert "base has no detectors in block.1/relu, and a bound" in failure


class TestIntervals:
    def test_a_stable_loss_fails(self, dissection: Dissection) -> None:
        base, new = (with_detectors(dissection, count) for count in (20, 15))
        gate = gate_of(base, new, 0.95)
        (case,) = gate.cases
        assert case.difference is not None and case.difference.is_paired
        assert case.difference.estimate == pytest.approx(15 - 0.95 * 20)
        assert (
            "0.75, less than --fail-under 0.95 (new - 0.95 base is -4"
            in case.failure
        )
        assert case.remark == ""

    def test_a_loss_that_images_explain_passes(
        self, dissection: Dissection
    ) -> None:
        overlaps = np.full((FOLDS, UNITS), ABOVE)
        overlaps[:, 18:] = BELOW
        # ten units whose IoU of 0.042 comes from six of ten folds
        overlaps[:, :10] = 0
        overlaps[:6, :10] = round(0.042 / 1.042 * 2 * AREA * FOLDS / 6)
        base, new = with_detectors(dissection, 20), folded(dissection, overlaps)
        assert new.unique_detectors == 18
        gate = gate_of(base, new, 0.95)
        assert gate.failures == []
        (case,) = gate.cases
        assert "0.9 is less than 0.95, and within the interval" in case.remark
        plain = gate_of(replace(base, folds=None), new, 0.95)
        assert len(plain.failures) == 1, "without the interval it fails"

    def test_other_images_are_said(self, dissection: Dissection) -> None:
        base = with_detectors(dissection, 20)
        new = replace(base, image_names=("x", "y", "z", "w"))
        (case,) = gate_of(base, new, 0.95).cases
        assert not case.failure
        assert "other images or folds: the interval is wider" in case.remark


class TestLayers:
    def test_are_paired_by_name(self, dissection: Dissection) -> None:
        few, many = (without_folds(dissection, count) for count in (10, 20))
        base = [compared(many, "base", "a"), compared(few, "base", "b")]
        new = [compared(few, "new", "b"), compared(many, "new", "a")]
        gate = check_gate([base, new], 0.95)
        assert gate.failures == []
        assert [case.layer for case in gate.cases] == ["a", "b"]
        (missing,) = check_gate(
            [base, new[:1] + [compared(few, "new", "c")]], 0.9
        ).failures
        assert missing == "new has no layer 'a', which base has"

    def test_single_layers_are_paired_whatever_their_names(
        self, dissection: Dissection
    ) -> None:
        base = [compared(without_folds(dissection, 5), "base", "conv5")]
        new = [compared(without_folds(dissection, 5), "new", "features.10")]
        (case,) = check_gate([base, new], 0.95).cases
        assert "conv5 is compared with features.10, the only layers" in case.remark

    def test_of_one_run_are_named_with_it(self, dissection: Dissection) -> None:
        few, many = (without_folds(dissection, count) for count in (10, 20))
        base, new = compared(many, "run", "conv4"), compared(few, "run", "conv5")
        (failure,) = check_gate([[base], [new]], 0.95).failures
        assert (
            "run conv5 has 10 unique detectors in conv4, and run conv4 20"
            in failure
        )

    def test_of_several_quantiles_are_paired_by_quantile(
        self, dissection: Dissection
    ) -> None:
        def layers(run: str, counts: dict[float, int]) -> list[ComparedLayer]:
            dissections = []
            for quantile, count in counts.items():
                settings = replace(dissection.settings, quantile=quantile)
                one = without_folds(dissection, count)
                dissections.append(replace(one, settings=settings))
            return [compared(one, run) for one in dissections]

        base = layers("base", {0.005: 20, 0.01: 10})
        gate = check_gate([base, layers("new", {0.01: 10, 0.005: 20})], 1)
        assert not gate.failures
        names = [case.layer for case in gate.cases]
        assert names == ["block.1/relu τ 0.005", "block.1/relu τ 0.01"]
        # 20 detectors at another quantile would hide the loss of all of them
        (missing,) = check_gate([base, layers("new", {0.005: 20})], 0.95).failures
        assert missing == (
            "new has layer 'block.1/relu' at other quantiles than 0.01, which base has"
        )
        single = [layers("base", {0.005: 9}), layers("new", {0.04: 20})]
        (case,) = check_gate(single, 0.95).cases
        assert "quantiles differ, 0.005 and 0.04" in case.remark

    def test_several_new_results(self, dissection: Dissection) -> None:
        results = [
            [compared(without_folds(dissection, count), f"run{count}")]
            for count in (20, 20, 10)
        ]
        gate = check_gate(results, 0.95)
        assert [bool(case.failure) for case in gate.cases] == [False, True]

    def test_labels_without_iou_are_refused(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        clip = write_text(tmp_path / "clip.csv", DESCRIPTIONS)
        (labels,) = read_results([f"{clip}:layer2"])
        base = [compared(dissection, "base")]
        for results in ([base, labels], [labels, base]):
            with pytest.raises(
                BadInput, match="clip layer2 has labels without IoU"
            ):
                check_gate(results, 0.95)

    def test_what_makes_no_sense_is_refused(self, dissection: Dissection) -> None:
        base = [compared(dissection, "base")]
        with pytest.raises(BadInput, match="needs a base and a new result"):
            check_gate([base], 0.95)
        with pytest.raises(BadInput, match=r"fail_under is 1\.5; expected a share"):
            check_gate([base, base], 1.5)


class TestJUnit:
    def test_a_case_for_each_layer(self, dissection: Dissection) -> None:
        few, many = (without_folds(dissection, count) for count in (10, 20))
        base = [compared(many, "base", "a"), compared(few, "base", "b")]
        new = [compared(few, "new", "a"), compared(few, "new", "b")]
        root = ElementTree.fromstring(
            junit_xml(check_gate([base, new, base], 0.95))
        )
        assert root.tag == "testsuites"
        assert (root.get("tests"), root.get("failures")) == ("4", "1")
        suites = {suite.get("name"): suite for suite in root}
        assert suites.keys() == {"new", "base"}
        assert suites["new"].get("failures") == "1"
        cases = suites["new"].findall("testcase")
        assert [case.get("name") for case in cases] == ["a", "b"]
        failure = cases[0].find("failure")
        assert failure is not None and failure.text is not None
        assert "new has 10 unique detectors in a, and base 20: 0.5" in failure.text
        assert cases[1].find("failure") is None
        output = cases[1].find("system-out")
        assert output is not None
        assert "base 10, new 10 unique detectors" in str(output.text)

    def test_any_name_is_well_formed(self, dissection: Dissection) -> None:
        name = "a<b>&\"'\x00\x1b\ud800]]>ü"
        layer = compared(without_folds(dissection, 20), name, name)
        worse = compared(without_folds(dissection, 1), f"{name}2", name)
        root = ElementTree.fromstring(junit_xml(check_gate([[layer], [worse]], 1)))
        (case,) = root.iter("testcase")
        assert case.get("name") == "a<b>&\"'\ufffd\ufffd\ufffd]]>ü"


def test_json_has_plain_values(dissection: Dissection) -> None:
    gate = gate_of(
        with_detectors(dissection, 20), with_detectors(dissection, 15), 0.95
    )
    content = gate.to_dict()
    assert content["passed"] is False and content["fail_under"] == 0.95
    (case,) = content["cases"]
    assert case["base_count"] == 20 and case["new_count"] == 15
    assert case["share"] == 0.75 and case["passed"] is False
    low, high = case["difference"]["interval"]
    assert low <= case["difference"]["estimate"] <= high < 0
    assert case["remark"] is None
