"""Models of processes that torchrun started: each on its own GPU, if the backend can use it."""

from __future__ import annotations

from typing import Any

import pytest

from nd_plugin import ModelOptions, Unavailable
from nd_plugin.plugins import opening

MODEL = object()


@pytest.fixture
def opened_on(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Devices on which models are opened, for the second of several processes with a GPU each."""
    devices: list[str] = []

    def own_device(requested: str) -> str:
        return "cuda:1" if requested in ("auto", "cuda") else requested

    def open_model(model: Any, options: ModelOptions) -> str:
        assert model is MODEL
        assert options.weights == "weights.pt"
        devices.append(options.device)
        return options.device

    monkeypatch.setattr(opening, "own_device", own_device)
    monkeypatch.setattr(opening, "open_model", open_model)
    return devices


def open_on(device: str) -> Any:
    return opening.open_on_own_device(MODEL, ModelOptions(device, "weights.pt"))


@pytest.mark.parametrize(
    ("requested", "device"),
    [("auto", "cuda:1"), ("cuda", "cuda:1"), ("cuda:0", "cuda:0"), ("cpu", "cpu")],
)
def test_each_process_uses_its_own(
    requested: str, device: str, opened_on: list[str]
) -> None:
    assert open_on(requested) == device
    assert opened_on == [device]


def without_cuda(devices: list[str]) -> Any:
    """A backend that has no CUDA: ONNX Runtime in a build for the CPU."""

    def open_model(model: Any, options: ModelOptions) -> str:
        devices.append(options.device)
        if options.device.startswith("cuda"):
            raise Unavailable("no CUDA here")
        return "cpu"

    return open_model


def test_a_backend_without_cuda_chooses_its_device_under_auto(
    opened_on: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "open_model", without_cuda(opened_on))
    assert open_on("auto") == "cpu"
    assert opened_on == ["cuda:1", "auto"]
    with pytest.raises(Unavailable, match="no CUDA here"):
        open_on("cuda")
