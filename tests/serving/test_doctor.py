from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fststyle.errors import DeviceError, OptionError
from fststyle.formats import FORMATS
from fststyle.serving import doctor
from fststyle.serving.doctor import Check, check_all, estimate
from fststyle.styles import read_style


@pytest.fixture
def shipped(styles_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of shipped styles, with nothing in it; ``tiny`` is the user's."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr("fststyle.styles.shipped_folder", lambda: folder)
    monkeypatch.setattr(doctor, "shipped_folder", lambda: folder)
    return folder


def checked(device: str = "cpu") -> dict[str, Check]:
    return {check.name: check for check in check_all(device)}  # type: ignore[arg-type]


def test_every_format_is_tried(shipped: Path) -> None:
    checks = checked()
    assert {f"codec {name}" for name in FORMATS} <= checks.keys()
    assert all(checks[f"codec {name}"].status == "works" for name in ("JPEG", "PNG", "GIF", "BMP", "PPM"))


def test_a_codec_that_does_not_work_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(FORMATS["PNG"], opener=("PIL.PngImagePlugin", "NoSuchThing"))
    monkeypatch.setitem(FORMATS, "PNG", broken)
    check = doctor._codec(broken)
    assert check.status == "fails"
    assert "NoSuchThing" in check.found
    assert check.mend == "pip install --force-reinstall pillow"


def test_shipped_styles_are_held_against_their_digests(shipped: Path, tiny_style_file: Path) -> None:
    (shipped / "fine.onnx").write_bytes(tiny_style_file.read_bytes())
    (shipped / "swapped.onnx").write_bytes(tiny_style_file.read_bytes())
    digest = read_style(tiny_style_file).sha256
    (shipped / "SHA256SUMS").write_text(f"{digest}  fine.onnx\n{'0' * 64}  swapped.onnx\n{digest}  gone.onnx\n")
    checks = checked()
    assert checks["style fine"] == Check("style fine", "works", "as shipped")
    assert "is damaged" in checks["style swapped"].found
    assert "gone.onnx is missing" in checks["style gone"].found
    assert [name for name, check in checks.items() if check.status == "fails"] == ["style swapped", "style gone"]


def test_a_gpu_is_optional_until_it_is_asked_for(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_gpu(model: Path, *, device: str) -> None:
        raise DeviceError("no NVIDIA driver is installed")

    assert checked()["network on the CPU"].status == "works"
    monkeypatch.setattr(doctor, "Engine", no_gpu)
    assert checked("auto")["network on the GPU"].status == "absent"
    wanted = checked("cuda")
    assert wanted["network on the GPU"].status == "fails"
    assert "no NVIDIA driver" in wanted["network on the GPU"].found
    assert "network on the CPU" not in wanted


@pytest.mark.parametrize(
    ("available", "total", "found"),
    [(3 * 2**30, 8 * 2**30, "3.0 of 8.0 GiB available"), (None, None, "this system does not tell how much there is")],
)
def test_memory_is_told_where_it_is_known(
    monkeypatch: pytest.MonkeyPatch, available: int | None, total: int | None, found: str
) -> None:
    monkeypatch.setattr(doctor, "available_memory", lambda: available)
    monkeypatch.setattr(doctor, "total_memory", lambda: total)
    assert doctor._memory() == Check("memory", "works", found)


def test_a_missing_extra_names_its_command() -> None:
    assert doctor._extra("heic", ("no_such_module",)) == Check(
        "extra heic", "absent", "no_such_module is not installed", 'pip install "fststyle[heic]"'
    )


def test_a_machine_without_a_camera_is_none_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cv2")
    monkeypatch.setattr("fststyle.serving.camera.device_cameras", dict)
    assert [(check.name, check.status) for check in doctor._cameras()] == [("camera", "absent")]


def test_every_camera_is_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    from fststyle.serving import camera

    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((24, 32, 3), np.uint8))

    def opened(wanted: str, wishes: object) -> camera.Camera:
        pattern = str(tmp_path / ("%d.png" if wanted == "0" else "nothing%d.png"))
        return camera.DeviceCamera(cv2.VideoCapture(pattern, cv2.CAP_IMAGES), f"camera {wanted}")

    monkeypatch.setattr(camera, "device_cameras", lambda: {0: "Desk", 2: "Ceiling"})
    monkeypatch.setattr(camera, "open_camera", opened)
    first, second = doctor._cameras()
    assert first == Check("camera 0", "works", "Desk: a frame of 32 x 24")
    assert (second.name, second.status) == ("camera 2", "absent")
    assert second.found == "Ceiling: camera 2 gives no frame"
    assert "group video" in second.mend


def test_without_opencv_the_camera_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    assert list(doctor._cameras()) == [
        Check("camera", "absent", "opencv-python is not installed", 'pip install "fststyle[camera]"')
    ]


def test_two_runtimes_at_once_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: "1.0")
    check = next(check for check in doctor._packages() if check.name == "onnxruntime")
    assert check.status == "fails"
    assert "overwrite each other" in check.found


def test_an_estimate_grows_with_the_pixels(tiny_style_file: Path) -> None:
    found = estimate(read_style(tiny_style_file), 7680, 3840, device="cpu", threads=1)
    assert found.measured_at == (384, 384)
    assert found.provider == "CPUExecutionProvider"
    assert 0 < found.seconds < 3600
    assert found.bytes is None or found.bytes >= 0
    with pytest.raises(OptionError, match="at least 1 x 1"):
        estimate(read_style(tiny_style_file), 0, 10, device="cpu")
