"""Precision of an ONNX file: its own, or TF32 by choice on CUDA; the stream of its sessions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx_files
import onnxruntime as ort
import pytest
import torch

from nd_onnxruntime import device_stream, precision, sessions
from nd_onnxruntime.device_stream import DeviceStream, cuda_options, further_options
from nd_onnxruntime.sessions import CPU, CUDA, SessionDevice
from nd_plugin import (
    BadInput,
    ModelFailed,
    ModelOptions,
    Unavailable,
    open_model,
)

SIZE = (32, 32)
GPU = SessionDevice(CUDA, 1, torch.device("cuda:1"))


def opened(path: Path, chosen: str | None = None) -> Any:
    return open_model(str(path), ModelOptions(precision=chosen))


class TestChoice:
    @pytest.mark.parametrize("chosen", [None, "float32"])
    def test_float32_is_that_of_a_plain_file(
        self, chosen: str | None, tmp_path: Path
    ) -> None:
        model = opened(onnx_files.dynamic_batch(tmp_path), chosen)
        assert model.compute_precision == "float32" and model.notes == ()

    @pytest.mark.parametrize("chosen", ["float16", "bfloat16"])
    def test_half_precision_is_refused_with_what_to_do(
        self, chosen: str, tmp_path: Path
    ) -> None:
        with pytest.raises(BadInput) as refused:
            opened(onnx_files.dynamic_batch(tmp_path), chosen)
        assert str(refused.value) == (
            "an ONNX file has its precision in itself (float32): to run it in "
            f"{chosen}, export the model so (model.half() before torch.onnx.export, or "
            "onnxruntime.transformers.float16), and leave out the choice of precision"
        )

    def test_of_a_file_in_half_precision_is_its_own(self, tmp_path: Path) -> None:
        path = onnx_files.fp16(tmp_path)
        own = "the weights are float16, which decides the precision"
        for chosen in (None, "float16"):
            model = opened(path, chosen)
            assert model.compute_precision == "float16" and model.notes == (own,)
        model = opened(path, "float32")
        assert model.compute_precision == "float16"
        assert model.notes == (
            own,
            "precision float32 has no effect on weights of float16",
        )

    def test_tf32_is_not_of_a_cpu(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable) as refused:
            opened(onnx_files.dynamic_batch(tmp_path), "tf32")
        assert refused.value.exit_code == 3
        assert "ONNX Runtime uses the CPU: choose float32" in str(refused.value)

    def test_tf32_is_of_gpus_that_have_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla T4")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
        with pytest.raises(Unavailable, match=r"Tesla T4 has no TF32 .* 7\.5"):
            precision.check_choice("tf32", "float32", GPU)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
        precision.check_choice("tf32", "float32", GPU)
        # torch without CUDA cannot tell
        precision.check_choice("tf32", "float32", SessionDevice(CUDA))

    @pytest.mark.parametrize(
        ("weights", "deciding"),
        [
            ("", ""),
            ("float32", ""),
            ("float32 and int64", ""),
            ("int64", ""),
            ("float16", "float16"),
            ("int8 and float32", "int8 and float32"),
            ("float32 and int64 and float16", "float32 and float16"),
        ],
    )
    def test_indices_are_no_arithmetic(self, weights: str, deciding: str) -> None:
        assert precision.deciding_types(weights) == deciding

    def test_reaches_the_sessions(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a model, and of the same model in another precision."""
        monkeypatch.setattr(precision, "_check_tf32", lambda _: None)
        model = opened(onnx_files.dynamic_batch(tmp_path))
        changed = model.in_precision("tf32")
        assert changed.loaded.device.use_tf32 and not model.loaded.device.use_tf32
        assert changed.compute_precision == "tf32"
        assert changed.in_precision("float32").compute_precision == "float32"
        assert changed.identity == model.identity


class TestProviderOptions:
    @pytest.fixture(autouse=True)
    def no_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(device_stream.FURTHER_OPTIONS, raising=False)

    @pytest.mark.parametrize("use_tf32", [False, True])
    def test_of_cuda(self, use_tf32: bool) -> None:
        device = SessionDevice(CUDA, 1, torch.device("cuda:1"), use_tf32)
        (name, options), last = sessions._providers(device, DeviceStream())
        assert (name, last) == (CUDA, CPU)
        assert options["device_id"] == "1"
        assert options["use_tf32"] == str(int(use_tf32))
        assert "user_compute_stream" not in options

    def test_of_the_cpu_are_none(self) -> None:
        assert sessions._providers(SessionDevice(CPU), DeviceStream()) == [CPU]

    def test_name_the_stream(self) -> None:
        stream = DeviceStream(FakeStream([], "session", 140))  # type: ignore[arg-type]
        (_, options), _ = sessions._providers(GPU, stream)
        assert options["user_compute_stream"] == "140"

    def test_of_the_environment_come_last(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = device_stream.FURTHER_OPTIONS
        text = "prefer_nhwc=1,cudnn_conv_algo_search=EXHAUSTIVE"
        monkeypatch.setenv(name, text)
        options = cuda_options(0, use_tf32=False)
        assert options["prefer_nhwc"] == "1"
        assert options["cudnn_conv_algo_search"] == "EXHAUSTIVE"
        with pytest.raises(BadInput, match="'prefer_nhwc' is not NAME=VALUE"):
            further_options({name: "prefer_nhwc"})
        assert further_options({}) == {}


class FakeStream:
    """Stream that records what it is told."""

    def __init__(self, log: list[str], name: str, address: int = 7) -> None:
        self.log, self.name, self.cuda_stream = log, name, address
        self.device = torch.device("cuda:1")

    def wait_stream(self, other: FakeStream) -> None:
        self.log.append(f"{self.name} waits for {other.name}")


class TestStream:
    @pytest.fixture
    def log(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
        log: list[str] = []
        current = FakeStream(log, "torch")
        monkeypatch.setattr(torch.cuda, "current_stream", lambda _: current)
        yield log

    def stream(self, log: list[str]) -> DeviceStream:
        return DeviceStream(FakeStream(log, "session"))  # type: ignore[arg-type]

    def test_runs_in_turn_with_that_of_torch(self, log: list[str]) -> None:
        with self.stream(log).in_turn():
            log.append("run")
        assert log == [
            "session waits for torch",
            "run",
            "torch waits for session",
        ]

    def test_is_waited_for_after_a_failure(self, log: list[str]) -> None:
        """The inputs' memory is torch's again, and a kernel may still read it."""
        with (
            pytest.raises(RuntimeError, match="planned"),
            self.stream(log).in_turn(),
        ):
            raise RuntimeError("planned")
        assert log[-1] == "torch waits for session"

    def test_spares_the_host_the_wait(self, log: list[str]) -> None:
        options = self.stream(log).run_options
        assert options is not None
        entry = options.get_run_config_entry(
            "disable_synchronize_execution_providers"
        )
        assert entry == "1"
        assert DeviceStream().run_options is None

    def test_is_none_on_a_cpu(self, tmp_path: Path) -> None:
        assert DeviceStream.on(torch.device("cpu")).stream is None
        assert DeviceStream().session_options == {}

    def test_outputs_of_a_run_on_it_are_copies(
        self, log: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """ONNX Runtime writes over its own memory in the next run."""
        model = opened(onnx_files.dynamic_batch(tmp_path))
        runner = model.loaded.runner(model.loaded.output_names, SIZE, singly=False)
        images = torch.rand(2, 3, *SIZE)
        expected = runner(images)
        own_outputs: list[Any] = []
        get_outputs = ort.IOBinding.get_outputs

        def get_and_record(binding: ort.IOBinding) -> Any:
            own_outputs.extend(get_outputs(binding))
            return own_outputs

        monkeypatch.setattr(ort.IOBinding, "get_outputs", get_and_record)
        runner = type(runner)(
            runner.session,
            runner.device,
            runner.image,
            runner.feeds,
            self.stream(log),
        )
        actual = runner(images)
        assert log == ["session waits for torch", "torch waits for session"]
        for output, own in zip(actual, expected, strict=True):
            assert output.equal(own)
        addresses = {output.data_ptr() for output in own_outputs}
        assert len(own_outputs) == len(actual) == len(expected)
        assert addresses.isdisjoint(output.data_ptr() for output in actual)

    def test_a_failing_run_is_a_failure_of_the_model(
        self, log: list[str], tmp_path: Path
    ) -> None:
        model = opened(onnx_files.dynamic_batch(tmp_path))
        runner = model.loaded.runner(model.loaded.output_names, SIZE, singly=False)
        runner = type(runner)(
            runner.session,
            runner.device,
            runner.image,
            runner.feeds,
            self.stream(log),
        )
        with pytest.raises(
            ModelFailed, match=r"failed on images of shape \(2, 3, 5"
        ):
            runner(torch.rand(2, 3, 5, 5))
        assert log[-1] == "torch waits for session"
