"""Tables of a study in Markdown, from the JSON files that study.sh leaves: tables.py OUT."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median_low
from typing import Any

SETS = ("camvid", "shapes")
NETWORKS = ("lite0", "lite0-features", "lite1", "lite2")


def contents(folder: Path, kind: str) -> Iterator[tuple[str, str, Any]]:
    """Yield set, network and content of the files of a kind."""
    for name in SETS:
        for network in NETWORKS:
            file = folder / f"{name}-{network}-{kind}.json"
            if file.is_file():
                yield name, network, json.loads(file.read_text())


def table(headers: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def interval(layer: dict[str, Any], name: str) -> str:
    """Return a count with its interval."""
    low, high = layer["intervals"][name]
    return f"{layer[name]} ({low}-{high})"


def by_category(layer: dict[str, Any]) -> str:
    """Return the unique detectors of each category that has any."""
    counts = layer["unique_detectors_by_category"]
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)


def layers(folder: Path) -> str:
    """Return a row for each layer: counts with intervals, chance, stability of names."""
    rows = []
    for name, network, content in contents(folder, "layers"):
        for layer in content["layers"]:
            chance = layer["chance"]
            detectors = [unit for unit in layer["unit_scores"] if unit["detector"]]
            stability = [unit["stability"] for unit in detectors]
            rows.append(
                [
                    name,
                    network,
                    f"`{layer['layer']}`",
                    str(layer["units"]),
                    interval(layer, "unique_detectors"),
                    interval(layer, "detectors"),
                    f"{chance['detectors']['mean']:.1f}",
                    f"{chance['false_discovery_rate']:.2f}",
                    f"{median_low(stability):.2f}" if stability else "",
                    by_category(layer),
                ]
            )
    headers = [
        "set",
        "network",
        "layer",
        "units",
        "unique",
        "detectors",
        "by chance",
        "FDR",
        "stability",
        "unique by category",
    ]
    return table(headers, rows)


def thresholds(folder: Path) -> str:
    """Return a row for each network and quantile."""
    rows = []
    references = set()
    for name, network, content in contents(folder, "thresholds"):
        for sweep in content["quantile_sweeps"]:
            references.add(f"{sweep['reference']:g}")
            for point in sweep["points"]:
                low, high = point["intervals"]["unique_detectors"]
                rows.append(
                    [
                        name,
                        network,
                        f"{point['quantile']:g}",
                        f"{point['unique_detectors']} ({low}-{high})",
                        f"{point['chance_unique_detectors']:.1f}",
                        str(point["detectors"]),
                        f"{point['chance_detectors']:.1f}",
                        f"{point['median_iou']:.4f}",
                        f"{point['kept_labels']}/{sweep['units']}",
                        str(point["best_units"]),
                    ]
                )
    headers = [
        "set",
        "network",
        "τ",
        "unique",
        "by chance",
        "detectors",
        "by chance",
        "median IoU",
        f"label of τ {', '.join(sorted(references))}",
        "best IoU here",
    ]
    return table(headers, rows)


def rotations(folder: Path) -> str:
    """Return a row for each network and degree of rotation."""
    rows = []
    for name, network, content in contents(folder, "rotation"):
        for point in content["points"]:
            unique = point["unique_detectors"]
            units = f"`{content['layer']}`, {content['units']} units"
            spread = "" if unique["sd"] is None else f" ± {unique['sd']:.1f}"
            rows.append(
                [
                    name,
                    network.removesuffix("-features"),
                    units,
                    f"{point['alpha']:g}",
                    f"{unique['mean']:.1f}{spread}",
                    f"{point['detectors']['mean']:.1f}",
                ]
            )
    headers = ["set", "network", "layer", "α", "unique", "detectors"]
    return table(headers, rows)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    text = "\n".join([layers(target), thresholds(target), rotations(target)])
    sys.stdout.write(text)
