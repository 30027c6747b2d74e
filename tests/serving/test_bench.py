import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fststyle.errors import DeviceError, ModelError, OptionError
from fststyle.memory import peak_memory
from fststyle.serving import bench
from fststyle.serving.bench import (
    LEAST_RUNS,
    Case,
    Sampling,
    Timing,
    gpu_name,
    measure,
    one_style_a_preset,
    working_devices,
)
from fststyle.styles import read_style


def timing(*milliseconds: float) -> Timing:
    return Timing("CPUExecutionProvider", 1, milliseconds, None)


def test_median_spread_and_rate() -> None:
    found = timing(*range(0, 101), 50)
    assert found.median == 50
    assert found.spread == pytest.approx((5, 95), abs=0.1)
    assert found.rate == 20
    assert timing(8).spread == (8, 8)


def test_so_many_runs_or_so_long_and_three_runs() -> None:
    assert not Sampling(runs=2).is_enough(1, 1e9)
    assert Sampling(runs=2).is_enough(2, 0)
    assert not Sampling(seconds=5).is_enough(LEAST_RUNS - 1, 6)
    assert not Sampling(seconds=5).is_enough(LEAST_RUNS, 4)
    assert Sampling(seconds=5).is_enough(LEAST_RUNS, 5)


@pytest.mark.parametrize("options", [{"runs": 0}, {"seconds": 0}, {"seconds": float("nan")}, {"seconds": float("inf")}])
def test_a_sampling_that_never_begins_or_ends_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="must be"):
        Sampling(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"width": 0, "height": 9}, {"width": 9, "height": 9, "threads": 0}])
def test_a_case_out_of_range_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="at least 1"):
        Case(Path("style.onnx"), **options)  # type: ignore[arg-type]


def test_a_case_is_measured(tiny_style_file: Path) -> None:
    found = measure(Case(tiny_style_file, 40, 24, device="cpu", threads=1), Sampling(runs=4))
    assert (found.provider, found.threads, len(found.milliseconds)) == ("CPUExecutionProvider", 1, 4)
    assert min(found.milliseconds) > 0


def test_only_the_runs_after_the_warm_up_count(tiny_style_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []

    class Counted(bench.Engine):
        def __call__(self, images: np.ndarray) -> np.ndarray:
            shapes.append(images.shape)
            return super().__call__(images)

    monkeypatch.setattr(bench, "Engine", Counted)
    found = bench._run(Case(tiny_style_file, 40, 24, device="cpu", threads=1), Sampling(runs=3))
    assert len(found.milliseconds) == 3
    assert shapes == [(1, 24, 40, 3)] * (bench.WARM_UP + 3)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell of the memory in ways of their own")
def test_memory_is_that_of_the_measurement_alone(tiny_style_file: Path) -> None:
    block = np.ones(400_000_000, np.uint8)
    own = peak_memory()
    assert own is not None
    assert own > block.nbytes
    small, large = (
        measure(Case(tiny_style_file, side, side, device="cpu", threads=1), Sampling(runs=1)).peak_bytes
        for side in (32, 512)
    )
    assert small is not None
    assert large is not None
    assert 10_000_000 < small < large < block.nbytes
    assert large - small > 512 * 512 * 4 * 4, "a tensor of four channels is held at the least"


def test_what_the_process_raises_is_raised_here(tmp_path: Path, tiny_style_file: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(tiny_style_file.read_bytes()[:3000])
    with pytest.raises(ModelError, match=r"damaged\.onnx is damaged"):
        measure(Case(damaged, 32, 32, device="cpu"), Sampling(runs=1))


def test_what_does_not_fit_into_memory_is_not_tried(tiny_style_file: Path) -> None:
    with pytest.raises(DeviceError, match="not enough memory for a picture of 90000 x 80000"):
        measure(Case(tiny_style_file, 90_000, 80_000, device="cpu"), Sampling(runs=1))


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("last_act", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed, most likely for want of memory"),
        ("import sys; sys.exit('something else')", "ended with code 1: something else"),
    ],
)
def test_the_end_of_the_process_is_an_error(
    last_act: str, message: str, tiny_style_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{last_act}"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(DeviceError, match=message):
        measure(Case(tiny_style_file, 32, 32, device="cpu"), Sampling(runs=1))


def test_modules_of_the_working_folder_are_left_alone(
    tiny_style_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    monkeypatch.chdir(tmp_path)
    assert measure(Case(tiny_style_file, 32, 32, device="cpu", threads=1), Sampling(runs=1)).milliseconds


def test_a_style_of_each_preset_the_default_one_first(tiny_style_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = read_style(tiny_style_file)
    named = [("aa", "quality"), ("balloon", "balanced"), ("bb", "balanced"), ("starry_night", "quality")]
    styles = [replace(tiny, name=name, preset=preset, origin="shipped") for name, preset in named]
    users = [replace(tiny, name="mine", preset="fast", origin="user")]
    monkeypatch.setattr(bench, "available_styles", lambda: [*styles, *users])
    assert [style.name for style in one_style_a_preset()] == ["starry_night", "balloon"]
    monkeypatch.setattr(bench, "available_styles", lambda: users)
    assert one_style_a_preset() == users


def test_the_gpu_counts_if_a_picture_was_stylised_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Case] = []

    def fine(case: Case, sampling: Sampling) -> Timing:
        asked.append(case)
        return timing(1)

    def failing(case: Case, sampling: Sampling) -> Timing:
        raise DeviceError("no NVIDIA driver is installed")

    monkeypatch.setattr(bench, "measure", fine)
    assert working_devices(Path("style.onnx")) == (["cpu", "cuda"], "")
    assert [case.device for case in asked] == ["cuda"]
    monkeypatch.setattr(bench, "measure", failing)
    assert working_devices(Path("style.onnx")) == (["cpu"], "no NVIDIA driver is installed")


def test_without_a_driver_there_is_no_gpu_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(bench.ctypes, "CDLL", missing)
    assert gpu_name() == ""


def test_the_program_speaks_json_with_itself(tiny_style_file: Path) -> None:
    """Paths and tuples come back as they went."""
    asked = {
        "case": {"model": str(tiny_style_file), "width": 20, "height": 20, "device": "cpu", "threads": 1},
        "sampling": {"seconds": 1.0, "runs": 2},
    }
    answered = json.loads(json.dumps(bench._answer(asked)))
    assert len(answered["milliseconds"]) == 2
    missing = bench._answer(asked | {"case": asked["case"] | {"model": "nowhere.onnx"}})
    assert missing["error"] == "ModelError"
    assert "nowhere.onnx" in missing["message"]
