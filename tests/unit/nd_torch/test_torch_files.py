"""Weights in files of torch.save, of every age: what is read, and that nothing in them runs."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import pickle
import random
import struct
import tarfile
import zipfile
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import networks
import pytest
import torch
import weight_writers as writers
from torch import Tensor, nn

from nd_plugin import ModelNotFound, ModelOptions, open_model
from nd_torch.weight_files.fitting import fit_weights
from nd_torch.weight_files.pickle_machine import read_pickle
from nd_torch.weight_files.reading import read_weights_file
from nd_torch.weight_files.stored_tensors import StoredTensor

MODEL = "networks:ResNet18"


def load(path: Path, module: nn.Module) -> tuple[str, ...]:
    return fit_weights(read_weights_file(str(path), module), module)


def opened_state(path: Path, text: str = MODEL) -> tuple[dict[str, Tensor], Any]:
    model: Any = open_model(text, ModelOptions(weights=str(path)))
    return model.root.state_dict(), model


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    for name, values in second.items():
        assert torch.equal(first[name], values), name


@pytest.fixture
def state() -> dict[str, Tensor]:
    return writers.random_state(networks.ResNet18(), 3)


class TestPlacesFiles:
    """The layout of the Places365 files: Python 2, torch 0.2, DataParallel, on a GPU."""

    ENTRIES: ClassVar = {
        "epoch": writers.integer(90),
        "arch": writers.text("resnet18"),
        "best_prec1": writers.real(54.23),
        "optimizer": writers.mapping(
            {"state": b"}", "note": writers.text("Zhou, é")}
        ),
        "long": writers.text("é" * 300),
    }

    def test_they_are_read(self, tmp_path: Path, state: dict[str, Tensor]) -> None:
        path = tmp_path / "resnet18_places365.pth.tar"
        prefixed = {f"module.{name}": values for name, values in state.items()}
        path.write_bytes(writers.python2_file(prefixed, self.ENTRIES))
        loaded, model = opened_state(path)
        assert_same(loaded, state)
        assert model.notes == ()

    def test_the_writer_writes_as_torch_reads(
        self, tmp_path: Path, state: dict[str, Tensor]
    ) -> None:
        """Without strings beyond ASCII, torch reads the layout, too."""
        path = tmp_path / "w.pth.tar"
        entries = {"arch": writers.text("resnet18"), "epoch": writers.integer(1)}
        path.write_bytes(writers.python2_file(state, entries))
        content = torch.load(path, map_location="cpu", weights_only=True)
        assert content["arch"] == "resnet18"
        assert_same(dict(content["state_dict"]), state)

    def test_data_parallel_around_a_part(self, tmp_path: Path) -> None:
        """As Places' AlexNet and VGG: features.module.0.weight, classifier.weight."""
        module = nn.Sequential(
            OrderedDict(
                features=nn.Sequential(nn.Conv2d(3, 4, 3)), head=nn.Linear(4, 2)
            )
        )
        state = writers.random_state(module, 0)
        renamed = {
            name.replace("features.", "features.module."): values
            for name, values in state.items()
        }
        path = tmp_path / "w.pth.tar"
        path.write_bytes(writers.python2_file(renamed, {}))
        assert load(path, module) == ()
        assert_same(module.state_dict(), state)

    def test_names_of_old_densenets(self, tmp_path: Path) -> None:
        block = nn.Sequential(
            OrderedDict(
                norm1=nn.BatchNorm2d(3),
                conv1=nn.Conv2d(3, 4, 1),
                norm2=nn.BatchNorm2d(4),
            )
        )
        module = nn.Sequential(OrderedDict(denselayer1=block))
        state = writers.random_state(module, 0)
        renamed = {
            name.replace("norm1", "norm.1")
            .replace("conv1", "conv.1")
            .replace("norm2", "norm.2"): values
            for name, values in state.items()
        }
        path = tmp_path / "densenet161_places365.pth.tar"
        path.write_bytes(writers.python2_file(renamed, {}))
        assert load(path, module) == ()
        assert_same(module.state_dict(), state)

    @pytest.mark.parametrize(
        ("architecture", "is_said"),
        [("resnet18", False), ("ResNet-18", False), ("wide_densenet", True)],
    )
    def test_another_architecture_is_said(
        self,
        tmp_path: Path,
        state: dict[str, Tensor],
        architecture: str,
        is_said: bool,
    ) -> None:
        path = tmp_path / "w.pth.tar"
        entries = {"arch": writers.text(architecture)}
        path.write_bytes(writers.python2_file(state, entries))
        _, model = opened_state(path)
        note = f"it is of '{architecture}'; the model is networks:ResNet18"
        assert [note in text for text in model.notes] == [True] * is_said

    def test_of_another_architecture_that_does_not_fit(
        self, tmp_path: Path, state: dict[str, Tensor]
    ) -> None:
        path = tmp_path / "w.pth.tar"
        entries = {"arch": writers.text("resnet50")}
        path.write_bytes(
            writers.python2_file({"conv9.weight": state["conv1.weight"]}, entries)
        )
        message = "no name is the same|the file says that it is of 'resnet50'"
        with pytest.raises(ModelNotFound, match=message):
            opened_state(path)


def test_parameters_of_torch_before_0_4(tmp_path: Path) -> None:
    """Variables and Parameters, which are classes that are called with their tensor."""
    state = writers.random_state(nn.Linear(2, 3), 0)
    content = writers.python2_file(state, {})
    start = b"ctorch._utils\n_rebuild_tensor\n"
    for kind in (
        "torch.nn.parameter\nParameter",
        "torch.autograd.variable\nVariable",
    ):
        # the tensor, an argument, and the state that is put into the object
        wrapped = content.replace(start, b"c" + kind.encode() + b"\n(" + start)
        for values in state.values():
            strides = writers.marked(
                map(writers.integer, values.contiguous().stride()), b"t"
            )
            called = b"\x88tR" + b"(\x88Nt" + b"b"
            wrapped = wrapped.replace(strides + b"tR", strides + b"tR" + called)
        path = tmp_path / "w.pth.tar"
        path.write_bytes(wrapped)
        module = nn.Linear(2, 3)
        assert load(path, module) == ()
        assert_same(module.state_dict(), state)


def save_as(content: Any, path: Path, form: str) -> None:
    if form == "stream":
        torch.save(content, path, _use_new_zipfile_serialization=False)
    else:
        torch.save(content, path, pickle_protocol=int(form))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
@pytest.mark.parametrize("form", ["stream", "2", "4", "5"])
class TestForms:
    def test_tensors_of_all_kinds(self, tmp_path: Path, form: str) -> None:
        """Views of one storage, transposed, empty, half, integer, with gradients."""
        base = torch.arange(24.0).reshape(4, 6)
        attributed = nn.Parameter(base + 1)
        attributed.note = "mine"  # type: ignore[attr-defined]
        state = {
            "rows": base[1:3],
            "columns": base[:, 2:4],
            "transposed": base.T,
            "step": base[::2, ::3],
            "half": base.half(),
            "brain": base.bfloat16(),
            "double": base.double(),
            "count": torch.tensor(7),
            "flags": torch.tensor([True, False]),
            "bytes": torch.tensor([1, 200], dtype=torch.uint8),
            "empty": torch.empty(0, 3),
            "parameter": nn.Parameter(base.clone()),
            "scalar": torch.tensor(0.5),
            "attributed": attributed,
        }
        path = tmp_path / "w.pt"
        save_as(state, path, form)
        file = read_weights_file(str(path), nn.Identity())
        expected = torch.load(path, weights_only=False)
        assert list(file.tensors) == list(expected)
        for name, tensor in file.tensors.items():
            values = tensor.load()
            assert tensor.shape == tuple(expected[name].shape)
            assert values.dtype == expected[name].dtype
            assert torch.equal(values, expected[name].detach()), name

    def test_objects_beside_the_weights_are_left_unread(
        self, tmp_path: Path, form: str
    ) -> None:
        model = networks.ResNet18()
        optimizer = torch.optim.Adam(model.parameters())
        model(torch.rand(2, 3, 64, 64)).sum().backward()
        optimizer.step()
        content = {
            "epoch": 3,
            "args": argparse.Namespace(lr=0.1, hook=print),
            "trap": Trap(str(tmp_path / "touched")),
            "optimizer": optimizer.state_dict(),
            "state_dict": nn.DataParallel(model).state_dict(),
        }
        path = tmp_path / "w.pth.tar"
        save_as(content, path, form)
        loaded, _ = opened_state(path)
        assert_same(loaded, dict(model.state_dict()))
        assert not (tmp_path / "touched").exists()

    def test_a_whole_module_is_refused(self, tmp_path: Path, form: str) -> None:
        path = tmp_path / "whole.pth.tar"
        for content in (Loud(), {"model": Loud(), "epoch": 2}):
            save_as(content, path, form)
            Loud.calls = 0
            message = (
                r"contains a whole pickled module \(.*\.Loud\), which is code.*never executed.*"
                r"torch\.load\(FILE, weights_only=False\)\.state_dict\(\)"
            )
            with pytest.raises(ModelNotFound, match=message):
                opened_state(path)
            assert Loud.calls == 0

    def test_a_trap_among_the_weights_does_not_run(
        self, tmp_path: Path, form: str
    ) -> None:
        path = tmp_path / "w.pt"
        save_as({"w": Trap(str(tmp_path / "touched"))}, path, form)
        message = "contains other pickled objects, which are never executed"
        with pytest.raises(ModelNotFound, match=message):
            opened_state(path)
        assert not (tmp_path / "touched").exists()

    def test_a_state_dict_under_a_name_of_its_own(
        self, tmp_path: Path, form: str, state: dict[str, Tensor]
    ) -> None:
        path = tmp_path / "w.pt"
        save_as(
            {"student": state, "loss": [1.0, 0.5], "names": {"a": 1}}, path, form
        )
        loaded, _ = opened_state(path)
        assert_same(loaded, state)


class Trap:
    """Object that creates a file where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (Path(self.path),)


class Loud(nn.Module):
    calls = 0

    def __setstate__(self, state: Any) -> None:
        Loud.calls += 1
        super().__setstate__(state)


def stream(pickle_of_content: bytes, numbers: bytes = b"") -> bytes:
    """Write a file of torch before 1.6 around a pickle."""
    magic = b"\x80\x02\x8a\x0a" + writers.MAGIC_NUMBER.to_bytes(10, "little") + b"."
    version = b"\x80\x02" + writers.integer(1001) + b"."
    return (
        magic
        + version
        + b"\x80\x02}."
        + pickle_of_content
        + b"\x80\x02]."
        + numbers
    )


def traps(path: Path) -> dict[str, bytes]:
    """Pickles that would run a command, by every operation that can call something."""
    command = f"touch {path}"
    argument = b"X" + struct.pack("<I", len(command)) + command.encode()
    system = f"c{os.system.__module__}\nsystem\n".encode()
    named = b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93"
    evaluated = f"__import__('os').system('{command}')"
    source = b"X" + struct.pack("<I", len(evaluated)) + evaluated.encode()
    return {
        "REDUCE": b"\x80\x02" + system + argument + b"\x85R.",
        "STACK_GLOBAL": b"\x80\x04" + named + argument + b"\x85R.",
        "INST": b"(" + argument + b"ios\nsystem\n.",
        "OBJ": b"(cos\nsystem\n" + argument + b"o.",
        "NEWOBJ": b"\x80\x02" + system + argument + b"\x85\x81.",
        "eval": b"\x80\x02cbuiltins\neval\n" + source + b"\x85R.",
        "BUILD": b"\x80\x02" + system + argument + b"\x85R}b.",
        "persistent": b"\x80\x02" + system + argument + b"\x85RQ.",
        "in a dict": b"\x80\x02}X\x01\x00\x00\x00w"
        + system
        + argument
        + b"\x85Rs.",
    }


@pytest.mark.parametrize("name", list(traps(Path("x"))))
def test_no_operation_of_a_pickle_runs(tmp_path: Path, name: str) -> None:
    touched = tmp_path / "touched"
    content = traps(touched)[name]
    if name not in ("NEWOBJ", "persistent"):
        with contextlib.suppress(AttributeError):
            pickle.loads(content)
        assert touched.exists(), "the trap does not work"
        touched.unlink()
    old = tmp_path / "old.pt"
    old.write_bytes(stream(content))
    new = tmp_path / "new.pt"
    with zipfile.ZipFile(new, "w") as archive:
        archive.writestr("w/data.pkl", content)
    for path in (old, new):
        with pytest.raises(ModelNotFound):
            opened_state(path)
    assert not touched.exists()


def nested(depth: int) -> bytes:
    """Pickle a dict whose key is a tuple of twice the same tuple, of twice …"""
    return b"\x80\x02})" + b"2\x86" * depth + b"K\x01s."


def named_by(depth: int) -> bytes:
    """Pickle a class whose module is such a tuple, and no text."""
    return b"\x80\x04)" + b"2\x86" * depth + b"\x8c\x01x\x93."


def huge_tensor(count: int, shape: bytes, strides: bytes) -> bytes:
    size = (
        writers.integer(1)
        if count == 1
        else b"\x8a\x06" + count.to_bytes(6, "little")
    )
    storage = writers.marked(
        [
            writers.text("storage"), b"ctorch\nFloatStorage\n", writers.text("0"),
            writers.text("cpu"), size, b"N",
        ],
        b"tQ",
    )  # fmt: skip
    arguments = writers.marked([storage, writers.integer(0), shape, strides], b"t")
    return (
        b"\x80\x02}" + writers.text("w") + b"ctorch._utils\n_rebuild_tensor\n"
        + arguments + b"Rs."
    )  # fmt: skip


# of 40,000 digits, more than Python prints
LONG_NUMBER = b"\x8b" + struct.pack("<i", 16_000) + b"\xff" * 15_999 + b"\x7f"
BILLION = b"\x8a\x05\x00\x00\x00\x00\x10"


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02}r\xff\xff\xff\xff.",  # a place 2³² - 1 in the memo
        b"\x80\x04\x8e"
        + struct.pack("<Q", 2**40)
        + b"x.",  # bytes that are not there
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",
        b"\x80\x02T\xff\xff\xff\x7fx.",
        nested(200),
        named_by(200),
        b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",  # deep
        b"\x80\x02" + b"(" * 100_000 + b".",
        b"\x80\x02ca\nb\n" + b")R" * 100_000 + b".",
        b"\x80\x02" + b"}" * 1_100_000 + b".",  # more than may be
        b"\x80\x02}" + LONG_NUMBER + b"K\x01s.",
        b"\x80\x02("
        + writers.text("storage")
        + b"ctorch\nFloatStorage\n"
        + LONG_NUMBER
        + writers.text("cpu")
        + b"K\x01tQ.",
        huge_tensor(1, LONG_NUMBER + b"\x85", b"K\x01\x85"),
        huge_tensor(2**40, b"K\x01\x85", b"K\x01\x85"),
        huge_tensor(1, BILLION + b"\x85", b"K\x00\x85"),
        huge_tensor(1, BILLION + b"\x85", b"K\x01\x85"),
        huge_tensor(1, b"K\x01K\x02\x86", b"K\x01\x85"),
        huge_tensor(1, b"J\xff\xff\xff\xff\x85", b"K\x01\x85"),
        huge_tensor(1, b"N", b"N"),
    ],
)
def test_pickles_that_ask_for_much(tmp_path: Path, content: bytes) -> None:
    """They are refused before memory is reserved, and not after years."""
    path = tmp_path / "w.pt"
    path.write_bytes(stream(content))
    with pytest.raises(ModelNotFound):
        load(path, nn.Linear(2, 3))


def test_calls_copy_no_items() -> None:
    """A list that many calls have as argument is in memory once."""
    items = b"]q\x00](K\x01K\x02ea0"
    call = b"h\x00\x85R"
    sets = b"\x80\x02" + items + (b"c__builtin__\nset\n" + call) * 2 + b"\x86."
    first, second = read_pickle(io.BytesIO(sets))
    assert first is second and first == [[1, 2]]
    name = b"ccollections\nOrderedDict\n"
    dicts = b"\x80\x02" + items + (name + call) * 2 + b"\x86."
    assert read_pickle(io.BytesIO(dicts)) == ({1: 2}, {})


def test_a_tensor_that_repeats_a_number(tmp_path: Path) -> None:
    """As `expand` makes them; a classifier of any number of classes could be in a few bytes."""
    number = torch.ones(1)
    path = tmp_path / "w.pt"
    torch.save({"weight": number.expand(3, 2), "bias": number.expand(3)}, path)
    module = nn.Linear(2, 3)
    assert load(path, module) == ()
    assert torch.equal(module.weight, torch.ones(3, 2))
    classes = 2**24
    torch.save(
        {"weight": number.expand(classes, 2), "bias": number.expand(classes)}, path
    )
    message = (
        r"shape \(16777216, 2\) that repeats 1 numbers: save it with contiguous"
    )
    with pytest.raises(ModelNotFound, match=message):
        load(path, module)


def test_an_archive_that_unpacks_to_much(tmp_path: Path) -> None:
    """Compressed numbers are not read: torch compresses none."""
    path = tmp_path / "w.pt"
    torch.save({"weight": torch.zeros(2**20), "bias": torch.zeros(1)}, path)
    bomb = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(bomb, "w") as copy:
        for info in archive.infolist():
            data = archive.read(info)
            copy.writestr(info.filename, data, compress_type=zipfile.ZIP_DEFLATED)
    module = nn.Linear(2**20, 1)
    module.weight = nn.Parameter(torch.zeros(2**20))
    with pytest.raises(ModelNotFound, match="lacks the numbers of storage"):
        load(bomb, module)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.pt", b"", "does not begin like a file of torch.save"),
        ("w.pt", b"no weights", "does not begin like a file of torch.save"),
        ("w.pt", b"\x80\x02K\x01.", "does not begin like a file of torch.save"),
        ("w.pt", b"PK\x03\x04", "its archive is damaged"),
        (
            "w.caffemodel.h5",
            b"\x89HDF\r\n",
            "it is an HDF5 file, of Keras or of Caffe",
        ),
        ("w.t7", b"\x04\x00\x00\x00", "it is a file of Lua Torch"),
        ("w.safetensors", b"\xff" * 20, "SafetensorError"),
        ("w.safetensors", b"", "SafetensorError"),
    ],
)
def test_files_of_other_kinds(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(
        ModelNotFound, match=f"cannot be read as weights: .*{message}"
    ):
        opened_state(path)


def test_a_tar_archive_of_the_first_torch(tmp_path: Path) -> None:
    path = tmp_path / "w.pth.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(ModelNotFound, match=r"tar archive of torch before 0\.1\.9"):
        opened_state(path)


# torch.jit.script is deprecated, from torch 2.14 on as a FutureWarning
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchscript(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.jit.save(torch.jit.script(nn.Linear(2, 3)), str(path))
    with pytest.raises(ModelNotFound, match="TorchScript archive, which is code"):
        opened_state(path)


def test_big_endian_archives(tmp_path: Path) -> None:
    module = nn.Linear(2, 3)
    path = tmp_path / "w.pt"
    torch.save(module.state_dict(), path)
    swapped = tmp_path / "big.pt"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(swapped, "w") as copy:
        for info in archive.infolist():
            data = archive.read(info)
            if "/data/" in info.filename:
                count = len(data) // 4
                data = struct.pack(f">{count}f", *struct.unpack(f"<{count}f", data))
            elif info.filename.endswith("byteorder"):
                data = b"big"
            copy.writestr(info.filename, data)
    target = nn.Linear(2, 3)
    load(swapped, target)
    assert_same(target.state_dict(), dict(module.state_dict()))


def written_forms(tmp_path: Path) -> dict[str, bytes]:
    module = nn.Linear(3, 2)
    forms = {}
    for form in ("stream", "2", "4"):
        path = tmp_path / f"{form}.pt"
        save_as({"arch": "linear", "state_dict": module.state_dict()}, path, form)
        forms[form] = path.read_bytes()
    state = {
        f"module.{name}": values for name, values in module.state_dict().items()
    }
    forms["python2"] = writers.python2_file(state, TestPlacesFiles.ENTRIES)
    return forms


@pytest.mark.parametrize("form", ["stream", "2", "4", "python2"])
def test_damaged_files_give_our_errors(tmp_path: Path, form: str) -> None:
    """Cut off anywhere they are refused; with a bit flipped refused, or read as other numbers."""
    intact = written_forms(tmp_path)[form]
    path = tmp_path / "w.pt"
    for length in range(0, len(intact), 7):
        path.write_bytes(intact[:length])
        with pytest.raises(ModelNotFound):
            load(path, nn.Linear(3, 2))
    generator = random.Random(form)
    for _ in range(400):
        damaged = bytearray(intact)
        for _ in range(generator.choice([1, 1, 3])):
            damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(
                8
            )
        path.write_bytes(damaged)
        try:
            load(path, nn.Linear(3, 2))
        except ModelNotFound:
            continue


def test_a_flipped_bit_among_the_numbers_of_an_archive_is_noticed(
    tmp_path: Path,
) -> None:
    module = nn.Linear(3, 2)
    path = tmp_path / "w.pt"
    torch.save(module.state_dict(), path)
    data = bytearray(path.read_bytes())
    numbers = module.weight.detach().numpy().tobytes()
    data[data.index(numbers) + 5] ^= 4
    path.write_bytes(data)
    with pytest.raises(ModelNotFound, match=r"its archive is damaged .*CRC"):
        load(path, nn.Linear(3, 2))


def test_many_tensors_in_one_storage_are_read_once(tmp_path: Path) -> None:
    """As optimizers write them that keep all weights in one row; each takes only its own memory."""
    row = torch.arange(100_000.0)
    state = {f"w{number}": row[number * 100 :][:100] for number in range(1000)}
    for form in ("2", "stream"):
        path = tmp_path / f"{form}.pt"
        save_as(state, path, form)
        file = read_weights_file(str(path), nn.Identity())
        for number, tensor in enumerate(file.tensors.values()):
            values = tensor.load()
            assert values[0] == number * 100
            assert values.untyped_storage().nbytes() == 400


def test_a_size_that_an_archive_only_claims(tmp_path: Path) -> None:
    """The directory says more bytes than there are, and the pickle agrees."""
    path = tmp_path / "w.pt"
    state = {"weight": torch.zeros(3, 2), "bias": torch.zeros(3)}
    torch.save(state, path)
    with zipfile.ZipFile(path) as archive:
        content = {info.filename: archive.read(info) for info in archive.infolist()}
    name = next(name for name in content if name.endswith("/data/0"))
    content[name] = content[name][:8]
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in content.items():
            archive.writestr(member, data)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    while data[entry + 46 : entry + 46 + len(name)] != name.encode():
        entry = data.index(b"PK\x01\x02", entry + 1)
    data[entry + 24 : entry + 28] = struct.pack("<I", 24)  # the size when unpacked
    path.write_bytes(data)
    with pytest.raises(ModelNotFound, match=r"cut off within its numbers|damaged"):
        load(path, nn.Linear(2, 3))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RecursionError("too deep"),
        KeyError("name"),
        OverflowError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize(
    ("reader", "name"),
    [
        ("read_torch_file", "a.pth"),
        ("_safetensors", "a.safetensors"),
        ("read_caffe_layers", "a.caffemodel"),
    ],
)
def test_whatever_a_reader_raises_names_the_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    reader: str,
    name: str,
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(f"nd_torch.weight_files.reading.{reader}", fail)
    (tmp_path / name).write_bytes(b"content")
    with pytest.raises(ModelNotFound) as caught:
        load(tmp_path / name, nn.Linear(1, 1))
    assert f"{name}' cannot be read as weights: it is damaged" in str(caught.value)
    assert type(error).__name__ in str(caught.value)
    assert caught.value.__cause__ is error


def test_whatever_the_numbers_raise_names_the_file(tmp_path: Path) -> None:
    module = nn.Linear(1, 1)
    path = tmp_path / "a.pth"
    torch.save(module.state_dict(), path)
    file = read_weights_file(str(path), module)

    def fail() -> Tensor:
        raise MemoryError

    tensors = {
        name: StoredTensor(tensor.shape, fail)
        for name, tensor in file.tensors.items()
    }
    with pytest.raises(ModelNotFound, match=r"a\.pth.*MemoryError: out of memory"):
        fit_weights(replace(file, tensors=tensors), module)
