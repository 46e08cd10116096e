"""The contract of backends, checked by the kit that nd_plugin ships for plugin authors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import networks
import pytest
from networks import SIZE

from nd_openvino.backend import OpenVinoBackend
from nd_plugin.testing import check_backend

GRAPHS: dict[str, Callable[[], Any]] = {
    "bytes": lambda: networks.taking_bytes(networks.many_operations()),
    "quantised": networks.quantised,
    "fixed size": networks.fixed_size,
    "fixed batch of 1": lambda: networks.fixed_batch(1, 1),
    "made for 2 images": lambda: networks.fixed_batch(2, -1),
    "fixed batch of 4": lambda: networks.fixed_batch(4, 4),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph(name: str, saved: Callable[..., str]) -> None:
    check_backend(OpenVinoBackend, saved(GRAPHS[name](), name))


def test_a_network_of_branches(branches: str) -> None:
    check_backend(OpenVinoBackend, branches, size=SIZE)


def test_a_network_of_tokens(attention: str) -> None:
    check_backend(OpenVinoBackend, attention, size=SIZE)


def test_a_file_of_onnx(onnx_file: str) -> None:
    check_backend(OpenVinoBackend, f"openvino:{onnx_file}", size=SIZE)


def test_the_example_by_the_command_line() -> None:
    command = [sys.executable, "-m", "nd_plugin", "plugins", "--check", "openvino"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
