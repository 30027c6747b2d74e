import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fststyle.errors import ModelError, OptionError
from fststyle.serving.regions import MaskedStylizer
from fststyle.serving.segmenter import PersonSegmenter, segmenter_digest
from fststyle.serving.stylizer import Stylizer

Shape = Sequence[int | str]
Save = Callable[..., Path]
FLOAT, INT64, UINT8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.UINT8

# The networks here take red for a person: 1 where a picture is red, in the middle of the range that they are given.
THRESHOLDS = {"imagenet": 0.0, "signed": 0.0, "centred": 0.0, "unit": 0.5, "bytes": 127.5}


@pytest.fixture
def photo() -> np.ndarray:
    """The left half is red, the right one blue."""
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[:, :40, 0] = 255
    pixels[:, 40:, 2] = 255
    return pixels


@pytest.fixture
def save(tmp_path: Path) -> Save:
    return functools.partial(save_network, tmp_path / "model.onnx")


def save_network(
    path: Path,
    *nodes: onnx.NodeProto,
    taken: Shape = (1, 3, 32, 32),
    given: Shape = (1, 1, 32, 32),
    dtype: int = FLOAT,
    result: int = FLOAT,
    threshold: float = 0.0,
    constants: dict[str, np.ndarray] | None = None,
    inputs: int = 1,
) -> Path:
    """A network of ``nodes`` from ``red`` (1 or 0, the shape of the picture with one channel) to ``mask``."""
    last = taken[1] != 3
    slices = {"first": [0], "second": [1], "channels": [3 if last else 1], "threshold": threshold}
    values = {name: np.array(value, np.float32 if name == "threshold" else np.int64) for name, value in slices.items()}
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["picture"], ["floats"], to=FLOAT),
            helper.make_node("Slice", ["floats", "first", "second", "channels"], ["channel"]),
            helper.make_node("Greater", ["channel", "threshold"], ["is_red"]),
            helper.make_node("Cast", ["is_red"], ["red"], to=FLOAT),
            *nodes,
        ],
        "segmentation",
        [helper.make_tensor_value_info(name, dtype, list(taken)) for name in ("picture", "other")[:inputs]],
        [helper.make_tensor_value_info("mask", result, list(given))],
        [numpy_helper.from_array(value, name) for name, value in {**values, **(constants or {})}.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def same(source: str = "red") -> onnx.NodeProto:
    return helper.make_node("Identity", [source], ["mask"])


def is_left_half(plane: np.ndarray, size: tuple[int, int]) -> bool:
    width, height = size
    expected = np.zeros((height, width), np.uint8)
    expected[:, : width // 2] = 255
    return plane.dtype == np.uint8 and np.array_equal(plane, expected)


def test_persons_and_background(save: Save, photo: np.ndarray) -> None:
    segmenter = PersonSegmenter(save(same()))
    assert is_left_half(segmenter.plane(photo), (32, 32))
    assert not segmenter.person.inverted
    assert segmenter.background.inverted
    assert segmenter.person.source is segmenter.background.source is segmenter


@pytest.mark.parametrize("normalize", THRESHOLDS)
def test_ranges(save: Save, photo: np.ndarray, normalize: str) -> None:
    tinted = np.where(photo == 255, 150, 100).astype(np.uint8)
    model = save(same(), threshold=THRESHOLDS[normalize])
    segmenter = PersonSegmenter(model, normalize=normalize)  # type: ignore[arg-type]
    assert is_left_half(segmenter.plane(tinted), (32, 32))


@pytest.mark.parametrize(
    ("normalize", "expected"),
    [("imagenet", (255 - 123.675) / 58.395), ("signed", 1), ("centred", 0.5), ("unit", 1), ("bytes", 255)],
)
def test_the_largest_value_of_a_range(save: Save, photo: np.ndarray, normalize: str, expected: float) -> None:
    assert PersonSegmenter(save(same(), threshold=expected - 0.001), normalize=normalize).plane(photo).any()  # type: ignore[arg-type]
    assert not PersonSegmenter(save(same(), threshold=expected + 0.001), normalize=normalize).plane(photo).any()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("taken", "given", "dtype", "expected"),
    [
        ((1, 3, 320, 320), (1, 1, 320, 320), FLOAT, "imagenet"),
        (("n", 3, "h", "w"), ("n", 1, "h", "w"), FLOAT, "signed"),
        ((1, 256, 256, 3), (1, 256, 256, 1), FLOAT, "unit"),
        ((1, "h", "w", 3), (1, "h", "w", 1), UINT8, "bytes"),
    ],
)
def test_the_likely_range(save: Save, taken: Shape, given: Shape, dtype: int, expected: str) -> None:
    assert PersonSegmenter(save(same(), taken=taken, given=given, dtype=dtype)).normalize == expected


def test_channels_last(save: Save, photo: np.ndarray) -> None:
    model = save(same(), taken=(1, 24, 40, 3), given=(1, 24, 40, 1), threshold=0.5)
    assert is_left_half(PersonSegmenter(model).plane(photo), (40, 24))


def test_bytes_of_any_size(save: Save, photo: np.ndarray) -> None:
    model = save(same(), taken=(1, "h", "w", 3), given=(1, "h", "w", 1), dtype=UINT8, threshold=127)
    assert is_left_half(PersonSegmenter(model).plane(photo), (672, 512))


def test_half_precision(save: Save, photo: np.ndarray) -> None:
    model = save(same(), dtype=TensorProto.FLOAT16)
    assert is_left_half(PersonSegmenter(model).plane(photo), (32, 32))


def test_a_plane_without_channels(save: Save, photo: np.ndarray) -> None:
    squeezed = helper.make_node("Squeeze", ["red", "channels"], ["mask"])
    assert is_left_half(PersonSegmenter(save(squeezed, given=(1, 32, 32))).plane(photo), (32, 32))


def test_a_plane_of_logits(save: Save, photo: np.ndarray) -> None:
    nodes = [
        helper.make_node("Sub", ["red", "half"], ["centred"]),
        helper.make_node("Mul", ["centred", "ten"], ["mask"]),
    ]
    constants = {"half": np.float32(0.5), "ten": np.float32(10)}
    assert is_left_half(PersonSegmenter(save(*nodes, constants=constants)).plane(photo), (32, 32))


def classes(
    count: int, person: int, *, axis: int = 1, scale: float = 8.0
) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """Logits of ``count`` classes: that of persons is high where it is red, the first one elsewhere."""
    shape = [count if place == axis else 1 for place in range(4)]
    high, low = np.zeros(count, np.float32), np.zeros(count, np.float32)
    high[person], low[0] = scale, scale
    nodes = [
        helper.make_node("Mul", ["red", "high"], ["persons"]),
        helper.make_node("Sub", ["one", "red"], ["others"]),
        helper.make_node("Mul", ["others", "low"], ["rest"]),
        helper.make_node("Add", ["persons", "rest"], ["mask"]),
    ]
    return nodes, {"high": high.reshape(shape), "low": low.reshape(shape), "one": np.float32(1)}


@pytest.mark.parametrize(("count", "person"), [(2, 1), (21, 15)])
def test_known_classes(save: Save, photo: np.ndarray, count: int, person: int) -> None:
    nodes, constants = classes(count, person)
    model = save(*nodes, constants=constants, given=(1, count, 32, 32))
    segmenter = PersonSegmenter(model)
    assert segmenter.normalize == ("signed" if count == 2 else "imagenet")
    assert is_left_half(segmenter.plane(photo), (32, 32))
    other = PersonSegmenter(model, classes=[0])
    assert is_left_half(255 - other.plane(photo), (32, 32))


def test_probabilities_of_two_classes(save: Save, photo: np.ndarray) -> None:
    nodes, constants = classes(2, 1, scale=1)
    model = save(*nodes, constants=constants, given=(1, 2, 32, 32))
    assert is_left_half(PersonSegmenter(model).plane(photo), (32, 32))


def test_classes_in_the_last_place_of_unknown_number(save: Save, photo: np.ndarray) -> None:
    nodes, constants = classes(6, 4, axis=3)
    model = save(*nodes, constants=constants, taken=(1, 24, 40, 3), given=(1, "h", "w", "c"), threshold=0.5)
    assert is_left_half(PersonSegmenter(model, classes=[3, 4]).plane(photo), (40, 24))
    assert not PersonSegmenter(model, classes=[3]).plane(photo).any()
    with pytest.raises(OptionError, match="has 6 classes: say which are persons"):
        PersonSegmenter(model).plane(photo)


def test_classes_that_nobody_knows_are_asked_for_at_once(save: Save) -> None:
    nodes, constants = classes(19, 11)
    model = save(*nodes, constants=constants, given=(1, 19, 32, 32))
    with pytest.raises(OptionError, match=r"has 19 classes: say which are persons \(--mask-class"):
        PersonSegmenter(model)
    with pytest.raises(OptionError, match="are 0 to 18, got 19"):
        PersonSegmenter(model, classes=[19])


def test_a_plane_of_numbers(save: Save, photo: np.ndarray) -> None:
    nodes = [
        helper.make_node("Mul", ["red", "fifteen"], ["numbers"]),
        helper.make_node("Squeeze", ["numbers", "channels"], ["plane"]),
        helper.make_node("Cast", ["plane"], ["mask"], to=INT64),
    ]
    model = save(*nodes, constants={"fifteen": np.float32(15)}, given=(1, 32, 32), result=INT64)
    assert is_left_half(PersonSegmenter(model, classes=[15]).plane(photo), (32, 32))
    with pytest.raises(OptionError, match="gives a number for each pixel: say which are persons"):
        PersonSegmenter(model)


@pytest.mark.parametrize(
    ("strongest", "expected"), [(0.97, 255), (0.8, 255), (0.3, round((0.3 - 0.05) / 0.45 * 255)), (0.04, 0)]
)
def test_the_surest_pixel_is_white_if_it_is_a_person(
    save: Save, photo: np.ndarray, strongest: float, expected: int
) -> None:
    model = save(helper.make_node("Mul", ["red", "sure"], ["mask"]), constants={"sure": np.float32(strongest)})
    found = PersonSegmenter(model).plane(photo)
    assert found.max() == expected
    assert not found[:, 16:].any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"taken": (1, 4, 32, 32), "given": (1, 1, 32, 32)},
        {"taken": (2, 3, 32, 32), "given": (2, 1, 32, 32)},
        {"taken": (1, 3, 32, 32), "given": (1, 1, 32, 32), "inputs": 2},
        {"taken": (1, 3, 1, 32, 32), "given": (1, 1, 1, 32, 32)},
    ],
)
def test_a_model_that_does_not_fit(save: Save, wrong: dict[str, Shape]) -> None:
    with pytest.raises(ModelError) as raised:
        PersonSegmenter(save(same(), **wrong))
    message = str(raised.value)
    taken = ", ".join(map(str, wrong["taken"]))
    assert f"takes picture tensor(float) [{taken}]" in message
    assert "gives mask tensor(float)" in message
    assert "accepted are networks that take one picture" in message
    assert "\n" not in message


def test_a_result_of_another_shape_is_no_mask(save: Save, photo: np.ndarray) -> None:
    flat = save(
        helper.make_node("ReduceMax", ["red"], ["mask"], axes=[2]), taken=(1, 3, 32, 48), given=(1, 1, "h", "w")
    )
    with pytest.raises(ModelError, match="of a picture of 48 x 32 it made 1 x 1 x 1 x 48"):
        PersonSegmenter(flat).plane(photo)


def test_values_that_are_no_numbers(save: Save, photo: np.ndarray) -> None:
    model = save(helper.make_node("Div", ["red", "red"], ["mask"]))
    with pytest.raises(ModelError, match="no numbers"):
        PersonSegmenter(model).plane(photo)


def test_files_that_are_none(tmp_path: Path, photo: np.ndarray) -> None:
    with pytest.raises(ModelError, match="cannot read the mask model"):
        PersonSegmenter(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ModelError, match="damaged"):
        PersonSegmenter(tmp_path / "text.onnx")


def test_options_are_checked(save: Save) -> None:
    with pytest.raises(OptionError, match="got 'imagnet'; did you mean 'imagenet'"):
        PersonSegmenter(save(same()), normalize="imagnet")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="from 0"):
        PersonSegmenter(save(same()), classes=[-1])


def test_pictures_side_by_side_have_the_same_masks(save: Save, photo: np.ndarray) -> None:
    segmenter = PersonSegmenter(save(same()), threads=2)
    photos = [np.roll(photo, 9 * number, axis=1) for number in range(8)]
    with ThreadPoolExecutor(2) as pool:
        planes = list(pool.map(segmenter.side_by_side(2).plane, photos))
    np.testing.assert_array_equal(planes, [segmenter.plane(each) for each in photos])


def test_digests(save: Save) -> None:
    model = save(same())
    digests = {segmenter_digest(model, "unit", []), segmenter_digest(model, "unit", [1])}
    digests |= {segmenter_digest(model, "bytes", []), segmenter_digest(save(same(), threshold=0.1), "unit", [])}
    assert len(digests) == 4
    assert PersonSegmenter(model, normalize="unit", classes=[0]).person.digest == segmenter_digest(model, "unit", [0])


def test_a_style_for_persons_and_one_for_the_background(
    save: Save, photo: np.ndarray, tiny_style_file: Path, palette_file: Path
) -> None:
    segmenter = PersonSegmenter(save(same()), threads=1)
    tiny, dawn = (Stylizer(file, device="cpu", threads=1) for file in (tiny_style_file, palette_file))
    result = MaskedStylizer(tiny, segmenter.background, regions=[(segmenter.person, dawn)])(photo)
    np.testing.assert_array_equal(result[:, :38], dawn(photo)[:, :38])
    np.testing.assert_array_equal(result[:, 42:], tiny(photo)[:, 42:])
