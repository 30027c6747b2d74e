from pathlib import Path

import onnxruntime
import pytest

from fststyle.errors import DeviceError, ModelError, OptionError
from fststyle.serving import providers
from fststyle.serving.providers import CPU, CUDA, default_threads, first_line, open_session


def works_on_cuda(model: Path) -> bool:
    try:
        return CUDA in open_session(model, device="cuda", threads=1)[0].get_providers()
    except DeviceError:
        return False


def test_the_cpu_is_taken_when_asked_for(tiny_style_file: Path) -> None:
    session, note = open_session(tiny_style_file, device="cpu", threads=1)
    assert session.get_providers() == [CPU]
    assert note == "running on the CPU"


def test_auto_says_what_it_took_and_why(tiny_style_file: Path) -> None:
    session, note = open_session(tiny_style_file, device="auto", threads=1)
    if works_on_cuda(tiny_style_file):
        assert session.get_providers()[0] == CUDA
        assert note.startswith("running on the GPU (CUDA) in float")
    else:
        assert session.get_providers() == [CPU]
        assert note.startswith("running on the CPU: ")
        assert len(note) > len("running on the CPU: ")


def test_an_unknown_device_gets_the_nearest_name(tiny_style_file: Path) -> None:
    with pytest.raises(OptionError, match="devices: auto, cpu, cuda; did you mean 'cuda'"):
        open_session(tiny_style_file, device="cuda:0", threads=1)  # type: ignore[arg-type]


def test_cuda_without_its_provider_names_the_package(tiny_style_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(DeviceError, match='pip install "onnxruntime-gpu"'):
        open_session(tiny_style_file, device="cuda", threads=1)


def test_cuda_without_a_driver_says_so(tiny_style_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(providers, "_load_failure", lambda library: f"{library}: not found")
    with pytest.raises(DeviceError, match="no NVIDIA driver is installed"):
        open_session(tiny_style_file, device="cuda", threads=1)


def test_cuda_that_falls_back_is_an_error(
    tiny_style_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime's own answer to libraries that are missing is a session on the CPU and a page of warnings."""
    if CUDA not in onnxruntime.get_available_providers() or works_on_cuda(tiny_style_file):
        pytest.skip("needs ONNX Runtime's GPU build on a machine without a GPU")
    monkeypatch.setattr(
        providers,
        "_load_failure",
        lambda library, real=providers._load_failure: None if "cuda.so.1" in library else real(library),
    )
    with pytest.raises(DeviceError, match=r"cannot use CUDA: .+; pip install .onnxruntime-gpu\[cuda,cudnn\]"):
        open_session(tiny_style_file, device="cuda", threads=1)
    assert capfd.readouterr() == ("", "")


def test_a_gpu_that_cannot_run_the_network_is_an_error(tiny_style_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Session:
        """A session that is made, as with a cuDNN that does not fit, and fails at its first convolution."""

        def get_providers(self) -> list[str]:
            return [CUDA, CPU]

        def get_inputs(self) -> list[object]:
            return []

        def run(self, outputs: object, inputs: object) -> None:
            raise RuntimeError("CUDNN_STATUS_NOT_SUPPORTED\nmore\nlines")

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(providers, "_load_failure", lambda library: None)
    monkeypatch.setattr(providers, "_session", lambda model, wanted, threads: Session())
    with pytest.raises(DeviceError, match=r"the GPU cannot run the network: CUDNN_STATUS_NOT_SUPPORTED$"):
        open_session(tiny_style_file, device="cuda", threads=1)


def test_a_damaged_graph_is_the_models_fault(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"\x08\x09:\x04\x0a\x02\xff\xff")
    with pytest.raises(ModelError, match=r"a\.onnx is damaged"):
        open_session(tmp_path / "a.onnx", device="cpu", threads=1)


def test_a_quota_limits_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(64)), raising=False)
    quotas = {"max 100000": 64, "200000 100000": 2, "50000 100000": 1}
    for text, expected in quotas.items():
        monkeypatch.setattr(Path, "read_text", lambda self, encoding, text=text: text)
        assert default_threads() == expected


def test_an_error_is_one_line() -> None:
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(ValueError()) == "ValueError"
