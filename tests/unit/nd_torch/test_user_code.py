"""Modules of users: found last on the path, without our arguments; exits are failures."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from nd_plugin import (
    ModelFailed,
    ModelNotFound,
    NDError,
    SplitModel,
    Unavailable,
    in_bases,
    open_model,
)

SIZE = (16, 16)
EXITS = {
    "an exit": ("sys.exit(0)", "SystemExit: 0 "),
    "an exit with a message": (
        "sys.exit('no data set')",
        "SystemExit: no data set ",
    ),
    "an exit without a code": ("sys.exit()", "SystemExit "),
    "GeneratorExit": ("raise GeneratorExit('closed')", "GeneratorExit: closed"),
    "an end of its own": ("raise OwnEnd('enough')", "OwnEnd: enough"),
    "too deep": ("deeper()", "RecursionError: maximum recursion depth"),
    "no memory": ("raise MemoryError", "MemoryError: out of memory"),
    "a broken message": ("raise Unprintable", "Unprintable: (its message cannot"),
}
HEADER = """
import sys
import torch
from torch import nn

class OwnEnd(BaseException):
    pass

class Unprintable(Exception):
    def __str__(self):
        raise SystemExit(0)

def deeper():
    return deeper()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.faulty = nn.Identity()
"""
Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a module of the current folder; return its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    names: list[str] = []

    def write(source: str) -> str:
        name = f"module_of_test_{len(names)}"
        names.append(name)
        (tmp_path / f"{name}.py").write_text(HEADER + source)
        importlib.invalidate_caches()
        return name

    yield write
    for name in names:
        sys.modules.pop(name, None)


def check_failure(error: NDError, message: str) -> None:
    assert message in str(error)
    assert error.__cause__ is not None
    assert error.exit_code in (1, 2, 3)


@pytest.mark.parametrize("case", EXITS)
def test_an_exit_at_import_is_a_failure(write: Write, case: str) -> None:
    code, message = EXITS[case]
    name = write(f"\n{code}\n")
    with pytest.raises(Unavailable, match=f"{name} cannot be imported") as caught:
        open_model(f"{name}:Net")
    check_failure(caught.value, message)


@pytest.mark.parametrize("case", EXITS)
def test_an_exit_of_a_factory_is_a_failure(write: Write, case: str) -> None:
    code, message = EXITS[case]
    name = write(f"\ndef make():\n    {code}\n")
    with pytest.raises(ModelNotFound, match=f"'{name}:make' could not") as caught:
        open_model(f"{name}:make")
    check_failure(caught.value, message)


def failing_forward(code: str, condition: str = "True") -> str:
    return (
        "\n    def forward(self, images):\n"
        "        x = self.conv(images)\n"
        f"        if {condition}:\n"
        f"            {code}\n"
        "        return self.faulty(x)\n"
    )


@pytest.mark.parametrize("case", EXITS)
def test_an_exit_of_a_forward_pass_is_a_failure(write: Write, case: str) -> None:
    code, message = EXITS[case]
    model = open_model(f"{write(failing_forward(code))}:Net")
    with pytest.raises(ModelFailed, match="failed in its forward pass") as caught:
        model.layers(SIZE)
    check_failure(caught.value, message)
    with pytest.raises(ModelFailed), model.probe(["faulty"], SIZE):
        pass


@pytest.mark.parametrize("case", EXITS)
def test_an_exit_at_a_later_batch_is_a_failure(write: Write, case: str) -> None:
    code, message = EXITS[case]
    source = failing_forward(code, "images.max() > 100")
    model = open_model(f"{write(source)}:Net")
    with (
        pytest.raises(
            ModelFailed, match=r"on images of shape \(2, 3, 16, 16\)"
        ) as caught,
        model.probe(["faulty"], SIZE) as probe,
    ):
        probe(torch.full((2, 3, *SIZE), 200.0))
    check_failure(caught.value, message)


@pytest.mark.parametrize("case", EXITS)
def test_an_exit_behind_a_layer_is_a_failure_of_explanations(
    write: Write, case: str
) -> None:
    code, message = EXITS[case]
    source = failing_forward(code, "images.max() > 100")
    model = open_model(f"{write(source)}:Net")
    assert isinstance(model, SplitModel)
    with pytest.raises(ModelFailed) as caught:
        model.outputs(torch.full((1, 3, *SIZE), 200.0))
    check_failure(caught.value, message)


def test_exceptions_of_a_callers_own_module_pass_in_explanations() -> None:
    class Faulty(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise self.problem

    module = Faulty()
    module.problem = ZeroDivisionError("by zero")  # type: ignore[assignment]
    model = open_model(module)
    assert isinstance(model, SplitModel)
    with pytest.raises(ZeroDivisionError):
        model.outputs(torch.zeros(1, 3, *SIZE))
    module.problem = SystemExit(0)  # type: ignore[assignment]
    with pytest.raises(ModelFailed, match="SystemExit: 0"):
        model.outputs(torch.zeros(1, 3, *SIZE))


def test_an_exit_of_a_basis_is_a_failure() -> None:
    def leave(maps: torch.Tensor) -> torch.Tensor:
        raise SystemExit(0)

    model = in_bases(nn.Sequential(nn.Conv2d(3, 4, 1)), left=leave)
    with (
        pytest.raises(ModelFailed, match=r"the basis fails on .*SystemExit: 0"),
        model.probe(["0@left"], SIZE) as probe,
    ):
        probe(torch.zeros(1, 3, *SIZE))["0@left"]


@pytest.mark.parametrize("place", ["import", "factory", "forward"])
def test_ctrl_c_stays_what_it_is(write: Write, place: str) -> None:
    code = "raise KeyboardInterrupt"
    sources = {
        "import": f"\n{code}\n",
        "factory": f"\ndef make():\n    {code}\n",
        "forward": failing_forward(code) + "\nmake = Net\n",
    }
    with pytest.raises(KeyboardInterrupt):
        open_model(f"{write(sources[place])}:make").layers(SIZE)


def test_a_script_that_parses_arguments_has_none(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["nd", "dissect", "script:make", "-l", "layer4"]
    monkeypatch.setattr(sys, "argv", arguments)
    name = write(
        """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("-l", type=float, default=0.5)
options = parser.parse_args()

def make():
    assert sys.argv == [__name__]
    return nn.Sequential(nn.Conv2d(3, int(options.l * 4), 1))
"""
    )
    assert open_model(f"{name}:make").layers(SIZE)[0].shape == (1, 2, *SIZE)
    assert sys.argv is arguments


def test_a_script_that_needs_arguments_is_named(write: Write) -> None:
    name = write(
        """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True)
parser.parse_args()
"""
    )
    with pytest.raises(Unavailable) as caught:
        open_model(f"{name}:Net")
    assert f"{name} cannot be imported" in str(caught.value)
    assert "SystemExit: 2 " in str(caught.value)
    assert "__main__" in str(caught.value)


def test_siblings_may_be_imported_when_the_model_runs(
    write: Write, tmp_path: Path
) -> None:
    (tmp_path / "sibling_of_test.py").write_text("OFFSET = 1\n")
    name = write(
        """
    def forward(self, images):
        from sibling_of_test import OFFSET
        return self.faulty(self.conv(images)) + OFFSET
"""
    )
    try:
        assert open_model(f"{name}:Net").layers(SIZE)
    finally:
        sys.modules.pop("sibling_of_test", None)


def test_the_current_folder_comes_last(write: Write, tmp_path: Path) -> None:
    before = [*sys.path]
    open_model(f"{write('    pass')}:Net")
    assert sys.path == [*before, str(tmp_path)]


def test_a_name_that_is_installed_too_is_told(write: Write, tmp_path: Path) -> None:
    write("")
    (tmp_path / "captum.py").write_text(HEADER)
    with pytest.raises(ModelNotFound) as caught:
        open_model("captum:Net")
    assert "captum has no 'Net'" in str(caught.value)
    assert "rename 'captum' there" in str(caught.value)


def run_nd(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``nd`` as its script does, in a folder."""
    command = "from nd_plugin.cli import main; main()"
    paths = [path for path in sys.path if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run(
        [sys.executable, "-P", "-c", command, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_local_folder_named_as_a_library_is_not_run(tmp_path: Path) -> None:
    torch.save(
        nn.Sequential(nn.Conv2d(3, 4, 1)).state_dict(), tmp_path / "weights.pth"
    )
    for library in ("safetensors", "captum", "scipy"):
        (tmp_path / library).mkdir()
        code = f"open({str(tmp_path / library)!r} + '/ran', 'w').close()\n"
        (tmp_path / library / "__init__.py").write_text(code)
    (tmp_path / "net_of_test.py").write_text(
        "from torch import nn\n\ndef make():\n    return nn.Sequential(nn.Conv2d(3, 4, 1))\n"
    )
    model = ["net_of_test:make", "--weights", "weights.pth", "--input-size", "16"]
    finished = run_nd(tmp_path, "layers", *model)
    assert finished.returncode == 0, finished.stderr
    assert not list(tmp_path.glob("*/ran")), finished.stderr


def test_other_texts_leave_the_path_alone(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [*sys.path]
    for text in ("torchvision:no_such_model", "timm:no_such_model"):
        with pytest.raises(NDError):
            open_model(text)
    assert sys.path == before
