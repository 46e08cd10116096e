"""Tables of the experiment in Markdown: means and standard deviations over the seeds."""

from __future__ import annotations

from collections.abc import Sequence

from nd_plugin import Dissection
from nd_plugin.experiments.spread import Spread, unique_spread
from reproduce.dissections import ALL_LAYERS, COLOR_QUANTILE, QUANTILES, ROTATED
from reproduce.measures import MeasuredNetwork, Measures, chance_level
from reproduce.trainings import CONDITIONS, SUPERVISIONS, TUNED, VARIANTS

Row = Sequence[str]


def tables_text(measures: Measures) -> str:
    """Return all tables."""
    sections = {
        "Networks": networks_table(measures),
        "Unique detectors by category": categories_table(measures),
        "Emergence": emergence_table(measures),
        "Level of chance": chance_table(measures),
        "Rotation": rotation_table(measures),
        "Differences from the baseline, seed by seed": differences_table(measures),
        "Fine-tuning": tuning_table(measures),
        "Colour detectors": colors_table(measures),
        "Accuracy against detectors": accuracy_table(measures),
    }
    return "\n".join(f"## {name}\n\n{table}" for name, table in sections.items())


def networks_table(measures: Measures) -> str:
    """Return score, detectors and linear accuracy of each variant."""
    rows = []
    for variant, networks in measures.networks.items():
        score = measures.spread(variant, lambda network: network.score)
        accuracy = measures.spread(variant, lambda network: network.accuracy)
        rows.append(
            (
                variant,
                networks[0].record.score_name,
                spread_text(score, 3),
                _counts(measures, variant, "unique_detectors"),
                _counts(measures, variant, "unique_detectors_per_category"),
                _counts(measures, variant, "detectors"),
                str(networks[0].summary.units),
                spread_text(accuracy, 3),
            )
        )
    headers = (
        "network",
        "score",
        "of its own task",
        "unique detectors",
        "per category",
        "detectors",
        "units",
        "linear accuracy, scenes",
    )
    return markdown(headers, rows)


def _counts(measures: Measures, variant: str, name: str) -> str:
    networks = measures.networks[variant]
    counts = [getattr(network.summary, name) for network in networks]
    return spread_text(Spread.of(counts))


def categories_table(measures: Measures) -> str:
    """Return the unique detectors of each category, of untrained networks too."""
    categories = measures.untrained[0].categories
    groups = {"untrained": list(measures.untrained)}
    for variant, networks in measures.networks.items():
        groups[variant] = [network.dissection for network in networks]
    rows = []
    for name, group in groups.items():
        cells = [spread_text(_unique(group, category)) for category in categories]
        rows.append((name, *cells))
    return markdown(("network", *categories), rows)


def _unique(dissections: Sequence[Dissection], category: str) -> Spread:
    return unique_spread([item.summary() for item in dissections], category)


def emergence_table(measures: Measures) -> str:
    """Return unique detectors of the baseline over its training."""
    networks = measures.networks[ALL_LAYERS]
    categories = measures.untrained[0].categories
    rows = []
    for stage, step in enumerate(networks[0].record.scores):
        group = [network.stages[stage] for network in networks]
        scores = Spread.of([network.record.scores[step] for network in networks])
        unique = Spread.of([item.unique_detectors for item in group])
        by_category = [
            spread_text(_unique(group, category)) for category in categories
        ]
        rows.append(
            (str(step), spread_text(scores, 3), spread_text(unique), *by_category)
        )
    return markdown(
        ("iteration", "accuracy", "unique detectors", *categories), rows
    )


def chance_table(measures: Measures) -> str:
    """Return detectors beside those that permuted annotations give, over the seeds."""
    rows = []
    for name, group in measures.chance.items():
        levels = [chance_level(dissection) for dissection in group]
        detectors = [dissection.summary().detectors for dissection in group]
        unique = [dissection.unique_detectors for dissection in group]
        by_chance = [level.detectors.mean for level in levels]
        unique_by_chance = [level.unique_detectors.mean for level in levels]
        rates = [level.false_discovery_rate for level in levels]
        columns = (detectors, by_chance, unique, unique_by_chance)
        cells = [spread_text(Spread.of(values)) for values in columns]
        rows.append((name, *cells, spread_text(Spread.of(rates), 2)))
    headers = (
        "network",
        "detectors",
        "by chance",
        "unique",
        "unique by chance",
        "false-discovery rate",
    )
    return markdown(headers, rows)


def rotation_table(measures: Measures) -> str:
    """Return unique detectors over α, and the share that is left of those at α = 0."""
    rows = []
    for alpha in measures.alphas:
        cells = [f"{alpha:g}"]
        for variant in ROTATED:
            unique = measures.rotated_unique(variant, alpha)
            own = measures.rotated_unique(variant, 0.0)
            cells += [spread_text(unique), f"{unique.mean / own.mean:.0%}"]
        rows.append(tuple(cells))
    accuracies = ["accuracy, own basis"]
    rotated = ["accuracy, rotated"]
    for variant in ROTATED:
        own_accuracy = measures.spread(variant, lambda network: network.accuracy)
        accuracies += [spread_text(own_accuracy, 3), ""]
        rotated += [spread_text(measures.rotated_accuracy(variant), 3), ""]
    headers = ["α"]
    for variant in ROTATED:
        headers += [variant, "left"]
    return markdown(headers, [*rows, accuracies, rotated])


def differences_table(measures: Measures) -> str:
    """Return differences of unique detectors from the baseline, with the interval of their mean."""
    rows = []
    for name, variant in CONDITIONS.items():
        if variant == ALL_LAYERS:
            continue
        difference = measures.difference(variant, ALL_LAYERS, _unique_detectors)
        rows.append((name, spread_text(difference), interval_text(difference)))
    return markdown(("", "difference", "interval of 95 % (Student's t)"), rows)


def _unique_detectors(network: MeasuredNetwork) -> float:
    return network.summary.unique_detectors


def tuning_table(measures: Measures) -> str:
    """Return how many units kept their concept, of the detectors before and after."""
    rows = []
    for variant in TUNED:
        transitions = [network.transition for network in measures.networks[variant]]
        kept = sum(len(item.kept) for item in transitions)
        of_both = sum(item.of_both for item in transitions)
        shares = [item.share_kept for item in transitions]
        known_shares = [share for share in shares if share is not None]
        lost = Spread.of([len(item.lost) for item in transitions])
        gained = Spread.of([len(item.gained) for item in transitions])
        rows.append(
            (
                VARIANTS[variant],
                f"{kept} of {of_both}",
                spread_text(Spread.of(known_shares), 3) if known_shares else "–",
                spread_text(lost),
                spread_text(gained),
            )
        )
    headers = ("", "kept, all seeds", "share kept", "lost", "gained")
    return markdown(headers, rows)


def colors_table(measures: Measures) -> str:
    """Return unique colour detectors at each τ."""
    rows = []
    for name, variant in SUPERVISIONS.items():
        groups = [measures.at_quantile(variant, quantile) for quantile in QUANTILES]
        cells = [spread_text(_unique(group, "color")) for group in groups]
        at_color_quantile = measures.at_quantile(variant, COLOR_QUANTILE)
        names = [_detected_colors(dissection) for dissection in at_color_quantile]
        rows.append((name, *cells, "; ".join(names)))
    quantiles = [f"τ = {quantile:g}" for quantile in QUANTILES]
    by_seed = f"which, seed by seed, at τ = {COLOR_QUANTILE:g}"
    return markdown(("trained for", *quantiles, by_seed), rows)


def _detected_colors(dissection: Dissection) -> str:
    """Return the names of the colours that units detect."""
    colors = {
        score.concept.removesuffix("-c")
        for score in dissection.detectors()
        if score.category == "color"
    }
    return ", ".join(sorted(colors)) or "none"


def accuracy_table(measures: Measures) -> str:
    """Return correlations of the linear accuracy with unique detectors, over all networks."""
    rows = []
    for category in ("object", "all"):
        points = measures.accuracy_points(category)
        rows.append(
            (
                f"unique detectors, {category}",
                str(len(points.points)),
                _correlation_text(points.pearson),
                _correlation_text(points.spearman),
            )
        )
    return markdown(("", "networks", "Pearson", "Spearman"), rows)


def _correlation_text(correlation: float | None) -> str:
    return "–" if correlation is None else f"{correlation:.2f}"


def spread_text(spread: Spread, digits: int = 1) -> str:
    """Return a mean with its standard deviation over repeats, where there are several."""
    mean = f"{spread.mean:.{digits}f}"
    deviation = spread.deviation
    return mean if deviation is None else f"{mean} ± {deviation:.{digits}f}"


def interval_text(difference: Spread) -> str:
    """Return the interval of 95 % of a mean difference, which may be negative."""
    if difference.interval is None:
        return "–"
    low, high = difference.interval
    return f"{low:.1f} to {high:.1f}"


def markdown(headers: Sequence[str], rows: Sequence[Row]) -> str:
    """Return a table: the first column to the left, numbers to the right."""
    alignment = ("---", *("---:" for _ in headers[1:]))
    lines = [" | ".join(cells) for cells in (headers, alignment, *rows)]
    return "".join(f"| {line} |\n" for line in lines)
