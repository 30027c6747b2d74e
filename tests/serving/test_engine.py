import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from fststyle.errors import DeviceError, InputError, ModelError, OptionError
from fststyle.serving.engine import Engine


@pytest.fixture(scope="module")
def engine(tiny_style_file: Path) -> Engine:
    return Engine(tiny_style_file, device="cpu", threads=1)


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_it_says_what_it_runs_and_where(engine: Engine) -> None:
    assert engine.provider == "CPUExecutionProvider"
    assert engine.metadata["name"] == "tiny"
    assert engine.threads == 1


@pytest.mark.parametrize("shape", [(1, 16, 16, 3), (2, 17, 33, 3), (1, 64, 30, 3)])
def test_pictures_keep_their_size(engine: Engine, shape: tuple[int, ...]) -> None:
    result = engine(noise(*shape))
    assert result.shape == shape
    assert result.dtype == np.uint8


def test_the_network_changes_the_picture_the_same_way_every_time(engine: Engine) -> None:
    images = noise(1, 32, 32, 3)
    np.testing.assert_array_equal(engine(images), engine(images))
    assert not np.array_equal(engine(images), images)


def test_each_picture_of_a_batch_is_what_it_is_alone(engine: Engine) -> None:
    images = noise(3, 24, 20, 3)
    together = engine(images).astype(int)
    alone = np.concatenate([engine(images[index : index + 1]) for index in range(3)]).astype(int)
    np.testing.assert_allclose(together, alone, atol=1)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (15, 16), (3, 2)])
def test_smaller_pictures_are_continued_by_their_mirror_image(engine: Engine, size: tuple[int, int]) -> None:
    images = noise(1, *size, 3)
    height, width = (max(side, 16) for side in size)
    rows = np.resize(np.r_[0 : size[0], size[0] - 1 : -1 : -1], height)
    columns = np.resize(np.r_[0 : size[1], size[1] - 1 : -1 : -1], width)
    np.testing.assert_array_equal(engine(images), engine(images[:, rows][:, :, columns])[:, : size[0], : size[1]])


def test_memory_layout_does_not_matter(engine: Engine) -> None:
    images = noise(1, 40, 60, 3)
    turned = np.asfortranarray(images)
    np.testing.assert_array_equal(engine(images), engine(turned))
    np.testing.assert_array_equal(engine(images[:, ::-1]), engine(np.ascontiguousarray(images[:, ::-1])))


@pytest.mark.parametrize(
    "images",
    [noise(20, 20, 3), noise(1, 20, 20, 4), noise(1, 0, 20, 3), noise(1, 20, 20, 3).astype(np.float32)],
)
def test_other_arrays_are_refused(engine: Engine, images: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match=r"expected uint8 \[N, H, W, 3\], got"):
        engine(images)


def test_several_threads_get_their_own_results(engine: Engine) -> None:
    pictures = [noise(1, 16 + 3 * index, 40, 3) for index in range(12)]
    expected = [engine(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        for got, wanted in zip(pool.map(engine, pictures * 3), expected * 3, strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("reason", ["Failed to allocate memory for requested buffer of size 9", "std::bad_alloc"])
def test_too_little_memory_says_what_to_do(engine: Engine, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    def run_bound(*arguments: object) -> None:
        raise RuntimeError(reason)

    monkeypatch.setattr("fststyle.serving.engine.run_bound", run_bound)
    with pytest.raises(DeviceError, match="not enough memory for a picture of 30 x 20; set --max-size"):
        engine(noise(1, 20, 30, 3))


MEMORY = """
import re, sys
from pathlib import Path
import numpy as np
from fststyle.serving.engine import Engine

def mebibytes(field):
    return int(re.search(field + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024

engine = Engine(Path(sys.argv[1]), device="cpu", threads=1)
for sides in ([32], [1280], [64, 80, 96]):
    for side in sides:
        engine(np.zeros((1, side, side, 3), np.uint8))
    print(mebibytes("VmRSS"), mebibytes("VmHWM"))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process from /proc")
def test_memory_goes_back_when_sizes_change(tiny_style_file: Path) -> None:
    """After one large picture and some small ones, most of what the large one took is free again."""
    command = [sys.executable, "-c", MEMORY, str(tiny_style_file)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (before, _), _, (after, peak) = (map(int, line.split()) for line in printed.splitlines())
    assert peak - before > 50
    assert after - before < (peak - before) / 3


def test_threads_must_be_positive(tiny_style_file: Path) -> None:
    with pytest.raises(OptionError, match="threads must be at least 1, got 0"):
        Engine(tiny_style_file, threads=0)


def test_weights_that_are_cut_out_are_noticed(tmp_path: Path, tiny_style_file: Path) -> None:
    model = onnx.load(tiny_style_file)
    del model.graph.initializer[0]
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(ModelError, match="damaged or not a network"):
        Engine(tmp_path / "a.onnx", device="cpu")


@pytest.mark.parametrize(("name", "kind"), [("picture", onnx.TensorProto.UINT8), ("image", onnx.TensorProto.FLOAT)])
def test_a_network_with_other_inputs_is_not_a_style(
    tmp_path: Path, tiny_style_file: Path, name: str, kind: int
) -> None:
    value = onnx.helper.make_tensor_value_info(name, kind, ["batch", "height", "width", 3])
    output = onnx.helper.make_tensor_value_info("stylized", kind, ["batch", "height", "width", 3])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", [name], ["stylized"])], "g", [value], [output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    model.metadata_props.extend(onnx.load(tiny_style_file).metadata_props)
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(ModelError, match="not a style's network: expected image"):
        Engine(tmp_path / "a.onnx", device="cpu")


def test_onnx_runtime_keeps_no_number_for_this_computer(tiny_style_file: Path, tmp_path: Path) -> None:
    """It does where it reports its use, which it does unless told otherwise."""
    script = "import sys; from fststyle import Stylizer; Stylizer(sys.argv[1], device='cpu', threads=1)"
    theirs = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    command = [sys.executable, "-c", script, str(tiny_style_file)]
    subprocess.run(command, env={**theirs, "HOME": str(tmp_path)}, check=True)
    assert [*tmp_path.iterdir()] == []


def test_it_tells_for_how_many_pixels_it_keeps_memory(tiny_style_file: Path) -> None:
    engine = Engine(tiny_style_file, device="cpu", threads=1)
    held = []
    for side in (32, 32, 48, 48):
        engine(noise(1, side, side, 3))
        held.append(engine.held_pixels)
    assert held == [0, 32 * 32, 0, 48 * 48]
