"""The loop through the sizes: stopped and resumed, in bfloat16, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fststyle.errors import DeviceError, InputError, ModelError, OptionError, TrainingError
from fststyle.iterative import descent as descent_module
from fststyle.iterative import memory
from fststyle.iterative.descent import Descent, Moment, Objective, Position, Stage, descend, evaluate
from fststyle.iterative.gatys import Style, StyleTransfer, Transfer
from fststyle.iterative.pixels import covering, enlarged, fitting, to_tensor
from fststyle.iterative.stages import automatic_sides, make_stages
from fststyle.iterative.state import Saved, describe, load_state, save_state
from fststyle.nn.pixels import to_image, to_pixels
from fststyle.nn.vgg import VGGFeatures
from fststyle.nn.weight_files import VGGWeights

Pixels = NDArray[np.uint8]
CPU = torch.device("cpu")
STAGES = [Stage((48, 36), 5), Stage((64, 48), 4)]
HOW = Descent(precision="float32", device="cpu")


@pytest.fixture
def task(narrow_vgg: VGGWeights, photo: Pixels, painting: Pixels) -> StyleTransfer:
    transfer = Transfer(content_layers={"relu2_1": 1.0}, style_layers={"relu1_1": 1.0, "relu2_1": 1.0})
    return StyleTransfer(photo, [Style(painting)], narrow_vgg, transfer, device=CPU)


def start(task: StyleTransfer) -> Position:
    return Position(task.start("photo", STAGES[0].size))


def run(task: StyleTransfer, position: Position, how: Descent = HOW, stop: int = 0) -> bool:
    return descend(task, STAGES, position, how, lambda moment: moment.number == stop)


@pytest.mark.parametrize("stop", [3, 5, 7])
@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_resumed_from_a_file_equals_straight(task: StyleTransfer, tmp_path: Path, stop: int, method: Any) -> None:
    how = Descent(precision="float32", device="cpu", method=method)
    straight, halves = start(task), start(task)
    assert run(task, straight, how)
    assert not run(task, halves, how, stop)
    assert halves.number == stop
    frames = [np.full((4, 6, 3), 9, np.uint8)]
    save_state(tmp_path / "state", Saved(halves, frames), {"a": "1"})
    saved = load_state(tmp_path / "state", {"a": "1"}, CPU)
    assert np.array_equal(saved.frames[0], frames[0])
    assert run(task, saved.position, how)
    assert torch.equal(saved.position.image, straight.image)
    assert saved.position.curve == straight.curve


def test_each_iteration_is_told(task: StyleTransfer) -> None:
    moments: list[Moment] = []
    position = start(task)
    assert descend(task, STAGES, position, HOW, moments.append)
    assert [moment.number for moment in moments] == [*range(1, 10)]
    assert {moment.total for moment in moments} == {9}
    assert [moment.size for moment in moments] == [(48, 36)] * 5 + [(64, 48)] * 4
    assert position.image.shape == (1, 3, 48, 64)
    assert [entry["size"] for entry in position.curve] == [48.0] * 5 + [64.0] * 4


def test_the_finer_stage_goes_on_from_the_coarse_one(task: StyleTransfer) -> None:
    position = start(task)
    run(task, position)
    alone = Position(task.start("photo", STAGES[1].size))
    descend(task, STAGES[1:], alone, HOW, lambda moment: False)
    assert position.curve[5]["total"] < alone.curve[0]["total"]


def test_bfloat16_in_the_network_alone(task: StyleTransfer) -> None:
    objective, image = task.objective((64, 48)), task.start("noise", (64, 48))
    (exact, gradient), (rough, rough_gradient) = (evaluate(objective, image, bfloat16=half) for half in (False, True))
    assert rough == pytest.approx(exact, rel=0.03)
    assert rough != exact
    assert rough_gradient.dtype == torch.float32
    similarity = torch.cosine_similarity(gradient.flatten(), rough_gradient.flatten(), dim=0)
    assert similarity > 0.99


def test_automatic_precision_follows_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    for capabilities, expected in (({}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found)
        assert Descent(device="cpu").bfloat16() is expected
    assert Descent(device="cpu", precision="bf16").bfloat16()
    assert not Descent(device="cpu", precision="float32").bfloat16()


class Broken:
    """A task whose loss is not a number, or whose first allocation fails."""

    def __init__(self, vgg: VGGFeatures, error: Exception | None = None) -> None:
        self.vgg, self.error = vgg, error

    def objective(self, size: tuple[int, int]) -> Objective:
        def loss(image: Tensor) -> Mapping[str, Tensor]:
            if self.error is not None:
                raise self.error
            return {"total": image.sum() * float("nan")}

        return loss


def test_a_loss_that_is_not_finite_ends_it(narrow_vgg: VGGWeights) -> None:
    task = Broken(VGGFeatures(narrow_vgg, ["relu1_1"]))
    with pytest.raises(TrainingError, match="nan at iteration 1"):
        descend(task, STAGES, Position(torch.rand(1, 3, 36, 48)), HOW, lambda moment: False)


ALLOCATION = RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory")


@pytest.mark.parametrize("error", [MemoryError(), ALLOCATION, torch.OutOfMemoryError("CUDA out of memory")])
def test_a_failed_allocation_names_a_size_that_fits(
    narrow_vgg: VGGWeights, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda device: 10**12)
    task, stages = Broken(VGGFeatures(narrow_vgg, ["relu1_1"]), error), [Stage((4000, 3000), 1)]
    with pytest.raises(DeviceError, match=r"not enough memory for 4000 x 3000 pixels: .* would fit") as found:
        descend(task, stages, Position(torch.zeros(1, 3, 3000, 4000)), HOW, lambda moment: False)
    named = int(str(found.value).split("--size ")[1].split()[0])
    assert 2000 < named < 3600


def test_a_failed_allocation_with_nothing_left_names_no_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda device: 0)
    with (
        pytest.raises(DeviceError, match="no size would fit"),
        memory.out_of_memory_reported((4000, 3000), 1000, CPU),
    ):
        raise MemoryError


def test_another_runtime_error_stays_what_it_is(narrow_vgg: VGGWeights) -> None:
    task = Broken(VGGFeatures(narrow_vgg, ["relu1_1"]), RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        descend(task, STAGES, Position(torch.rand(1, 3, 36, 48)), HOW, lambda moment: False)


def test_too_large_a_size_is_refused_before_the_first_iteration(
    task: StyleTransfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda device: 2 * 10**9)
    stages = [*STAGES, Stage((20000, 15000), 1)]
    with pytest.raises(DeviceError, match=r"20000 x 15000 .* of 2\.0 GB; --size (\d+) would fit") as found:
        descend(task, stages, start(task), HOW, lambda moment: pytest.fail("it began"))
    side = int(str(found.value).split("--size ")[1].split()[0])
    per_pixel = memory.bytes_per_pixel(task.vgg, history=HOW.history, bfloat16=False)
    memory.check_memory((side, side * 3 // 4), per_pixel, CPU)
    with pytest.raises(DeviceError):
        memory.check_memory((side + 32, (side + 32) * 3 // 4), per_pixel, CPU)


def test_the_memory_that_is_free_is_known_on_linux() -> None:
    found = memory.available_bytes(CPU)
    assert found is None or 10**6 < found < 10**15


def test_the_estimate_counts_activations_and_history(narrow_vgg: VGGWeights) -> None:
    shallow, deep = (VGGFeatures(narrow_vgg, [layer]) for layer in ("relu1_2", "relu3_1"))
    assert memory.bytes_per_pixel(deep, history=10, bfloat16=False) > memory.bytes_per_pixel(
        shallow, history=10, bfloat16=False
    )
    longer, shorter = (memory.bytes_per_pixel(shallow, history=history, bfloat16=False) for history in (30, 10))
    assert longer - shorter == 20 * 24


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "sgd"}, "optimiser must be one of lbfgs, adam"),
        ({"precision": "fp8"}, "precision must be one of"),
        ({"device": "tpu"}, "device must be one of"),
        ({"learning_rate": 0.0}, "learning rate"),
        ({"history": 0}, "history"),
    ],
)
def test_a_bad_option_is_an_option_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Descent(**options)


def test_cuda_that_is_not_there_is_a_device_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descent_module.torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="--device cpu"):
        Descent(device="cuda").torch_device()


def test_a_state_of_another_run_is_refused(task: StyleTransfer, tmp_path: Path, photo: Pixels) -> None:
    before = describe({"seed": 1, "size": [3, 4]}, {"photo": photo})
    save_state(tmp_path / "state", Saved(start(task), []), before)
    for settings, pixels, name in (
        ({"seed": 2, "size": [3, 4]}, photo, "seed"),
        ({"seed": 1, "size": [3, 4]}, 255 - photo, "photo"),
    ):
        with pytest.raises(ModelError, match=rf"of another run \({name} differ\)"):
            load_state(tmp_path / "state", describe(settings, {"photo": pixels}), CPU)
    with pytest.raises(InputError, match="nothing to resume"):
        load_state(tmp_path / "none", before, CPU)
    (tmp_path / "state").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ModelError, match="damaged"):
        load_state(tmp_path / "state", before, CPU)


def test_large_sizes_are_reached_from_coarse_ones() -> None:
    assert automatic_sides(512) == [512]
    assert automatic_sides(1024) == [512, 1024]
    assert automatic_sides(2000) == [500, 1000, 2000]
    assert automatic_sides(100) == [100]


def test_iterations_are_halved_or_given_one_by_one() -> None:
    sizes = [(32, 24), (64, 48), (128, 96)]
    assert [stage.iterations for stage in make_stages(sizes, [100])] == [100, 50, 25]
    assert [stage.iterations for stage in make_stages(sizes, [9, 8, 7])] == [9, 8, 7]
    for bad_sizes, iterations in ((sizes, [9, 8]), (sizes[::-1], [9]), (sizes, [0]), (sizes, [9, 0, 9])):
        with pytest.raises(OptionError):
            make_stages(bad_sizes, iterations)


def test_pictures_get_the_size_asked_for(photo: Pixels) -> None:
    assert np.array_equal(to_pixels(to_tensor(photo, (64, 48))), photo)
    assert to_tensor(photo, (32, 24)).shape == (1, 3, 24, 32)
    assert enlarged(to_image(photo), (128, 96)).shape == (1, 3, 96, 128)
    assert fitting((400, 300), 64) == (64, 48)
    assert fitting((300, 400), 64) == (48, 64)


def test_a_covering_picture_is_the_middle(photo: Pixels) -> None:
    assert np.array_equal(covering(photo, (64, 48)), photo)
    square = covering(photo, (48, 48))
    assert np.array_equal(square, photo[:, 8:56])
