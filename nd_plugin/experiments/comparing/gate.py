"""Gate of a comparison: no layer may lose more than a share of the base's unique detectors.

Where both runs have counts by fold, a loss that other images of the same kind would explain is no
failure: the interval of NEW - SHARE * BASE has to lie below 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

from nd_plugin.comparison.compared_layers import ComparedLayer
from nd_plugin.errors import BadInput
from nd_plugin.significance.differences import Difference, difference_interval

UNIQUE = "unique detectors"
PER_CATEGORY = "unique detectors counted per category"
FEWEST_RESULTS = 2


@dataclass(frozen=True)
class GateCase:
    """One layer of the base and its counterpart."""

    base: str  # name of the result
    new: str
    layer: str  # in the base
    counted: str  # what the counts are of
    base_count: int
    new_count: int | None  # None where the new result has no such layer
    # of NEW - SHARE * BASE; None without folds
    difference: Difference | None = None
    failure: str = ""  # "" where the gate is passed
    remark: str = ""  # on how it was decided

    @property
    def share(self) -> float | None:
        """New count divided by the base's; None where that is 0, or there is no new one."""
        if self.new_count is None or not self.base_count:
            return None
        return self.new_count / self.base_count

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        content = asdict(self)
        if self.difference is not None:
            content["difference"]["interval"] = self.difference.interval.to_list()
        return {
            **content,
            "share": self.share,
            "failure": self.failure or None,
            "remark": self.remark or None,
            "passed": not self.failure,
        }


@dataclass(frozen=True)
class Gate:
    """All layers of a base against one or several new results."""

    fail_under: float
    cases: tuple[GateCase, ...]

    @property
    def failures(self) -> list[str]:
        """What is missed, a sentence for each case."""
        return [case.failure for case in self.cases if case.failure]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "fail_under": self.fail_under,
            "passed": not self.failures,
            "cases": [case.to_dict() for case in self.cases],
        }


def check_gate(
    results: Sequence[Sequence[ComparedLayer]], fail_under: float
) -> Gate:
    """Compare the layers of the first result with those of each other one.

    Layers of one name and quantile are compared; where a result and the base have one layer each,
    these are, whatever their names and quantiles. Tables tell no quantile, and go with any.

    Raises:
        BadInput: Fewer than two results, a share that is not between 0 and 1, or labels without
            IoU, which have no detectors.
    """
    if not 0 <= fail_under <= 1:
        raise BadInput(
            f"fail_under is {fail_under!r}; expected a share from 0 to 1"
        )
    if len(results) < FEWEST_RESULTS:
        raise BadInput("a gate needs a base and a new result: nd compare BASE NEW")
    base, *new_results = results
    cases = []
    for new in new_results:
        for layer in base:
            cases.append(
                _case(layer, _counterpart(layer, base, new), base, new, fail_under)
            )
    return Gate(fail_under, tuple(cases))


def _counterpart(
    layer: ComparedLayer,
    base: Sequence[ComparedLayer],
    new: Sequence[ComparedLayer],
) -> ComparedLayer | None:
    """Return the layer of the new result that a layer of the base is compared with."""
    if len(base) == 1 and len(new) == 1:
        return new[0]
    namesakes = [candidate for candidate in new if candidate.layer == layer.layer]
    quantile = layer.report.summary.quantile
    for candidate in namesakes:
        if None in (quantile, candidate.report.summary.quantile):
            return candidate
        if candidate.report.summary.quantile == quantile:
            return candidate
    return None


def _layer_name(layer: ComparedLayer, result: Sequence[ComparedLayer]) -> str:
    """Return the name of a layer, with its quantile where its result has several of it."""
    namesakes = [item for item in result if item.layer == layer.layer]
    quantile = layer.report.summary.quantile
    if len(namesakes) == 1 or quantile is None:
        return layer.layer
    return f"{layer.layer} τ {quantile:g}"


def _missing_text(base: ComparedLayer, result: Sequence[ComparedLayer]) -> str:
    """Return that a result has no counterpart of a layer of the base."""
    run = result[0].run
    if all(item.layer != base.layer for item in result):
        return f"{run} has no layer {base.layer!r}, which {base.run} has"
    quantile = base.report.summary.quantile
    return (
        f"{run} has layer {base.layer!r} at other quantiles than {quantile:g}, which "
        f"{base.run} has"
    )


def _case(
    base: ComparedLayer,
    new: ComparedLayer | None,
    base_layers: Sequence[ComparedLayer],
    result: Sequence[ComparedLayer],
    fail_under: float,
) -> GateCase:
    """Return the verdict on a layer; ``result`` are all layers of the new result."""
    name = _layer_name(base, base_layers)
    for layer in (base, *result):
        if not layer.has_detectors:
            raise BadInput(
                f"{layer.run} {layer.layer} has labels without IoU, and so no detectors: a gate "
                "needs results with IoU"
            )
    if new is None:
        run = result[0].run
        missing = _missing_text(base, result)
        counted, base_count, _ = _counts(base, base)
        return GateCase(
            base.run, run, name, counted, base_count, None, failure=missing
        )
    counted, base_count, new_count = _counts(base, new)
    difference = _difference(base, new, fail_under)
    base_name, new_name = _names(base, new)
    case = GateCase(
        base_name, new_name, name, counted, base_count, new_count, difference
    )
    verdict = replace(case, failure=_failure(case, fail_under))
    return replace(verdict, remark=_remark(base, new, verdict, fail_under))


def _names(base: ComparedLayer, new: ComparedLayer) -> tuple[str, str]:
    """Return the names of both runs, of layers of one run with the layer."""
    if base.run != new.run or base.layer == new.layer:
        return base.run, new.run
    return f"{base.run} {base.layer}", f"{new.run} {new.layer}"


def _counts(base: ComparedLayer, new: ComparedLayer) -> tuple[str, int, int]:
    """Return what is counted, and the counts of both: where one has no units, per category."""
    if base.unique_detectors is not None and new.unique_detectors is not None:
        return UNIQUE, base.unique_detectors, new.unique_detectors
    return PER_CATEGORY, base.unique_per_category or 0, new.unique_per_category or 0


def _difference(
    base: ComparedLayer, new: ComparedLayer, fail_under: float
) -> Difference | None:
    """Return the difference with its interval; None where a run has no counts by fold."""
    if not (_has_folds(base) and _has_folds(new)):
        return None
    assert base.dissection is not None
    assert new.dissection is not None
    return difference_interval(base.dissection, new.dissection, share=fail_under)


def _has_folds(layer: ComparedLayer) -> bool:
    return layer.dissection is not None and layer.dissection.folds is not None


def _is_under(case: GateCase, fail_under: float) -> bool:
    """Return whether the new count is less than the share of the base's, in exact arithmetic."""
    assert case.new_count is not None
    # 0.55 * 100 in floating point is more than 55
    return case.new_count < Fraction(str(fail_under)) * case.base_count


def _failure(case: GateCase, fail_under: float) -> str:
    """Return what is missed, "" for nothing."""
    if not case.base_count:
        return (
            f"{case.base} has no detectors in {case.layer}, and a bound on them says nothing; "
            "choose another layer, more images, or a lower --min-iou"
        )
    if not _is_under(case, fail_under):
        return ""
    if case.difference is not None and not case.difference.is_below_zero:
        return ""
    return (
        f"{case.new} has {case.new_count} {case.counted} in {case.layer}, and {case.base} "
        f"{case.base_count}: {case.share:.4g}, less than --fail-under {fail_under:g}"
        f"{_interval_text(case, fail_under)}"
    )


def _interval_text(case: GateCase, fail_under: float) -> str:
    """Return the interval of the difference in words, "" without one."""
    if case.difference is None:
        return ""
    interval = case.difference.interval
    return (
        f" (new - {fail_under:g} base is {case.difference.estimate:.4g}, in "
        f"{case.difference.level:.0%} of the cases from {interval.low:.4g} to {interval.high:.4g})"
    )


def _remark(
    base: ComparedLayer, new: ComparedLayer, case: GateCase, fail_under: float
) -> str:
    """Return how the case was decided, as far as it is not plain."""
    remarks = []
    if base.layer != new.layer:
        remarks.append(
            f"{base.layer} is compared with {new.layer}, the only layers"
        )
    quantiles = base.report.summary.quantile, new.report.summary.quantile
    if None not in quantiles and quantiles[0] != quantiles[1]:
        remarks.append(
            f"quantiles differ, {quantiles[0]:g} and {quantiles[1]:g}: masks are of different areas"
        )
    if case.counted == PER_CATEGORY:
        remarks.append("counted per category: one of them has counts without units")
    if case.difference is None:
        lacking = [layer.run for layer in (base, new) if not _has_folds(layer)]
        remarks.append(
            f"the plain ratio decides: {' and '.join(lacking)} without counts by fold "
            "(nd dissect --folds) have no interval"
        )
    elif not case.failure and _is_under(case, fail_under):
        remarks.append(
            f"{case.share:.4g} is less than {fail_under:g}, and within the interval"
            f"{_interval_text(case, fail_under)}"
        )
    if case.difference is not None and not case.difference.is_paired:
        remarks.append("the runs have other images or folds: the interval is wider")
    return "; ".join(remarks)
