"""The command line as a user meets it: output, errors and exit codes, in this process."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nd_plugin import Dissection, LayerDescription
from nd_plugin.cli.listings import print_layers
from nd_plugin.cli.parsing import parse_bytes
from nd_plugin.results.run_folder import save_run

MODEL = "networks:ResNet18"
GOLDEN_REPORT = Path(__file__).parent / "golden_report.txt"


class TestReport:
    def test_a_run(self, run: Path, nd: Any) -> None:
        done = nd("report", run)
        assert done.returncode == 0
        assert (
            "layer1" in done.stdout
            and "layer2.0" in done.stdout
            and "unique detector" in done.stdout
        )
        assert "\x1b" not in done.stdout, "piped output is plain"
        assert (
            nd("report", run, "--json").stdout
            == nd("report", run, "--format", "json").stdout
        )

    def test_what_was_run_is_kept(self, run: Path) -> None:
        made = json.loads((run / "run.json").read_text())
        assert made["settings"]["quantile"] == 0.2 and made["preprocess"][
            "size"
        ] == [
            64,
            64,
        ]
        assert (
            made["preprocess"]["source"]
            == "ImageNet's (the model names none); given: size"
        )
        assert made["command"][:2] == ["nd", "dissect"]

    @pytest.mark.parametrize("width", ["40", "50", "80", "160"])
    def test_narrow_and_wide(self, run: Path, width: str, nd: Any) -> None:
        lines = nd("report", run, COLUMNS=width).stdout.splitlines()
        assert max(map(len, lines)) <= int(width) and not any(
            "…" in line for line in lines
        )

    def test_as_printed_before(
        self, dissection: Dissection, tmp_path: Path, nd: Any
    ) -> None:
        """To accept a new text: ``COLUMNS=80 NO_COLOR=1 nd report RUN > golden_report.txt``."""
        save_run(tmp_path / "run", [dissection])
        done = nd("report", tmp_path / "run", COLUMNS="80")
        assert done.stdout == GOLDEN_REPORT.read_text(encoding="utf-8")

    def test_in_colour(self, run: Path, nd: Any) -> None:
        assert "\x1b[" in nd("report", run, FORCE_COLOR="1", NO_COLOR="").stdout

    @pytest.mark.parametrize("form", ["html", "svg", "csv", "text"])
    def test_other_forms(
        self, run: Path, tmp_path: Path, form: str, nd: Any
    ) -> None:
        path = tmp_path / "report"
        assert nd("report", run, "--format", form, "-o", path).returncode == 0
        assert "layer2.0" in path.read_text()

    @pytest.mark.parametrize(
        ("name", "start"),
        [
            ("r.html", "<!doctype html>"),
            ("r.svg", "<svg"),
            ("r.csv", "layer,unit,"),
        ],
    )
    def test_a_files_ending_says_its_form(
        self, run: Path, tmp_path: Path, name: str, start: str, nd: Any
    ) -> None:
        assert nd("report", run, "-o", tmp_path / name).returncode == 0
        assert (tmp_path / name).read_text().startswith(start)

    def test_piped_lines_have_no_blanks_at_their_end(
        self, run: Path, nd: Any
    ) -> None:
        assert not any(
            line.endswith(" ") for line in nd("report", run).stdout.splitlines()
        )

    def test_html_as_a_folder(self, run: Path, tmp_path: Path, nd: Any) -> None:
        folder = tmp_path / "report"
        done = nd("report", run, "--html", folder)
        assert done.returncode == 0, done.stderr
        assert f"open {folder / 'index.html'} in a browser" in done.stderr
        page = (folder / "index.html").read_text(encoding="utf-8")
        assert "<noscript>" in page
        assert (folder / "data" / "layer-1-units-0.js").is_file()

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("caffe_reference_places365", [256, 118, 72, 91, [32, 6, 6, 2, 25, 1]]),
            (
                "ResNet-152-model_imagenet",
                [2048, 1325, 197, 242, [63, 16, 68, 5, 43, 2]],
            ),
        ],
    )
    def test_the_authors_published_results(
        self, real_data: Path, name: str, expected: list[object], nd: Any
    ) -> None:
        done = nd(
            "report", real_data / "netdissect_published" / f"{name}.csv", "--json"
        )
        (found,) = json.loads(done.stdout)["layers"]
        by_category = [
            found["unique_detectors_by_category"][c]
            for c in ("object", "part", "scene", "material", "texture", "color")
        ]
        counts = [
            found[k]
            for k in (
                "units",
                "detectors",
                "unique_detectors",
                "unique_detectors_per_category",
            )
        ]
        assert [*counts, by_category] == expected

    def test_what_cannot_be_reported(
        self, run: Path, tmp_path: Path, nd: Any
    ) -> None:
        for source, message in [
            (tmp_path / "none", "no run"),
            (tmp_path, "is no run: it has neither run.json nor dissection.npz"),
            (
                run / "layer1" / "units.csv",
                "is a table of nd_plugin's own, not a NetDissect CSV file",
            ),
        ]:
            done = nd("report", source)
            assert done.returncode == 2 and message in done.stderr, done.stderr
        done = nd("report", run, "--format", "pdf")
        assert (
            done.returncode == 2
            and "no report format 'pdf'; known are csv, html, json, latex, netdissect-csv, "
            "quantiles-csv, svg,"
            in done.stderr
        )

    def test_a_truncated_csv(self, tmp_path: Path, nd: Any) -> None:
        head = "unit,category,label,score,object-label,object-iou"
        (tmp_path / "cut.csv").write_text(
            f"{head}\n1,object,cat,0.5,cat,0.5\n2,obj"
        )
        done = nd("report", tmp_path / "cut.csv")
        assert (
            done.returncode == 2
            and "cut.csv, line 3: the line is cut short" in done.stderr
        )

    def test_forms_that_exclude_each_other(self, run: Path, nd: Any) -> None:
        done = nd("report", run, "--json", "--format", "csv")
        assert (
            done.returncode == 2
            and "--json and --format csv exclude each other" in done.stderr
        )


class TestListings:
    def test_layers(self, nd: Any) -> None:
        done = nd("layers", MODEL, "--input-size", "64", "--json")
        layers = json.loads(done.stdout)["layers"]
        listed = {layer["name"]: layer for layer in layers}
        assert (
            listed["layer4"]["shape"] == [1, 32, 2, 2]
            and listed["layer4"]["geometry"]["rows"]["stride"] == 32
        )
        lines = nd("layers", MODEL).stdout.splitlines()
        assert any(line.startswith("layer4.1.relu#1 ") for line in lines)
        assert len(lines) == 1 + len(
            json.loads(nd("layers", MODEL, "--json").stdout)["layers"]
        ), "no row is folded"

    def test_places_are_verified(self, nd: Any) -> None:
        arguments = ("layers", MODEL, "--input-size", "64x96", "--verify")
        heading, *rows = nd(*arguments).stdout.splitlines()
        assert (
            heading.split()
            == "layer kind shape stride receptive field measured".split()
        )
        # few units with random weights may look to one side
        verdicts = ("agrees", "differs", "not measurable")
        with_cells = [row for row in rows if " 4x32x48 " in row]
        assert with_cells
        for row in with_cells:
            assert any(verdict in row for verdict in verdicts), row

    def test_concepts(self, probe_set: Path, nd: Any) -> None:
        done = nd("concepts", f"masks:{probe_set}", "--json")
        found = json.loads(done.stdout)
        assert (
            found["categories"]
            == {"object": ["dark", "light"], "scene": ["first-s"]}
            and found["images"] == 6
        )
        assert "dark, light" in nd("concepts", f"masks:{probe_set}").stdout

    def test_version_and_help(self, nd: Any) -> None:
        assert nd("--version").stdout.startswith("nd_plugin ")
        for command in (
            "demo",
            "dissect",
            "layers",
            "concepts",
            "plugins",
            "report",
            "explain",
        ):
            assert (
                nd(command, "--help").returncode == 0
                and command in nd("--help").stdout
            )


class TestSeveralLayers:
    def test_of_a_model(self, probe_set: Path, tmp_path: Path, nd: Any) -> None:
        done = nd("dissect", MODEL, "-l", "layer[12],layer4", "-c", f"masks:{probe_set}",
                  "-o", tmp_path / "run", "--input-size", "64", "--json")  # fmt: skip
        assert done.returncode == 0, done.stderr
        layers = [layer["layer"] for layer in json.loads(done.stdout)["layers"]]
        assert layers == ["layer1", "layer2", "layer4"]
        assert "-l layer[12],layer4: layer1, layer2, layer4 (3 of" in done.stderr

    def test_of_a_run(self, run: Path, tmp_path: Path, nd: Any) -> None:
        Image.new("RGB", (64, 64), "teal").save(tmp_path / "photo.png")
        arguments = ["explain", run, MODEL, tmp_path / "photo.png", "--json", "-l"]
        done = nd(*arguments, "all")
        assert done.returncode == 0, done.stderr
        explanations = json.loads(done.stdout)["explanations"]
        layers = [explanation["layer"] for explanation in explanations]
        assert layers == ["layer1", "layer2.0"]
        assert "-l all: layer1, layer2.0 (2 of 2 of the run)" in done.stderr
        done = nd(*arguments, "laier?")
        assert done.returncode == 2
        assert "no layer matches 'laier?' among 2; the nearest are" in done.stderr

    def test_of_two_models(self, probe_set: Path, nd: Any) -> None:
        done = nd("parity", MODEL, MODEL, "-l", "layer[34],conv1", "-c",
                  f"masks:{probe_set}", "--input-size", "64", "--json")  # fmt: skip
        assert done.returncode == 0, done.stderr
        layers = json.loads(done.stdout)["layers"]
        assert [layer["layers"][0] for layer in layers] == [
            "layer3",
            "layer4",
            "conv1",
        ]


def test_quiet_and_log_file(probe_set: Path, tmp_path: Path, nd: Any) -> None:
    log = tmp_path / "log.txt"
    arguments = ["dissect", MODEL, "-l", "layer1", "-c", f"masks:{probe_set}",
                 "-o", tmp_path / "run", "--input-size", "64",
                 "--mean", "0,0,0", "--std", "1,1,1"]  # fmt: skip
    done = nd(*arguments, "--quiet", "--log-file", log)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "layer1" in done.stdout
    done = nd(*arguments, "-q", "--log-file", log)
    assert done.returncode == 2 and "exists already" in done.stderr
    lines = log.read_text().splitlines()
    for part in ("nd dissect networks:ResNet18 -l layer1", "activations: 6 images in",
                 "INFO", f"saved in {tmp_path / 'run'}", "ERROR", "exists already"):  # fmt: skip
        assert any(part in line for line in lines), part
    done = nd(*arguments, "--log-file", tmp_path)
    assert done.returncode == 2 and "cannot be written" in done.stderr


class TestReasons:
    LAYERS = (
        LayerDescription("conv", "Conv", (1, 4, 8, 8)),
        LayerDescription("size", "Shape", (1, 4), reason="holds integers"),
        LayerDescription("state", "LSTM", None, reason="has no image positions"),
        LayerDescription("index", "Gather", (1,), reason="holds integers"),
        LayerDescription("list", "Block", None),
    )

    def test_layers_are_listed_by_the_reason_why_they_have_no_units(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        print_layers(self.LAYERS, {}, as_json=False)
        lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
        rows = [[cell.strip() for cell in line if cell.strip()] for line in lines]
        assert rows[1] == ["conv", "Conv", "4x8x8"]
        assert rows[2:] == [
            [],
            ["without units because", "layers", "names"],
            ["holds integers", "2", "size, index"],
            ["has no image positions", "1", "state"],
            ["the output is no tensor with units", "1", "list"],
        ]

    def test_in_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        print_layers(self.LAYERS, {}, as_json=True)
        listed = json.loads(capsys.readouterr().out)["layers"]
        assert [layer["reason"] for layer in listed][:2] == ["", "holds integers"]


@pytest.mark.parametrize("width", [40, 60])
def test_tables_of_narrow_terminals(width: int, run: Path, nd: Any) -> None:
    for arguments in (
        ["plugins"], ["doctor"], ["concepts", "shapes"], ["report", run],
        ["layers", MODEL, "--input-size", "64"],
    ):  # fmt: skip
        wide = nd(*arguments, COLUMNS="1000").stdout
        narrow = nd(*arguments, COLUMNS=str(width)).stdout
        rules_and_bars = re.compile("[─█▏▎▍▌▋▊▉]+")
        words = {
            word.rstrip(":") for word in rules_and_bars.sub("", narrow).split()
        }
        words |= {
            "plugin",
            "layer",
            "category",
            "best",
            "concept",
        }  # first headers: none in blocks
        for word in rules_and_bars.sub("", wide).split():
            is_wider = len(word) > width - 2
            if arguments[0] == "report" and re.fullmatch(r"[\d.]+", word):
                continue  # narrow reports leave out thresholds and numbers of units
            assert word.rstrip(":") in words or is_wider, (arguments, word)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1GiB", 2**30),
        ("500MB", 500 * 10**6),
        ("2e9", 2 * 10**9),
        ("0", 0),
        ("1.5 kib", 1536),
    ],
)
def test_amounts_of_memory(text: str, amount: int) -> None:
    assert parse_bytes(text) == amount


class TestBadInput:
    def dissect(self, nd: Any, *arguments: str | Path) -> tuple[int, str]:
        done = nd("dissect", *arguments, COLUMNS="400")
        assert done.stdout == "" and "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stderr

    def test_before_anything_runs(
        self, probe_set: Path, run: Path, tmp_path: Path, nd: Any
    ) -> None:
        concepts = f"masks:{probe_set}"
        cases: list[tuple[Sequence[str | Path], int, str]] = [
            (
                [MODEL, "-l", "layer7", "-c", concepts],
                2,
                "no layer 'layer7' in ResNet18; the nearest are",
            ),
            ([MODEL, "-l", "layer1", "-c", "masks:/none"], 2, "no folder '/none'"),
            (
                ["networks:ResNet", "-l", "layer1", "-c", concepts],
                2,
                "the nearest are ResNet18",
            ),
            (
                ["model.xyz", "-l", "layer1", "-c", concepts],
                2,
                "no backend opens 'model.xyz'",
            ),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "-o", run],
                2,
                "exists already",
            ),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "--quantile", "1.5"],
                2,
                "quantile 1.5 is not between 0 and 1",
            ),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "--anchor", "x"],
                2,
                "anchor 'x' is neither",
            ),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "--mask-size", "big"],
                2,
                "mask size 'big' is not auto, native",
            ),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "--mean", "1,2"],
                2,
                "--mean '1,2' is not three numbers",
            ),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "--std", "1,2,0"],
                2,
                "has a value that is not positive",
            ),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "--input-size", "0"],
                2,
                "input size '0' is not N or HxW",
            ),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "--interpolation", "lin"],
                2,
                "'lin' is none of nearest",
            ),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "--weights", "w.pt"],
                2,
                "no weights file 'w.pt'",
            ),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "-o", "."],
                2,
                "is the current folder",
            ),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "--memory", "lots"],
                2,
                "--memory 'lots' is not an amount such as 1GiB",
            ),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "--device", "nonsense"],
                2,
                "no device 'nonsense'",
            ),
            ([MODEL, "-l", "layer1"], 2, "Missing option"),
        ]
        for arguments, code, message in cases:
            found, stderr = self.dissect(
                nd,
                *arguments,
                *([] if "-o" in arguments else ["-o", tmp_path / "new"]),
            )
            assert found == code and message in stderr, stderr
        assert list(tmp_path.iterdir()) == []

    def test_a_model_that_fails(
        self, probe_set: Path, tmp_path: Path, nd: Any
    ) -> None:
        code, stderr = self.dissect(
            nd, "networks:UNet?mode=wrong", "-l", "up2", "-c", f"masks:{probe_set}",
            "--input-size", "64", "-o", tmp_path / "run2",
        )  # fmt: skip
        assert (
            code == 1
            and "the model failed in its forward pass" in stderr
            and "wrong" in stderr
        )

    def test_masks_of_another_kind_are_refused_at_once(
        self, probe_set: Path, tmp_path: Path, nd: Any
    ) -> None:
        shutil.copytree(probe_set, tmp_path / "set")
        Image.new("RGB", (32, 24)).save(
            tmp_path / "set" / "masks" / "object" / "0.png"
        )
        done = nd("concepts", f"masks:{tmp_path / 'set'}")
        assert (
            done.returncode == 2
            and "the mask object/0.png is of mode RGB; a mask is 8 or 16 bit grey"
            in done.stderr
        )

    def test_a_place_that_cannot_be_written(
        self, probe_set: Path, tmp_path: Path, nd: Any
    ) -> None:
        (tmp_path / "file").write_text("")
        code, stderr = self.dissect(
            nd,
            MODEL,
            "-l",
            "layer1",
            "-c",
            f"masks:{probe_set}",
            "-o",
            tmp_path / "file" / "run",
        )
        assert code == 1 and "cannot be written" in stderr

    def test_unreadable_images_are_named_and_counted(
        self, probe_set: Path, tmp_path: Path, nd: Any
    ) -> None:
        spoiled = tmp_path / "set"
        shutil.copytree(probe_set, spoiled)
        image, mask = (
            spoiled / "images" / "3.png",
            spoiled / "masks" / "object" / "4.png",
        )
        image.write_bytes(image.read_bytes()[:700])
        Image.new("L", (30, 30)).save(mask)
        options = ["-l", "layer1", "-c", f"masks:{spoiled}", "--input-size", "64"]
        done = nd("dissect", MODEL, *options, "-o", tmp_path / "run", COLUMNS="200")
        assert done.returncode == 0, done.stderr
        assert "2 of 6 images skipped or without annotation" in done.stdout
        assert "skipped image of 3.png: " in done.stdout
        assert (
            "skipped annotation of 4.png: the mask object/4.png is 30x30"
            in done.stdout
        )
        done = nd("report", tmp_path / "run", "--json")
        (summary,) = json.loads(done.stdout)["layers"]
        assert summary["images"] == 5
        code, stderr = self.dissect(
            nd, MODEL, *options, "-o", tmp_path / "strict", "--strict"
        )
        assert (
            code == 1
            and "the image of 3.png cannot be read" in stderr
            and not (tmp_path / "strict").exists()
        )
