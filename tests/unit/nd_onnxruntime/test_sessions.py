"""The device that was asked for, and ONNX Runtime's errors in our words."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx_files
import onnxruntime as ort
import pytest
import torch

from nd_onnxruntime import runtime_errors, sessions
from nd_onnxruntime.document import Document
from nd_plugin import (
    BadInput,
    ModelFailed,
    ModelNotFound,
    ModelOptions,
    Unavailable,
    open_model,
)

SIZE = (32, 32)


@pytest.fixture
def without_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A build of ONNX Runtime for the CPU alone."""
    monkeypatch.setattr(
        ort, "get_available_providers", lambda: ["CPUExecutionProvider"]
    )
    sessions.cuda_problem.cache_clear()
    yield
    sessions.cuda_problem.cache_clear()


@pytest.fixture
def broken_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A build for CUDA that cannot use it."""
    monkeypatch.setattr(
        ort,
        "get_available_providers",
        lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
    )
    monkeypatch.setattr(
        sessions,
        "_cuda_refusal",
        lambda: "CUDA failure 100: no CUDA-capable device is detected",
    )
    monkeypatch.setattr(ctypes, "CDLL", lambda *_: None)
    sessions.cuda_problem.cache_clear()
    yield
    sessions.cuda_problem.cache_clear()


class TestDevices:
    @pytest.mark.parametrize("device", ["cuda", "cuda:1"])
    @pytest.mark.usefixtures("without_cuda")
    def test_that_are_not_there_are_unavailable_with_the_reason(
        self, device: str, tmp_path: Path
    ) -> None:
        with pytest.raises(Unavailable) as raised:
            open_model(
                str(onnx_files.dynamic_batch(tmp_path)), ModelOptions(device)
            )
        assert raised.value.exit_code == 3
        assert str(raised.value) == (
            f"device {device!r} is not available: this ONNX Runtime {ort.__version__} is built for "
            "CPUExecutionProvider; use --device cpu, or run nd doctor for details"
        )

    @pytest.mark.usefixtures("broken_cuda")
    def test_that_do_not_work_say_what_cuda_said(self, tmp_path: Path) -> None:
        with pytest.raises(
            Unavailable,
            match="finds no CUDA device that it can use: CUDA failure 100: no CUDA-cap",
        ):
            open_model(
                str(onnx_files.dynamic_batch(tmp_path)), ModelOptions("cuda")
            )

    @pytest.mark.parametrize("fixture", ["without_cuda", "broken_cuda"])
    @pytest.mark.parametrize("device", ["auto", "cpu"])
    def test_auto_takes_the_cpu_and_says_so(
        self,
        fixture: str,
        device: str,
        tmp_path: Path,
        request: pytest.FixtureRequest,
    ) -> None:
        request.getfixturevalue(fixture)
        model = open_model(
            str(onnx_files.dynamic_batch(tmp_path)), ModelOptions(device)
        )
        assert model.device == torch.device("cpu")
        assert (
            model.identity.version
            == f"onnxruntime {ort.__version__}, CPUExecutionProvider"
        )

    @pytest.mark.parametrize("device", ["gpu", "cpu:1", "cuda:x", "CUDA", "auto:0"])
    def test_that_nobody_knows_are_refused(
        self, device: str, tmp_path: Path
    ) -> None:
        with pytest.raises(
            BadInput,
            match=f"no device '{device}' for ONNX Runtime; choose auto, cpu, cuda or cuda:INDEX",
        ):
            open_model(
                str(onnx_files.dynamic_batch(tmp_path)), ModelOptions(device)
            )

    def test_a_provider_that_was_not_had_is_no_silent_cpu(
        self, tmp_path: Path, monkeypatch: Any
    ) -> None:
        """Should ONNX Runtime fall back on its own, though CUDA was found usable before."""
        monkeypatch.setattr(sessions, "cuda_problem", lambda: None)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        real, cpu = ort.InferenceSession, ["CPUExecutionProvider"]
        monkeypatch.setattr(
            ort,
            "InferenceSession",
            lambda model, options, providers: real(model, options, providers=cpu),
        )
        model = open_model(
            str(onnx_files.dynamic_batch(tmp_path)), ModelOptions("cuda")
        )
        with (
            pytest.raises(
                Unavailable,
                match="fell back on CPUExecutionProvider instead of CUDAExecutionProvider",
            ),
            model.probe(["relu1"], SIZE),
        ):
            pass

    def test_looking_for_cuda_writes_nothing(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        sessions.cuda_problem.cache_clear()
        sessions.cuda_problem()
        written = capfd.readouterr()
        assert written.out == "" and written.err == ""


class TestErrors:
    def test_of_an_operator_name_the_option_that_helps(
        self, tmp_path: Path
    ) -> None:
        path = onnx_files.unknown_domain(tmp_path)
        with (
            pytest.raises(BadInput) as raised,
            open_model(str(path)).probe(["relu2"], SIZE),
        ):
            pass
        assert str(raised.value) == (
            f"{path} needs the operator Sharpen of the domain 'com.example.ops', which ONNX "
            "Runtime does not know: "
            "give the library that implements it with --custom-op-library FILE"
        )

    @pytest.mark.parametrize("content", [None, b"no library"])
    def test_of_a_library_name_it(
        self, content: bytes | None, tmp_path: Path
    ) -> None:
        library = tmp_path / "operators.so"
        if content is not None:
            library.write_bytes(content)
        model = open_model(
            str(onnx_files.unknown_domain(tmp_path)),
            ModelOptions(custom_ops=(str(library),)),
        )
        with pytest.raises(BadInput) as raised, model.probe(["relu2"], SIZE):
            pass
        message = str(raised.value)
        assert message.startswith(
            f"cannot load the library of custom operators '{library}': "
        )
        assert "\n" not in message and "ONNXRuntimeError" not in message

    @pytest.mark.parametrize(
        ("told", "kind", "says"),
        [
            (
                "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for\n "
                "Conv(11)",
                ModelNotFound,
                "ONNX Runtime cannot open m.onnx: Could not find an implementation for Conv(11)",
            ),
            (
                "[ONNXRuntimeError] : 1 : FAIL : Fatal error: x.y:Op(-1) is not a registered "
                "function/op",
                BadInput,
                "m.onnx needs the operator Op of the domain 'x.y', which ONNX Runtime does not "
                "know: give the library that implements it with --custom-op-library FILE",
            ),
            (
                "Unsupported model IR version: 14, max supported IR version: 13",
                Unavailable,
                "m.onnx uses IR version 14, which ONNX Runtime ",
            ),
            (
                "ONNX Runtime only *guarantees* support for models stamped with official released "
                "onnx opset versions. "
                "Opset 27 is under development and support for this is limited.",
                Unavailable,
                "m.onnx uses opset 27, which ONNX Runtime ",
            ),
        ],
    )
    def test_are_translated(
        self, told: str, kind: type[Exception], says: str
    ) -> None:
        document = Document("m.onnx", onnx_files.Network().model(), {})
        translated = runtime_errors.translate(RuntimeError(told), document)
        assert type(translated) is kind and str(translated).startswith(says)

    def test_of_a_run_name_the_images(self, tmp_path: Path) -> None:
        with open_model(str(onnx_files.dynamic_batch(tmp_path))).probe(
            ["relu2"], SIZE
        ) as probe:
            with pytest.raises(ModelFailed) as raised:
                probe(torch.zeros(1, 3, 16, 32))
            assert "the model failed on images of shape (1, 3, 16, 32): " in str(
                raised.value
            )
            assert "ONNXRuntimeError" not in str(raised.value)
            assert probe(torch.zeros(1, 3, 32, 32))["relu2"].shape == (
                1,
                12,
                8,
                8,
            ), "the probe goes on"
