"""Faults planted in a set of Broden's layout, each with the finding that names it."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

Place = tuple[str, str]  # rule and file of the finding
ENOUGH = 12  # images of each label, in a small set
MASKS = ("color", "object")


class Label(NamedTuple):
    """Label with its counts, before it has a number."""

    frequency: int
    coverage: float
    name: str
    category: str


class BrodenFiles:
    """Files of a set, with its tables as lines."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tables: dict[str, list[list[str]]] = {}
        for path in root.glob("*.csv"):
            with path.open(newline="") as file:
                self.tables[path.name] = list(csv.reader(file))

    def save(self) -> None:
        """Write all tables."""
        for name, lines in self.tables.items():
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(lines)
            (self.root / name).write_text(text.getvalue())

    def cell(self, image: int, column: str) -> str:
        """Return a cell of an image's line in the index."""
        index = self.tables["index.csv"]
        return index[1 + image][index[0].index(column)]

    def change(self, image: int, column: str, text: str) -> str:
        """Change a cell of an image's line; return the line's place."""
        index = self.tables["index.csv"]
        index[1 + image][index[0].index(column)] = text
        return f"index.csv:{2 + image}"

    def append(self, table: str, *cells: str) -> str:
        """Append a line to a table, with empty cells to its end; return its place."""
        lines = self.tables[table]
        lines.append([*cells, *[""] * (len(lines[0]) - len(cells))])
        return f"{table}:{len(lines)}"

    def add_category(self, name: str, *codes: str) -> None:
        """Add a category with a table of its own, and a column of the index that is empty."""
        self.append("category.csv", name, "1", "1", str(len(codes)), "0")
        header = self.tables["c_object.csv"][0]
        self.tables[f"c_{name}.csv"] = [
            header,
            *[code.split(",") for code in codes],
        ]
        for number, line in enumerate(self.tables["index.csv"]):
            line.append("" if number else name)

    def file(self, image: int, column: str = "image") -> Path:
        """Return the path of an image or a mask."""
        return self.root / "images" / self.cell(image, column)

    def place(self, image: int, column: str = "image") -> str:
        """Return the place that findings name for an image or a mask."""
        return f"images/{self.cell(image, column)}"

    def paint(self, image: int, number: int, column: str = "object") -> None:
        """Give the first pixels of a mask a label number."""
        path = self.file(image, column)
        pixels = np.array(Image.open(path))
        pixels[0, :4] = (number % 256, number // 256, 0)
        Image.fromarray(pixels).save(path)


def copied(source: Path, root: Path) -> BrodenFiles:
    """Copy a set."""
    shutil.copytree(source, root)
    return BrodenFiles(root)


def small_camvid(source: Path, root: Path) -> Path:
    """Write some images of a set, with tables counted anew and labels numbered by them."""
    whole = BrodenFiles(source)
    index = whole.tables["index.csv"]
    chosen = [index[0], *enough_lines(source, index)]
    names = {int(line[0]): line[1] for line in whole.tables["label.csv"][1:]}
    counts = {
        category: (Counter[int](), Counter[int]()) for category in index[0][6:]
    }
    planes: dict[str, npt.NDArray[np.int64]] = {}
    for line in chosen[1:]:
        for category, cell in zip(index[0][6:], line[6:], strict=True):
            plane = (
                np.array([[int(cell)]]) if cell.isdigit() else read(source, cell)
            )
            planes[cell] = plane
            numbers, pixels = np.unique(plane, return_counts=True)
            frequency, coverage = counts[category]
            for number, count in zip(
                numbers.tolist(), pixels.tolist(), strict=True
            ):
                frequency[number] += number > 0
                coverage[number] += count * (112 * 112 // plane.size)
    labels = [
        Label(frequency[number], coverage[number] / 112**2, names[number], category)
        for category, (frequency, coverage) in counts.items()
        for number in +frequency
    ]
    labels.sort(reverse=True)
    numbers_by_name = {label.name: number for number, label in enumerate(labels, 1)}
    renumbered = {
        number: numbers_by_name.get(name, 0) for number, name in names.items()
    }
    (root / "images" / "camvid").mkdir(parents=True)
    for line in chosen[1:]:
        shutil.copyfile(source / "images" / line[0], root / "images" / line[0])
        for column, cell in enumerate(line[6:], start=6):
            if cell.isdigit():
                line[column] = str(renumbered[int(cell)])
            else:
                write(root / "images" / cell, planes[cell], renumbered)
    write_tables(root, labels, chosen)
    return root


def enough_lines(source: Path, index: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return copies of the lines of an index that are needed for enough images of each label."""
    lines = []
    images = Counter[tuple[str, int]]()
    for line in index[1:]:
        labels: set[tuple[str, int]] = set()
        for category, cell in zip(index[0][6:], line[6:], strict=True):
            numbers = (
                {int(cell)} if cell.isdigit() else set(read(source, cell).flat)
            )
            labels.update((category, int(number)) for number in numbers if number)
        if any(images[label] < ENOUGH for label in labels):
            images.update(labels)
            lines.append(list(line))
    return lines


def read(root: Path, name: str) -> npt.NDArray[np.int64]:
    """Return the label numbers of a mask."""
    pixels = np.array(Image.open(root / "images" / name)).astype(np.int64)
    numbers: npt.NDArray[np.int64] = pixels[:, :, 0] + 256 * pixels[:, :, 1]
    return numbers


def write(
    path: Path, plane: npt.NDArray[np.int64], renumbered: Mapping[int, int]
) -> None:
    """Write a mask with other numbers."""
    numbers = np.zeros(1 + max(renumbered), np.int64)
    numbers[list(renumbered)] = list(renumbered.values())
    values = numbers[plane]
    channels = [values % 256, values // 256, np.zeros_like(values)]
    Image.fromarray(np.stack(channels, axis=2).astype(np.uint8)).save(path)


def write_tables(
    root: Path, labels: Sequence[Label], index: Sequence[Sequence[str]]
) -> None:
    """Write the tables of labels in the order of their numbers, and an index."""
    label_lines = ["number,name,category,frequency,coverage,syns"]
    category_lines = []
    for number, label in enumerate(labels, start=1):
        kind = f"{label.category}({label.frequency})"
        figures = f"{label.frequency},{label.coverage:.6f}"
        label_lines.append(f"{number},{label.name},{kind},{figures},")
    for category in index[0][6:]:
        numbered = [
            (number, label)
            for number, label in enumerate(labels, start=1)
            if label.category == category
        ]
        code_lines = ["code,number,name,frequency,coverage"]
        for code, (number, label) in enumerate(numbered, start=1):
            figures = f"{label.frequency},{label.coverage:.12f}"
            code_lines.append(f"{code},{number},{label.name},{figures}")
        (root / f"c_{category}.csv").write_text("\n".join(code_lines) + "\n")
        total = sum(label.frequency for _, label in numbered)
        span = f"{numbered[0][0]},{numbered[-1][0]}"
        category_lines.append((total, f"{category},{span},{len(numbered)},{total}"))
    ordered = [line for _, line in sorted(category_lines, reverse=True)]
    category_table = ["name,first,last,count,frequency", *ordered]
    (root / "category.csv").write_text("\n".join(category_table) + "\n")
    (root / "label.csv").write_text("\n".join(label_lines) + "\n")
    rows = [",".join(line) for line in index]
    (root / "index.csv").write_text("\n".join(rows) + "\n")


def missing_image(files: BrodenFiles) -> Place:
    files.file(0).unlink()
    return "missing-image", files.place(0)


def missing_mask(files: BrodenFiles) -> Place:
    files.file(1, "object").unlink()
    return "missing-mask", files.place(1, "object")


def image_that_is_text(files: BrodenFiles) -> Place:
    files.file(2).write_bytes(b"not a picture")
    return "unreadable-image", files.place(2)


def truncated_image(files: BrodenFiles) -> Place:
    content = files.file(3).read_bytes()
    files.file(3).write_bytes(content[: len(content) // 2])
    return "unreadable-image", files.place(3)


def fifo_as_image(files: BrodenFiles) -> Place:
    files.file(4).unlink()
    os.mkfifo(files.file(4))
    return "unreadable-image", files.place(4)


def mask_that_is_text(files: BrodenFiles) -> Place:
    files.file(5, "object").write_bytes(b"not a picture")
    return "unreadable-mask", files.place(5, "object")


def truncated_mask(files: BrodenFiles) -> Place:
    content = files.file(6, "object").read_bytes()
    files.file(6, "object").write_bytes(content[: len(content) // 2])
    return "mask-checksum", files.place(6, "object")


def flipped_bit(files: BrodenFiles) -> Place:
    content = bytearray(files.file(7, "object").read_bytes())
    # in the checksum of the pixels: they can be decoded all the same
    content[content.index(b"IEND") - 5] ^= 1
    files.file(7, "object").write_bytes(content)
    return "mask-checksum", files.place(7, "object")


def jpeg_as_mask(files: BrodenFiles) -> Place:
    path = files.file(8, "object")
    Image.open(path).save(path, "JPEG")
    return "mask-format", files.place(8, "object")


def grey_mask(files: BrodenFiles) -> Place:
    path = files.file(9, "object")
    Image.open(path).convert("L").save(path)
    return "mask-mode", files.place(9, "object")


def mask_of_another_size(files: BrodenFiles) -> Place:
    path = files.file(10, "object")
    Image.open(path).resize((56, 56), Image.Resampling.NEAREST).save(path)
    return "mask-size", files.place(10, "object")


def mask_of_another_aspect(files: BrodenFiles) -> Place:
    path = files.file(11, "object")
    files.change(11, "sh", "")
    Image.open(path).crop((0, 0, 112, 80)).save(path)
    return "mask-aspect", files.place(11, "object")


def image_of_another_size(files: BrodenFiles) -> Place:
    path = files.file(12)
    Image.open(path).resize((448, 448)).save(path)
    return "image-size", files.place(12)


def turned_image(files: BrodenFiles) -> Place:
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (112, 224)).save(files.file(13), exif=exif)
    files.change(13, "iw", "112")
    return "image-orientation", files.place(13)


def unlisted_label_in_a_mask(files: BrodenFiles) -> Place:
    files.paint(14, 999)
    return "unlisted-label", files.place(14, "object")


def unlisted_label_of_an_image(files: BrodenFiles) -> Place:
    return "unlisted-label", files.change(15, "scene", "777")


def negative_label(files: BrodenFiles) -> Place:
    return "index-cell", files.change(16, "scene", "-3")


def fractional_label(files: BrodenFiles) -> Place:
    return "index-cell", files.change(17, "scene", "12.5")


def list_of_labels(files: BrodenFiles) -> Place:
    return "index-cell", files.change(18, "scene", "[12]")


def size_that_is_no_number(files: BrodenFiles) -> Place:
    return "index-size", files.change(19, "sh", "wide")


def no_image_in_a_line(files: BrodenFiles) -> Place:
    return "empty-image", files.change(20, "image", "")


def image_listed_twice(files: BrodenFiles) -> Place:
    line = files.tables["index.csv"][22]
    return "duplicate-image", files.append("index.csv", *line)


def image_listed_twice_in_other_words(files: BrodenFiles) -> Place:
    name, *line = files.tables["index.csv"][23]
    other_name = name.replace("/", "/./")
    return "duplicate-image", files.append("index.csv", other_name, *line)


def mask_of_two_images(files: BrodenFiles) -> Place:
    mask = files.cell(24, "object")
    return "shared-mask", files.change(25, "object", mask)


def mask_outside(files: BrodenFiles) -> Place:
    return "outside-set", files.change(26, "object", "../../secret.png")


def link_that_leads_out(files: BrodenFiles) -> Place:
    outside = files.root.parent / f"{files.root.name}-outside.jpg"
    files.file(27).rename(outside)
    files.file(27).symlink_to(outside)
    return "outside-set", files.place(27)


def image_without_labels(files: BrodenFiles) -> Place:
    for column in ("color", "object"):
        files.change(28, column, "")
    return "unlabelled-image", files.change(28, "scene", "")


def file_that_nothing_names(files: BrodenFiles) -> Place:
    (files.root / "images" / "notes.txt").write_text("notes")
    return "unreferenced-file", "images/notes.txt"


def too_many_cells(files: BrodenFiles) -> Place:
    files.tables["index.csv"][30].append("surplus")
    return "table-line", "index.csv:31"


def nul_character(files: BrodenFiles) -> Place:
    files.change(30, "split", "tr\0ain")
    return "table-line", "index.csv:32"


def label_that_no_pixel_has(files: BrodenFiles) -> Place:
    files.append("c_object.csv", "12", "100", "ghost", "0", "0.0")
    place = files.append("label.csv", "100", "ghost", "object(0)", "0", "0.0")
    return "label-without-pixels", place


def concept_with_few_samples(files: BrodenFiles) -> Place:
    for image in (32, 33, 34):
        files.paint(image, 101)
    files.append("c_object.csv", "13", "101", "rarity", "3", "0.001")
    place = files.append("label.csv", "101", "rarity", "object(3)", "3", "0.001")
    return "few-samples", place


def category_that_no_image_has(files: BrodenFiles) -> Place:
    files.add_category("texture", "1,102,dotted,10,10.0")
    files.append("label.csv", "102", "dotted", "texture(10)", "10", "10.0")
    return "unused-category", "category.csv"


def category_without_concepts(files: BrodenFiles) -> Place:
    files.add_category("material")
    return "category-without-concepts", "label.csv"


def name_of_two_numbers(files: BrodenFiles) -> Place:
    files.append("c_object.csv", "14", "103", "road", "0", "0.0")
    place = files.append("label.csv", "103", "road", "object(0)", "0", "0.0")
    return "duplicate-name", place


def number_of_two_labels(files: BrodenFiles) -> Place:
    place = files.append("label.csv", "3", "twin", "object(1)", "1", "0.1")
    return "duplicate-number", place


def label_of_an_unlisted_category(files: BrodenFiles) -> Place:
    place = files.append("label.csv", "104", "chair", "furniture(3)", "3", "0.1")
    return "unlisted-category", place


def label_without_a_number(files: BrodenFiles) -> Place:
    place = files.append("label.csv", "many", "crowd", "object(3)", "3", "0.1")
    return "label-number", place


def coverage_that_is_no_number(files: BrodenFiles) -> Place:
    files.tables["c_object.csv"][5][4] = "much"
    return "coverage-number", "c_object.csv:6"


def category_without_a_table(files: BrodenFiles) -> Place:
    files.add_category("weather")
    del files.tables["c_weather.csv"]
    return "missing-table", "c_weather.csv"


def category_without_a_column(files: BrodenFiles) -> Place:
    files.append("category.csv", "part", "1", "1", "1", "0")
    files.tables["c_part.csv"] = [
        files.tables["c_object.csv"][0],
        ["1", "105", "rim", "10", "1.0"],
    ]
    files.append("label.csv", "105", "rim", "part(10)", "10", "1.0")
    return "missing-column", "index.csv:1"


def category_listed_twice(files: BrodenFiles) -> Place:
    files.append("category.csv", "scene", "1", "1", "1", "0")
    return "duplicate-category", "category.csv"


def category_that_is_a_path(files: BrodenFiles) -> Place:
    return "category-name", files.append("category.csv", "../object")


def frequency_that_differs(files: BrodenFiles) -> Place:
    line = files.tables["c_object.csv"][3]
    line[3] = str(int(line[3]) - 1)
    return "code-frequency", "c_object.csv:4"


def mask_of_zeros(files: BrodenFiles) -> Place:
    path = files.file(35, "object")
    pixels = np.array(Image.open(path))
    Image.fromarray(np.zeros_like(pixels)).save(path)
    return "empty-mask", files.place(35, "object")


def line_without_a_split(files: BrodenFiles) -> Place:
    return "split-name", files.change(36, "split", "")


FAULTS: tuple[Callable[[BrodenFiles], Place], ...] = (
    missing_image,
    missing_mask,
    image_that_is_text,
    truncated_image,
    fifo_as_image,
    mask_that_is_text,
    truncated_mask,
    flipped_bit,
    jpeg_as_mask,
    grey_mask,
    mask_of_another_size,
    mask_of_another_aspect,
    image_of_another_size,
    turned_image,
    unlisted_label_in_a_mask,
    unlisted_label_of_an_image,
    negative_label,
    fractional_label,
    list_of_labels,
    size_that_is_no_number,
    no_image_in_a_line,
    image_listed_twice,
    image_listed_twice_in_other_words,
    mask_of_two_images,
    mask_outside,
    link_that_leads_out,
    image_without_labels,
    file_that_nothing_names,
    nul_character,
    label_that_no_pixel_has,
    concept_with_few_samples,
    category_that_no_image_has,
    category_without_concepts,
    name_of_two_numbers,
    number_of_two_labels,
    label_of_an_unlisted_category,
    label_without_a_number,
    coverage_that_is_no_number,
    category_without_a_table,
    category_without_a_column,
    category_listed_twice,
    category_that_is_a_path,
    frequency_that_differs,
    mask_of_zeros,
    line_without_a_split,
    too_many_cells,
)
