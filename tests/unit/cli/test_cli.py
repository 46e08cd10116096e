"""The command line as a user meets it: output, errors and exit codes, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nd_plugin.cli.parsing import parse_bytes

TESTS = Path(__file__).parents[2]
MODEL = "networks:ResNet18"


def nd(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nd_plugin", *map(str, arguments)]
    known = {**os.environ, "PYTHONPATH": str(TESTS), "NO_COLOR": "1", **environment}
    return subprocess.run(
        command, capture_output=True, text=True, env=known, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def probe_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images in the masks format."""
    root = tmp_path_factory.mktemp("set")
    random = np.random.default_rng(0)
    (root / "images").mkdir()
    (root / "masks" / "object").mkdir(parents=True)
    for index in range(6):
        pixels = random.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        pixels[:, :32] //= 3
        Image.fromarray(pixels).save(root / "images" / f"{index}.png")
        Image.fromarray(np.repeat([[0] * 16 + [1] * 16], 24, 0).astype(np.uint8)).save(
            root / "masks/object" / f"{index}.png"
        )
    (root / "concepts.csv").write_text("category,value,name\nobject,0,dark\nobject,1,light\n")
    (root / "image_labels.csv").write_text("image,category,name\n0.png,scene,first-s\n")
    return root


@pytest.fixture(scope="module")
def run(probe_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = nd("dissect", MODEL, "-l", "layer1", "-l", "layer2.0", "-c", f"masks:{probe_set}", "-o", folder,
              "--input-size", "64", "--quantile", "0.2", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    layers = json.loads(done.stdout)
    assert [layer["layer"] for layer in layers] == ["layer1", "layer2.0"]
    assert set(layers[0]) >= {
        "layer", "units", "detectors", "unique_detectors", "unique_detectors_by_category",
        "unique_detectors_per_category", "detectors_by_category", "concepts", "images",
    }  # fmt: skip
    assert layers[0]["images"] == 6 and layers[0]["concepts"] == 3 and layers[0]["units"] == 4
    assert "activations: 6 images" in done.stderr and f"saved in {folder}" in done.stderr
    return folder


class TestReport:
    def test_a_run(self, run: Path) -> None:
        done = nd("report", run)
        assert done.returncode == 0
        assert (
            "layer1" in done.stdout
            and "layer2.0" in done.stdout
            and "unique detector" in done.stdout
        )
        assert "\x1b" not in done.stdout, "piped output is plain"
        assert nd("report", run, "--json").stdout == nd("report", run, "--format", "json").stdout

    def test_what_was_run_is_kept(self, run: Path) -> None:
        made = json.loads((run / "run.json").read_text())
        assert made["settings"]["quantile"] == 0.2 and made["preprocess"]["size"] == [64, 64]
        assert made["preprocess"]["source"] == "ImageNet's (the model names none); given: size"
        assert made["command"][:2] == ["nd", "dissect"]

    @pytest.mark.parametrize("width", ["50", "80", "160"])
    def test_narrow_and_wide(self, run: Path, width: str) -> None:
        lines = nd("report", run, COLUMNS=width).stdout.splitlines()
        assert max(map(len, lines)) <= int(width) and not any("…" in line for line in lines)

    def test_in_colour(self, run: Path) -> None:
        assert "\x1b[" in nd("report", run, FORCE_COLOR="1", NO_COLOR="").stdout

    @pytest.mark.parametrize("form", ["html", "svg", "csv", "text"])
    def test_other_forms(self, run: Path, tmp_path: Path, form: str) -> None:
        path = tmp_path / "report"
        assert nd("report", run, "--format", form, "-o", path).returncode == 0
        assert "layer2.0" in path.read_text()

    @pytest.mark.parametrize(
        ("name", "start"),
        [("r.html", "<!doctype html>"), ("r.svg", "<svg"), ("r.csv", "layer,unit,")],
    )
    def test_a_files_ending_says_its_form(
        self, run: Path, tmp_path: Path, name: str, start: str
    ) -> None:
        assert nd("report", run, "-o", tmp_path / name).returncode == 0
        assert (tmp_path / name).read_text().startswith(start)

    def test_piped_lines_have_no_blanks_at_their_end(self, run: Path) -> None:
        assert not any(line.endswith(" ") for line in nd("report", run).stdout.splitlines())

    def test_html(self, run: Path, tmp_path: Path) -> None:
        done = nd("report", run, "--html", tmp_path / "r.html")
        assert done.returncode == 0 and "<pre" in (tmp_path / "r.html").read_text()

    def test_needs_no_torch(self, run: Path) -> None:
        code = "import sys; from nd_plugin.cli.app import app; app(['report', sys.argv[1]], standalone_mode=False)"
        check = code + "; assert 'torch' not in sys.modules, 'torch'"
        done = subprocess.run(
            [sys.executable, "-c", check, str(run)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("caffe_reference_places365", [256, 118, 72, 91, [32, 6, 6, 2, 25, 1]]),
            ("ResNet-152-model_imagenet", [2048, 1325, 197, 242, [63, 16, 68, 5, 43, 2]]),
        ],
    )
    def test_the_authors_published_results(
        self, real_data: Path, name: str, expected: list[object]
    ) -> None:
        done = nd("report", real_data / "netdissect_published" / f"{name}.csv", "--json")
        (found,) = json.loads(done.stdout)
        by_category = [
            found["unique_detectors_by_category"][c]
            for c in ("object", "part", "scene", "material", "texture", "color")
        ]
        counts = [
            found[k]
            for k in ("units", "detectors", "unique_detectors", "unique_detectors_per_category")
        ]
        assert [*counts, by_category] == expected

    def test_what_cannot_be_reported(self, run: Path, tmp_path: Path) -> None:
        for source, message in [
            (tmp_path / "none", "no run"),
            (tmp_path, "is no run: it has neither run.json nor dissection.npz"),
            (
                run / "layer1" / "units.csv",
                "is no NetDissect CSV file: it has no column 'category'|it has no column",
            ),
        ]:
            done = nd("report", source)
            assert done.returncode == 2 and message.split("|")[-1] in done.stderr, done.stderr
        done = nd("report", run, "--format", "pdf")
        assert (
            done.returncode == 2
            and "no report format 'pdf'; known are csv, html, json, svg, text" in done.stderr
        )

    def test_a_truncated_csv(self, tmp_path: Path) -> None:
        head = "unit,category,label,score,object-label,object-iou"
        (tmp_path / "cut.csv").write_text(f"{head}\n1,object,cat,0.5,cat,0.5\n2,obj")
        done = nd("report", tmp_path / "cut.csv")
        assert done.returncode == 2 and "cut.csv, line 3: the line is cut short" in done.stderr

    def test_forms_that_exclude_each_other(self, run: Path) -> None:
        done = nd("report", run, "--json", "--format", "csv")
        assert done.returncode == 2 and "--json and --format csv exclude each other" in done.stderr

    def test_a_reader_that_has_seen_enough_is_no_failure(self, run: Path) -> None:
        command = [sys.executable, "-m", "nd_plugin", "report", str(run)]
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
        os.close(write)
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
    def test_an_output_that_is_full_is_named(self, run: Path) -> None:
        command = [sys.executable, "-m", "nd_plugin", "report", str(run)]
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        assert (
            done.returncode == 1
            and "nd: the output cannot be written: No space left" in done.stderr
        )
        assert "Traceback" not in done.stderr

    def test_a_poor_encoding(self, run: Path) -> None:
        done = nd("report", run, PYTHONIOENCODING="ascii")
        assert done.returncode == 0 and "unique detector" in done.stdout


class TestListings:
    def test_what_a_factory_prints_is_no_result(self, tmp_path: Path) -> None:
        (tmp_path / "noisy.py").write_text(
            "from networks import dilated\ndef net():\n    print('hello')\n    return dilated()\n"
        )
        done = nd("layers", "noisy:net", "--json", PYTHONPATH=f"{TESTS}:{tmp_path}")
        assert json.loads(done.stdout) and "hello" in done.stderr

    def test_layers(self) -> None:
        done = nd("layers", MODEL, "--input-size", "64", "--json")
        listed = {layer["name"]: layer for layer in json.loads(done.stdout)}
        assert (
            listed["layer4"]["shape"] == [1, 32, 2, 2]
            and listed["layer4"]["geometry"]["rows"]["stride"] == 32
        )
        lines = nd("layers", MODEL).stdout.splitlines()
        assert any(line.startswith("layer4.1.relu#1 ") for line in lines)
        assert len(lines) == 1 + len(json.loads(nd("layers", MODEL, "--json").stdout)), (
            "no row is folded"
        )

    def test_concepts(self, probe_set: Path) -> None:
        done = nd("concepts", f"masks:{probe_set}", "--json")
        found = json.loads(done.stdout)
        assert (
            found["categories"] == {"object": ["dark", "light"], "scene": ["first-s"]}
            and found["images"] == 6
        )
        assert "dark, light" in nd("concepts", f"masks:{probe_set}").stdout

    def test_version_and_help(self) -> None:
        assert nd("--version").stdout.startswith("nd_plugin ")
        for command in ("demo", "dissect", "layers", "concepts", "plugins", "report", "explain"):
            assert nd(command, "--help").returncode == 0 and command in nd("--help").stdout


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1GiB", 2**30), ("500MB", 500 * 10**6), ("2e9", 2 * 10**9), ("0", 0), ("1.5 kib", 1536)],
)
def test_amounts_of_memory(text: str, amount: int) -> None:
    assert parse_bytes(text) == amount


class TestBadInput:
    def dissect(self, *arguments: str | Path) -> tuple[int, str]:
        done = nd("dissect", *arguments, COLUMNS="400")
        assert done.stdout == "" and "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stderr

    def test_before_anything_runs(self, probe_set: Path, run: Path, tmp_path: Path) -> None:
        concepts = f"masks:{probe_set}"
        cases: list[tuple[Sequence[str | Path], int, str]] = [
            (
                [MODEL, "-l", "layer7", "-c", concepts],
                2,
                "no layer 'layer7' in ResNet18; the nearest are",
            ),
            ([MODEL, "-l", "layer1", "-c", "masks:/none"], 2, "no folder '/none'"),
            (["networks:ResNet", "-l", "layer1", "-c", concepts], 2, "the nearest are ResNet18"),
            (["model.xyz", "-l", "layer1", "-c", concepts], 2, "no backend opens 'model.xyz'"),
            ([MODEL, "-l", "layer1", "-c", concepts, "-o", run], 2, "exists already"),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "--quantile", "1.5"],
                2,
                "quantile 1.5 is not between 0 and 1",
            ),
            ([MODEL, "-l", "layer1", "-c", concepts, "--anchor", "x"], 2, "anchor 'x' is neither"),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "--mask-size", "big"],
                2,
                "mask size 'big' is not auto, native",
            ),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "--mean", "1,2"],
                2,
                "mean '1,2' is not three numbers",
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
            ([MODEL, "-l", "layer1", "-c", concepts, "-o", "."], 2, "is the folder you are in"),
            (
                [MODEL, "-l", "layer1", "-c", concepts, "--memory", "lots"],
                2,
                "memory 'lots' is no amount such as 1GiB",
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
                *arguments, *([] if "-o" in arguments else ["-o", tmp_path / "new"])
            )
            assert found == code and message in stderr, stderr
        assert list(tmp_path.iterdir()) == []

    def test_a_model_that_fails(self, probe_set: Path, tmp_path: Path) -> None:
        code, stderr = self.dissect("networks:UNet?mode=wrong", "-l", "up2", "-c", f"masks:{probe_set}",
                                    "--input-size", "64", "-o", tmp_path / "run2")  # fmt: skip
        assert code == 1 and "the model failed in its forward pass" in stderr and "wrong" in stderr

    def test_masks_of_another_kind_are_refused_at_once(
        self, probe_set: Path, tmp_path: Path
    ) -> None:
        import shutil

        shutil.copytree(probe_set, tmp_path / "set")
        Image.new("RGB", (32, 24)).save(tmp_path / "set" / "masks" / "object" / "0.png")
        done = nd("concepts", f"masks:{tmp_path / 'set'}")
        assert (
            done.returncode == 2
            and "the mask object/0.png is of mode RGB; a mask is 8 or 16 bit grey" in done.stderr
        )

    def test_a_place_that_cannot_be_written(self, probe_set: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        code, stderr = self.dissect(
            MODEL, "-l", "layer1", "-c", f"masks:{probe_set}", "-o", tmp_path / "file" / "run"
        )
        assert code == 1 and "cannot be written" in stderr

    def test_unreadable_images_are_named_and_counted(self, probe_set: Path, tmp_path: Path) -> None:
        import shutil

        spoiled = tmp_path / "set"
        shutil.copytree(probe_set, spoiled)
        image, mask = spoiled / "images" / "3.png", spoiled / "masks" / "object" / "4.png"
        image.write_bytes(image.read_bytes()[:700])
        Image.new("L", (30, 30)).save(mask)
        options = ["-l", "layer1", "-c", f"masks:{spoiled}", "--input-size", "64"]
        done = nd("dissect", MODEL, *options, "-o", tmp_path / "run", COLUMNS="200")
        assert done.returncode == 0, done.stderr
        assert "2 of 6 images skipped or without annotation" in done.stdout
        assert "skipped image of 3.png: " in done.stdout
        assert "skipped annotation of 4.png: the mask object/4.png is 30x30" in done.stdout
        (summary,) = json.loads(nd("report", tmp_path / "run", "--json").stdout)
        assert summary["images"] == 5
        code, stderr = self.dissect(MODEL, *options, "-o", tmp_path / "strict", "--strict")
        assert (
            code == 1
            and "the image of 3.png cannot be read" in stderr
            and not (tmp_path / "strict").exists()
        )

    def test_a_disk_that_fills_up_loses_no_result(self, probe_set: Path, tmp_path: Path) -> None:
        limited = (
            "import resource, sys; from nd_plugin import cli; from nd_plugin.results import run_folder\n"
            "save_run = run_folder.save_run\n"
            "def save(*a):\n"
            "    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); return save_run(*a)\n"
            "run_folder.save_run = save\n"
            "cli.main()"
        )
        command = [sys.executable, "-c", limited, "dissect", MODEL, "-l", "layer1", "-c", f"masks:{probe_set}",
                   "--input-size", "64", "-o", str(tmp_path / "run"), "--json"]  # fmt: skip
        known = {**os.environ, "PYTHONPATH": str(TESTS)}
        done = subprocess.run(command, capture_output=True, text=True, env=known, check=False)
        assert done.returncode == 1 and "cannot be written: File too large" in done.stderr, (
            done.stderr
        )
        assert json.loads(done.stdout)[0]["layer"] == "layer1"
        assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_nothing_half_written(probe_set: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nd_plugin", "dissect", MODEL, "-l", "layer4", "-c", "shapes?images=100000",
               "-o", str(tmp_path / "run")]  # fmt: skip
    known = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=known,
                          start_new_session=True, preexec_fn=interruptible) as process:  # fmt: skip
        deadline = time.monotonic() + 120
        while not children(process.pid) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.2)
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
        try:
            stdout, stderr = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 130, stderr
    assert "nd: interrupted" in stderr and "Traceback" not in stderr
    assert stdout == "" and list(tmp_path.iterdir()) == []


def interruptible() -> None:
    """Whatever started the tests: a shell's background jobs ignore Ctrl-C, and so would their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def children(pid: int) -> list[str]:
    """The worker processes of a process: it is running then."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_progress_on_a_terminal_leaves_one_line_per_stage(probe_set: Path, tmp_path: Path) -> None:
    """In a pseudo-terminal: no bar is left behind, nothing is shown twice."""
    import pty

    command = [sys.executable, "-m", "nd_plugin", "dissect", MODEL, "-l", "layer1", "-c", f"masks:{probe_set}",
               "--input-size", "64", "-o", str(tmp_path / "run")]  # fmt: skip
    known = {**os.environ, "PYTHONPATH": str(TESTS), "COLUMNS": "90", "TERM": "xterm"}
    leader, follower = pty.openpty()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=follower, env=known
    ) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
    os.close(leader)
    assert process.returncode == 0
    text = shown.decode()
    assert text.count("activations: 6 images in") == 1 and text.count("masks: 6 images in") == 1
    last = text[text.rindex("masks: 6 images in") :]
    assert "━" not in last or "\x1b[2K" in last[last.rindex("━") :], "the last bar is wiped away"
