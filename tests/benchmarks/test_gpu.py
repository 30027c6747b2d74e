"""The benchmark for GPUs, as far as a processor can show: what it counts, and that its racers run."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fststyle.serving.graph import read_graph

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def roofline(load: Any) -> ModuleType:
    module: ModuleType = load("roofline")
    return module


def weight(name: str, *dims: int) -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, dims, np.zeros(int(np.prod(dims)), np.float32))


def small_network(path: Path) -> Path:
    """A 3x3 convolution to 8 channels at half the resolution and a norm, then a depthwise and a pointwise one beside
    it, their sum, and a 1x1 convolution to 3 channels of the doubled map.
    """
    nodes = [
        helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["numbers"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "a"], ["down"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("InstanceNormalization", ["down", "scale", "shift"], ["norm"]),
        helper.make_node("Conv", ["norm", "b"], ["deep"], pads=[1, 1, 1, 1], group=8),
        helper.make_node("Conv", ["deep", "c"], ["point"]),
        helper.make_node("Add", ["point", "norm"], ["sum"]),
        helper.make_node("Resize", ["sum", "", "doubling"], ["large"], mode="linear"),
        helper.make_node("Conv", ["large", "d"], ["colours"]),
        helper.make_node("Transpose", ["colours"], ["rows"], perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["rows"], ["stylized"], to=TensorProto.UINT8),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.UINT8, None) for name in ("image", "stylized")]
    weights = [weight("a", 8, 3, 3, 3), weight("b", 8, 1, 3, 3), weight("c", 8, 8, 1, 1), weight("d", 3, 8, 1, 1)]
    norm = [weight("scale", 8), weight("shift", 8)]
    doubling = helper.make_tensor("doubling", TensorProto.FLOAT, [4], [1.0, 1.0, 2.0, 2.0])
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], [*weights, *norm, doubling])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), path)
    return path


def test_a_network_counted_by_hand(roofline: ModuleType, tmp_path: Path) -> None:
    assert roofline.count(read_graph(small_network(tmp_path / "small.onnx"))) == [
        # A quarter of the pixels, 8 channels of 27 weights; 3 bytes read, 2 numbers written; 216 weights in float16.
        (2 * 8 * 27 / 4, 3 + 2 * 2, 432),
        (2 * 8 * 9 / 4, 2 * 2 + 2 * 2, 144),
        (2 * 8 * 8 / 4, 2 * 2 + 2 * 2, 128),
        (0, 2 * 2 + 2 * 2 + 2 * 2, 0),
        # The map before it is enlarged is what is read; the result is written as bytes.
        (2 * 3 * 8, 2 * 2 + 3, 48),
    ]


def test_the_roof_is_the_slower_of_computing_and_moving(roofline: ModuleType) -> None:
    kernels = [roofline.Work(100, 1), roofline.Work(1, 10, weights=50)]
    assert roofline.least_seconds(kernels, 10, roofline.Peak(1000, 100)) == pytest.approx(1 + 1.5)
    assert roofline.total(kernels, 10) == (1010, 160)


@pytest.mark.parametrize("preset", ["quality", "realtime"])
def test_operations_are_those_that_torch_counts(roofline: ModuleType, load: Any, preset: str, tmp_path: Path) -> None:
    """But for the picture's margins, which are nearly nothing of a large one."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from fststyle.nn import networks

    kernels = roofline.count(read_graph(load("gpu").export(preset, tmp_path)))
    with torch.device("meta"):
        network = networks.preset(preset).network()
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, 1600, 2400, device="meta"))
    assert roofline.total(kernels, 1600 * 2400)[0] == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_what_is_bound_gives_what_the_engine_gives(load: Any, tiny_style_file: Path) -> None:
    racers = load("gpu_racers")
    place = racers.Place(tiny_style_file, "quality", (40, 24), "cpu", 1)
    bound, engine = racers.Bound(place), racers.OnTheEngine(place)
    bound.step()
    np.testing.assert_array_equal(bound.made.numpy(), engine.engine(place.picture()))
    assert bound.made.numpy().std() > 0


def test_torch_gives_pictures_too(load: Any, tiny_style_file: Path) -> None:
    racers = load("gpu_racers")
    racer = racers.Torch(racers.Place(tiny_style_file, "realtime", (40, 24), "cpu", 1))
    racer.step()
    made = racer.run(racer.picture)
    assert (made.shape, str(made.dtype)) == ((1, 24, 40, 3), "torch.uint8")


def test_a_racer_that_fails_says_why_and_lets_the_others_run(load: Any, tiny_style_file: Path) -> None:
    racers = load("gpu_racers")
    tried = racers.Tried(racers.Bound, racers.Place(tiny_style_file, "quality", (40, 24), "warp", 1))
    tried.step()
    failure, note = tried.result()
    assert failure.startswith("OptionError: no device")
    assert not note


def test_without_a_gpu_it_counts_and_says_that_nothing_is_measured(
    load: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert load("gpu").main(["--preset", "realtime"]) == 7
    said = capsys.readouterr()
    assert "billion operations" in said.out
    assert said.err == "gpu: error: unmeasured: PyTorch finds no GPU that it can use\n"
