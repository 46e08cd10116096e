"""``nd concepts check``: findings by rule, JSON, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from broden_tables import SMALL, copy_tables, small_set
from made_sources_a import write_scene_parsing
from written_sets import write_masks


def test_a_fault_is_printed_with_its_file_and_remedy(
    nd: Any, tmp_path: Path
) -> None:
    root = small_set(tmp_path)
    (root / "images/a/o.png").unlink()
    result = nd("concepts", "check", f"broden:{root}")
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    heading = lines.index("missing-mask: 1 error")
    assert lines[heading + 1] == (
        "what to do: restore the mask, or take its path out of the index"
    )
    assert lines[heading + 3].split(maxsplit=1) == [
        "images/a/o.png",
        "no such file",
    ]
    assert "checking" in result.stderr
    assert "checking" not in result.stdout


def test_a_set_that_cannot_be_opened_has_all_of_its_faults(
    nd: Any, tmp_path: Path
) -> None:
    changes = {
        "index.csv": SMALL["index.csv"] + "b.jpg,,x,8,,,../m.png,-1,\n",
        "label.csv": SMALL["label.csv"] + "many,crowd,object(1),1,0.5,\n",
        "c_color.csv": SMALL["c_color.csv"].replace("1.0", "half"),
    }
    root = small_set(tmp_path, changes)
    assert nd("concepts", "list", f"broden:{root}").returncode == 2
    result = nd("concepts", "check", f"broden:{root}", "--json")
    assert result.returncode == 1
    document = json.loads(result.stdout)
    errors = [
        (finding["rule"], finding["file"])
        for finding in document["findings"]
        if finding["is_error"]
    ]
    assert sorted(errors) == [
        ("coverage-number", "c_color.csv:2"),
        ("coverage-number", "c_color.csv:3"),
        ("index-cell", "index.csv:3"),
        ("index-size", "index.csv:3"),
        ("label-number", "label.csv:8"),
        ("missing-image", "images/b.jpg"),
        ("outside-set", "index.csv:3"),
    ]
    assert document["errors"] == len(errors)
    assert document["warnings"] == len(document["findings"]) - len(errors)


def test_warnings_fail_under_strict_only(nd: Any, tmp_path: Path) -> None:
    """Concepts with one image each are warnings."""
    text = f"broden:{small_set(tmp_path)}"
    assert nd("concepts", "check", text).returncode == 0
    result = nd("concepts", "check", text, "--strict")
    assert result.returncode == 1
    assert "few-samples: 6 warnings" in result.stdout


def test_long_lists_are_folded(nd: Any, tmp_path: Path) -> None:
    text = f"broden:{small_set(tmp_path)}"
    folded = nd("concepts", "check", text).stdout
    assert "… and 1 more; --all prints them" in folded
    assert "beach-s" not in folded
    assert "beach-s" in nd("concepts", "check", text, "--all").stdout


def test_a_limit_leaves_out_what_all_images_say(nd: Any, tmp_path: Path) -> None:
    text = write_masks(tmp_path)
    whole = nd("concepts", "check", text)
    assert "few-samples: 1 warning" in whole.stdout
    first = nd("concepts", "check", text, "--limit", "2")
    assert "few-samples" not in first.stdout
    summary = " ".join(first.stdout.split())
    assert summary.endswith("no faults found, of the files of the first 2 images")


def test_a_set_without_a_check_is_opened_and_read(nd: Any) -> None:
    result = nd(
        "concepts", "check", "shapes?images=3&size=48", "--json", "--strict"
    )
    document = json.loads(result.stdout)
    assert document["errors"] == 0
    assert {finding["rule"] for finding in document["findings"]} <= {
        "few-samples",
        "label-without-pixels",
    }


def test_tables_alone(nd: Any, tmp_path: Path) -> None:
    root = small_set(tmp_path)
    (root / "images/a/o.png").unlink()
    result = nd("concepts", "check", "--tables", root)
    assert result.returncode == 0
    assert "label-numbering" in result.stdout
    assert f"{root}: no faults found" in result.stdout
    text = (root / "c_object.csv").read_text()
    (root / "c_object.csv").write_text(text.replace("sky,1,", "sky,2,"))
    result = nd("concepts", "check", "--tables", f"broden:{root}", "--json")
    assert result.returncode == 1
    document = json.loads(result.stdout)
    failed = {rule["rule"]: rule["failed"] for rule in document["tables"]}
    assert failed["code-frequency"] == 1
    assert failed["category-frequency"] == 1
    assert failed["label-coverage"] == 0
    places = {finding["file"] for finding in document["findings"]}
    assert places == {"c_object.csv:2", "category.csv:3"}


def test_the_real_tables_hold(nd: Any, real_data: Path, tmp_path: Path) -> None:
    root = copy_tables(real_data / "broden_tables", tmp_path)
    (root / "index_ade20k.csv").unlink()
    result = nd("concepts", "check", "--tables", root)
    assert result.returncode == 0
    words = result.stdout.split()
    assert "published-figures" in words
    assert "536," in words


def test_tables_of_a_set_that_has_no_identities(nd: Any) -> None:
    result = nd("concepts", "check", "--tables", "shapes")
    assert result.returncode == 2
    assert "those of broden:ROOT can" in result.stderr


def test_an_unknown_set_is_a_usage_error(nd: Any, tmp_path: Path) -> None:
    assert nd("concepts", "check", "shpes").returncode == 2
    assert nd("concepts", "check", f"broden:{tmp_path}/nowhere").returncode == 2
    result = nd("concepts", "check", f"broden:{tmp_path}?indx=a.csv")
    assert "has no option 'indx'; it takes index, links" in result.stderr


def test_a_combination_is_opened_and_read(nd: Any, tmp_path: Path) -> None:
    text = f"broden:{small_set(tmp_path)}[object]"
    done = nd("concepts", "check", text, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["concepts"] == text


def test_a_combination_says_which_checks_were_not_made(
    nd: Any, tmp_path: Path
) -> None:
    root = small_set(tmp_path)
    (root / "images/nothing-names-it.txt").write_text("notes")
    text = f"concat(broden:{root}[object], broden:{root}, shapes?images=2&size=48)"
    document = json.loads(nd("concepts", "check", text, "--json").stdout)
    commands = [
        note.rpartition("too: ")[2]
        for note in document["notes"]
        if "its own check" in note
    ]
    assert commands == [f"nd concepts check broden:{root}"]
    rules = {finding["rule"] for finding in document["findings"]}
    assert "unreferenced-file" not in rules
    printed = nd("concepts", "check", text).stdout
    assert f"! of broden:{root} only what" in printed
    alone = nd(*commands[0].split()[1:], "--json")
    document = json.loads(alone.stdout)
    rules = {finding["rule"] for finding in document["findings"]}
    assert "unreferenced-file" in rules
    assert document["notes"] == []


def test_files_that_a_set_leaves_out_are_noted(nd: Any, tmp_path: Path) -> None:
    text = write_scene_parsing(tmp_path)
    root = Path(text.partition(":")[2])
    image = sorted(root.glob("images/validation/*.jpg"))[0]
    image.unlink()
    (mask_of_another,) = sorted(root.glob("annotations/training/*.png"))[:1]
    mask_of_another.unlink()
    done = nd("concepts", "check", text, "--json")
    notes = " ".join(json.loads(done.stdout)["notes"])
    assert (
        f"1 masks in annotations/ have no image, for example validation/{image.stem}"
        in notes
    )
    assert "1 images without a mask in annotations/ are left out" in notes
    assert "masks in annotations/ have no image" in " ".join(
        nd("concepts", "check", text).stdout.split()
    )


def test_tables_of_no_folder(nd: Any) -> None:
    done = nd("concepts", "check", "--tables", "nowhere")
    assert done.returncode == 2
    assert "no folder 'nowhere'" in done.stderr
