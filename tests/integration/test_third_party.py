"""Other people's distributions beside ours, as a user meets them: mostly in a new process."""

from __future__ import annotations

import csv
import json
import os
import pickle
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import distribution, version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from nd_plugin import (
    ConceptSet,
    Dissection,
    LayerDissection,
    open_concepts,
    open_model,
)
from nd_plugin.cli.app import main
from nd_plugin.testing import check_backend, check_concept_set

EXAMPLES = Path(__file__).parents[2] / "examples"
OURS = f"nd_plugin {version('nd_plugin')}"
OTHER_SHAPES = """
from nd_plugin import ConceptSetSpec, hookimpl

@hookimpl
def nd_concept_sets():
    return [ConceptSetSpec("shapes", "other shapes", "nd_other_shapes:Shapes")]
"""


def install(
    site: Path, project: str, points: Mapping[str, str], modules: Mapping[str, str]
) -> None:
    """Write what pip would leave in ``site``: modules, and metadata with the entry points."""
    information = site / f"{project}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n"
    )
    lines = [f"{name} = {module}" for name, module in points.items()]
    (information / "entry_points.txt").write_text(
        "\n".join(["[nd_plugin]", *lines, ""])
    )
    for name, source in modules.items():
        (site / f"{name}.py").write_text(source)


def nd(
    folder: Path, path: list[Path], *arguments: str, blocked: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run ``nd`` in ``folder`` with ``path`` in front of what is installed."""
    folders = [*map(str, path), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(folders),
        "ND_PLUGIN_DISABLE": blocked,
    }
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-m", "nd_plugin", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def joined(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A broken distribution, one that offers what we offer, one that must not be imported."""
    place = tmp_path / "site"
    install(
        place,
        "nd_brittle",
        {"brittle": "nd_brittle"},
        {"nd_brittle": "import a_library_that_is_missing"},
    )
    install(
        place,
        "nd_other_shapes",
        {"other": "nd_other_shapes"},
        {"nd_other_shapes": OTHER_SHAPES},
    )
    install(
        place,
        "nd_leaver",
        {"leaver": "nd_leaver"},
        {"nd_leaver": "raise SystemExit('imported')"},
    )
    return place


def test_plugins_names_the_broken_the_conflicting_and_the_blocked(
    site: Path, tmp_path: Path
) -> None:
    done = nd(tmp_path, [site], "plugins", blocked="leaver")
    assert (done.returncode, done.stderr) == (0, "")
    listed = joined(done.stdout)
    assert "brittle nd_brittle 1.0 broken" in listed
    assert "leaver nd_leaver 1.0 blocked" in listed
    assert "other nd_other_shapes 1.0 conflict concept set shapes" in listed
    assert f"shapes {OURS} conflict concept set shapes" in listed
    assert f"torch {OURS} loaded backend torch" in listed
    assert (
        "! plugin 'brittle' of nd_brittle 1.0: ModuleNotFoundError: No module named 'a_library_that"
        in listed
    )
    assert (
        "! plugin 'leaver' of nd_leaver 1.0: blocked by ND_PLUGIN_DISABLE" in listed
    )
    assert (
        f"! plugin 'other' of nd_other_shapes 1.0: concept set shapes also comes from {OURS}"
        in listed
    )
    assert (
        f"! plugin 'shapes' of {OURS}: concept set shapes also comes from nd_other_shapes 1.0"
        in listed
    )


def test_plugins_as_json(site: Path, tmp_path: Path) -> None:
    done = nd(tmp_path, [site], "plugins", "--json", blocked="nd_leaver")
    assert (done.returncode, done.stderr) == (0, "")
    found = {
        plugin["name"]: (plugin["distribution"], plugin["state"])
        for plugin in json.loads(done.stdout)["plugins"]
    }
    assert found == {
        "brittle": ("nd_brittle", "broken"),
        "leaver": ("nd_leaver", "blocked"),
        "other": ("nd_other_shapes", "conflict"),
        **{
            plugin: ("nd_plugin", "conflict" if plugin == "shapes" else "loaded")
            for plugin in ours()
        },
    }


def ours() -> list[str]:
    return [
        point.name
        for point in distribution("nd_plugin").entry_points
        if point.group == "nd_plugin"
    ]


def test_what_needs_none_of_them_works(site: Path, tmp_path: Path) -> None:
    columns = (
        "unit,category,label,score,"
        "object-label,object-truth,object-activation,object-intersect,object-iou"
    )
    rows = [
        "1,object,dog,0.25,dog,100,100,40,0.25",
        "2,object,cat,0.01,cat,100,100,2,0.01",
    ]
    (tmp_path / "conv5.csv").write_text("\n".join([columns, *rows, ""]))
    done = nd(tmp_path, [site], "report", "conv5.csv", "--json", blocked="leaver")
    assert (done.returncode, done.stderr) == (0, "")
    (summary,) = json.loads(done.stdout)["layers"]
    assert (summary["layer"], summary["units"], summary["detectors"]) == (
        "conv5",
        2,
        1,
    )


def test_a_conflict_is_settled_by_blocking_one(site: Path, tmp_path: Path) -> None:
    undecided = nd(tmp_path, [site], "concepts", "shapes", blocked="leaver")
    assert (undecided.returncode, undecided.stdout) == (2, "")
    message = joined(undecided.stderr)
    assert (
        f"plugin 'other' of nd_other_shapes 1.0 and plugin 'shapes' of {OURS}"
        in message
    )
    assert "ND_PLUGIN_DISABLE=nd_other_shapes" in message
    settled = nd(
        tmp_path,
        [site],
        "concepts",
        "shapes?images=7",
        "--json",
        blocked="leaver,nd_other_shapes",
    )
    assert settled.returncode == 0, settled.stderr
    assert (
        json.loads(settled.stdout)["name"],
        json.loads(settled.stdout)["images"],
    ) == (
        "shapes",
        7,
    )


@pytest.fixture
def examples(tmp_path: Path) -> list[Path]:
    """The path on which the examples are installed, with metadata from their pyproject.toml."""
    names = ("nd_boxes", "nd_filterbank", "nd_gratings", "nd_pdf")
    projects = [EXAMPLES / name for name in names]
    for project in projects:
        described = tomllib.loads(
            (project / "pyproject.toml").read_text(encoding="utf-8")
        )["project"]
        install(
            tmp_path / "site",
            described["name"],
            described["entry-points"]["nd_plugin"],
            {},
        )
    return [tmp_path / "site", *projects]


@pytest.fixture
def imported(
    examples: list[Path], fresh_host: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The examples, installed in this process."""
    for place in reversed(examples):
        monkeypatch.syspath_prepend(place)


def units(run: Path, layer: str) -> list[dict[str, str]]:
    with (run / layer / "units.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_examples_together_find_every_filters_orientation(
    examples: list[Path], tmp_path: Path
) -> None:
    layers = ["-l", "gabor", "-l", "pooled"]
    concepts = "gratings?images=32"
    done = nd(
        tmp_path,
        examples,
        "dissect",
        "filterbank:gabor",
        *layers,
        "-c",
        concepts,
        "-o",
        "run",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    gabor, pooled = json.loads(done.stdout)["layers"]
    assert (
        gabor["layer"],
        gabor["units"],
        gabor["detectors"],
        gabor["images"],
    ) == (
        "gabor",
        16,
        16,
        32,
    )
    assert gabor["unique_detectors_by_category"] == {
        "orientation": 8,
        "frequency": 0,
        "position": 0,
    }
    assert (pooled["layer"], pooled["units"], pooled["dead"]) == (
        "pooled",
        20,
        4,
    ), "grey has no opponent colours"
    for layer in ("gabor", "pooled"):
        found = [
            (unit["category"], unit["concept"])
            for unit in units(tmp_path / "run", layer)[:16]
        ]
        assert found == [
            ("orientation", f"{180 * (unit % 8) / 8:g} degrees")
            for unit in range(16)
        ]


def test_within_an_orientation_each_scale_finds_its_frequency(
    imported: None,
) -> None:
    found = LayerDissection("filterbank:gabor?orientations=4", "gabor").dissect(
        "gratings?images=16", workers=0
    )
    assert isinstance(found, Dissection)
    fine, coarse = (
        next(i for i, c in enumerate(found.concepts) if c.name == name)
        for name in ("fine", "coarse")
    )
    by_frequency = found.intersection[:, fine] > found.intersection[:, coarse]
    assert by_frequency.tolist() == [True] * 4 + [False] * 4


def test_listing_the_examples_imports_nothing_heavy(
    examples: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    done = nd(tmp_path, [tmp_path, *examples], "plugins", "--json")
    assert done.returncode == 0, done.stderr
    offers = {
        plugin["name"]: (plugin["state"], plugin["offers"])
        for plugin in json.loads(done.stdout)["plugins"]
    }
    assert offers["filterbank"] == ("loaded", ["backend filterbank"])
    assert offers["gratings"] == ("loaded", ["concept set gratings"])
    assert offers["boxes"] == ("loaded", ["concept set boxes"])
    assert offers["pdf"] == ("loaded", ["reporter pdf"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["layers", "filterbank:sobel"],
            "no filter bank 'sobel'; there is one: filterbank:gabor",
        ),
        (
            ["layers", "filterbank:gabor?angles=8"],
            "no option 'angles'; it takes orientations, scales",
        ),
        (
            ["layers", "filterbank:gabor?scales=none"],
            "scales=none is not a whole number from 1 to 5",
        ),
        (
            ["layers", "filterbank:gabor", "--weights", "w.pt"],
            "has no weights to load 'w.pt' into",
        ),
        (
            ["layers", "filterbank:gabor", "--device", "abacus"],
            "no device 'abacus'",
        ),
        (
            ["dissect", "filterbank:gabor", "-l", "garbor", "-c", "gratings"],
            "no layer 'garbor'",
        ),
        (["concepts", "gratings:here"], "drawn, not read from 'here'"),
        (
            ["concepts", "gratings?pictures=3"],
            "no option 'pictures'; it takes images, orientations, size, seed",
        ),
        (
            ["concepts", "gratings?images=0"],
            "images=0 is not a whole number from 1 on",
        ),
    ],
)
def test_the_examples_say_what_is_wrong(
    imported: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    """In this process: nine new ones would import torch nine times."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(sys, "argv", ["nd", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    stdout, stderr = capsys.readouterr()
    assert (ended.value.code, stdout) == (2, "")
    assert message in joined(stderr)
    assert not (tmp_path / "runs").exists()


def test_the_examples_keep_the_contracts(imported: None) -> None:
    from nd_filterbank.bank import FilterBankBackend
    from nd_gratings.drawing import Gratings

    check_backend(
        FilterBankBackend,
        "filterbank:gabor?orientations=4",
        layers=["pooled", "gabor", "opponent"],
        size=(64, 80),
    )
    check_concept_set(Gratings, size="64")
    check_concept_set(open_concepts, "gratings?images=4&size=80")


@pytest.mark.parametrize("layer", ["gabor", "opponent", "pooled"])
def test_a_cell_of_the_filter_bank_sees_the_pixels_that_its_geometry_says(
    imported: None, layer: str
) -> None:
    size, cell = (96, 112), (5, 6)
    with open_model("filterbank:gabor").probe([layer], size) as probe:
        geometry = probe.geometries[layer]
        axes = (geometry.rows, geometry.columns)
        centre = [
            axis.offset + axis.stride * place
            for axis, place in zip(axes, cell, strict=True)
        ]
        for direction, axis in enumerate(axes):
            images = torch.zeros(size[direction], 3, *size)
            for pixel, image in enumerate(images):  # black, but for one red pixel
                lit = [int(place) for place in centre]
                lit[direction] = pixel
                image[0, lit[0], lit[1]] = 1
            seen = (
                (probe(images)[layer][:, :, cell[0], cell[1]] != 0)
                .any(1)
                .nonzero()
                .flatten()
                .tolist()
            )
            reach = (axis.size - 1) / 2
            assert seen == list(
                range(
                    int(centre[direction] - reach),
                    int(centre[direction] + reach) + 1,
                )
            )


def test_the_filter_bank_says_where_it_can_be_probed(imported: None) -> None:
    model = open_model("filterbank:gabor?orientations=6&scales=3")
    described = model.layers((90, 70))
    with model.probe([layer.name for layer in described], (90, 70)) as probe:
        maps = probe(torch.rand(2, 3, 90, 70))
        for layer in described:
            assert layer.shape == (1, *maps[layer.name].shape[1:])
            assert layer.geometry == probe.geometries[layer.name]
    assert [layer.name for layer in described] == ["gabor", "opponent", "pooled"]
    assert maps["gabor"].shape[1] == 18


def test_gratings_are_what_their_annotation_says(imported: None) -> None:
    gratings = open_concepts("gratings?images=8&seed=3")
    names = ("0", *(concept.name for concept in gratings.concepts))
    met = set[str]()
    for index in range(len(gratings)):
        light = np.asarray(gratings.image(index), dtype=np.float64) / 255
        orientation, frequency, position = gratings.annotation(index).planes
        assert np.ptp(light[orientation == 0]) < 0.05, (
            "nothing is to be seen where nothing is labelled"
        )
        for value in np.unique(position[position > 0]):
            inside = position == value
            (labels,) = {
                (int(o), int(f))
                for o, f in zip(orientation[inside], frequency[inside], strict=True)
            }
            degrees, cycles = measured(light, inside)
            assert (
                abs((degrees - float(names[labels[0]].split()[0]) + 90) % 180 - 90)
                < 6
            )
            assert names[labels[1]] == ("fine" if cycles > 1 / 9 else "coarse")
            assert names[value] == (
                "left"
                if np.nonzero(inside)[1].max() < light.shape[1] / 2
                else "right"
            )
            met |= {names[labels[0]], names[labels[1]], names[value]}
    assert met == set(names[1:]), "sixteen patches hold every concept"


def measured(
    light: npt.NDArray[np.float64], inside: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """Measure the bars' direction in degrees counter-clockwise, and cycles per pixel, roughly."""
    down, right = (np.gradient(light, axis=axis)[inside] for axis in (0, 1))
    steepest = 0.5 * np.arctan2(
        2 * (down * right).sum(), (right**2 - down**2).sum()
    )
    slope = np.sqrt((down**2 + right**2).mean() / light[inside].var())
    return float(90 - np.degrees(steepest)), float(slope / (2 * np.pi))


def test_gratings_are_the_same_wherever_they_are_drawn(imported: None) -> None:
    gratings = open_concepts("gratings?images=3&size=96")
    again: ConceptSet = pickle.loads(pickle.dumps(gratings))
    other = open_concepts("gratings?images=3&size=96&seed=1")
    assert again.identity == gratings.identity
    assert again.image(2).tobytes() == gratings.image(2).tobytes()
    assert other.identity.fingerprint != gratings.identity.fingerprint
    assert other.image(2).tobytes() != gratings.image(2).tobytes()
