"""Tables of Broden's layout: a small set, and Broden's own, as copies and at full size."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

SMALL = {
    "category.csv": "name,first,last,count,frequency\n"
    "color,1,2,2,2\nobject,3,4,2,2\nscene,5,6,2,2\n",
    "label.csv": "number,name,category,frequency,coverage,syns\n"
    "1,black-c,color(1),1,1.0,\n"
    "2,red-c,color(1),1,1.0,\n"
    "3,sky,object(1),1,1.0,heavens\n"
    "4,car,object(1),1,1.0,auto;automobile\n"
    "5,street-s,scene(1),1,1.0,\n"
    "6,beach-s,scene(1),1,1.0,\n",
    "c_color.csv": "code,number,name,frequency,coverage\n1,1,black-c,1,1.0\n2,2,red-c,1,1.0\n",
    "c_object.csv": "code,number,name,frequency,coverage\n1,3,sky,1,1.0\n2,4,car,1,1.0\n",
    "c_scene.csv": "code,number,name,frequency,coverage\n"
    "1,5,street-s,1,1.0\n2,6,beach-s,1,1.0\n",
    "index.csv": "image,split,ih,iw,sh,sw,color,object,scene\n"
    "a/one.png,train,8,12,4,6,a/c.png,a/o.png,5;6\n",
}
COUNTS = {"pascal": 10_103, "opensurfaces": 25_352, "dtd": 5_640}  # images
FULL_SIZE = 63_305


def small_set(root: Path, changes: Mapping[str, str] | None = None) -> Path:
    """Write the set of `SMALL` with other texts for some tables; return its folder."""
    (root / "images" / "a").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 8), "red").save(root / "images/a/one.png")
    for name, first in (("c", 1), ("o", 3)):
        mask = Image.new("RGB", (6, 4), (first, 0, 0))
        mask.paste((first + 1, 0, 0), (0, 0, 3, 4))
        mask.save(root / "images" / "a" / f"{name}.png")
    for table, text in {**SMALL, **(changes or {})}.items():
        (root / table).write_text(text, encoding="utf-8")
    return root


def read_rows(table: Path) -> list[dict[str, str]]:
    """Return the rows of a table, by column."""
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def copy_tables(tables: Path, root: Path) -> Path:
    """Copy Broden's tables to a folder with an empty images/; return it."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    for table in tables.glob("*.csv"):
        shutil.copyfile(table, root / table.name)
    return root


def full_size_tables(tables: Path, root: Path) -> Path:
    """Write Broden's tables with an index of as many rows: the real ones of ADE20K and others."""
    copy_tables(tables, root)
    lines = (root / "index_ade20k.csv").read_text().splitlines()
    for source, count in COUNTS.items():
        lines += [generated_line(source, number) for number in range(count)]
    (root / "index.csv").write_text("\n".join(lines) + "\n")
    return root


def generated_line(source: str, number: int) -> str:
    """Return a line of the index as the source has them."""
    name = f"{source}/{source}_{number:06}"
    color = f"{name}_color.png"
    if source == "pascal":
        cells = f"224,224,112,112,{color},{name}_object.png,{name}_part.png,,,"
    elif source == "opensurfaces":
        parts = f"{name}_part_1.png;{name}_part_2.png"
        cells = f"224,224,112,112,{color},{name}_object.png,{parts},{name}_material.png,,"
    else:
        textures = f"{237 + number % 47};{237 + number % 5}"
        cells = f"224,224,112,112,{color},,,,,{textures}"
    split = "val" if number % 10 < 3 else "train"
    return f"{name}.jpg,{split},{cells}"
