import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from fststyle.cli.main import main
from fststyle.cli.masking import RegionOption, parse_region
from fststyle.errors import OptionError
from fststyle.images import load_rgb
from fststyle.serving.stylizer import Stylizer

Styled = Callable[[str], np.ndarray]


@pytest.fixture(autouse=True)
def _files(styles_folder: Path, palette_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the styles ``tiny``, ``dawn`` and ``dusk``, the last two are of one palette; the mask ``left.png`` is white on
    the left, ``top.png`` above.
    """
    shutil.copyfile(palette_file, styles_folder / "pair.onnx")
    monkeypatch.chdir(tmp_path)
    for name, area in (("left.png", np.s_[:, :20]), ("top.png", np.s_[:15])):
        mask = np.zeros((30, 40), np.uint8)
        mask[area] = 255
        Image.fromarray(mask).save(name)


@pytest.fixture
def photo() -> np.ndarray:
    """The left half is red, the right one blue, and both are mottled; also ``photo.png``."""
    pixels = np.random.default_rng(0).integers(0, 60, (30, 40, 3), np.uint8)
    pixels[:, :20, 0] += 195
    pixels[:, 20:, 2] += 195
    Image.fromarray(pixels).save("photo.png")
    return pixels


@pytest.fixture
def styled(photo: np.ndarray) -> Styled:
    return lambda style: Stylizer(style, device="cpu", threads=1)(photo)


def stylize(*arguments: str) -> int:
    return main(["stylize", "--device", "cpu", "--threads", "1", *arguments])


def quadrants(picture: np.ndarray) -> list[np.ndarray]:
    """Upper left, upper right, lower left, lower right."""
    return [picture[rows, columns] for rows in (np.s_[:15], np.s_[15:]) for columns in (np.s_[:20], np.s_[20:])]


def assert_quadrants(picture: np.ndarray, *expected: np.ndarray) -> None:
    for place, (found, whole) in enumerate(zip(quadrants(picture), expected, strict=True)):
        np.testing.assert_array_equal(found, quadrants(whole)[place])


def test_a_mask(photo: np.ndarray, styled: Styled) -> None:
    assert stylize("photo.png", "-o", "out.png", "--style", "tiny", "--mask", "left.png") == 0
    tiny = styled("tiny")
    assert_quadrants(load_rgb("out.png"), tiny, photo, tiny, photo)


def test_regions_over_a_style(photo: np.ndarray, styled: Styled) -> None:
    regions = ["--region", "left.png=dawn", "--region", "top.png=dawn:1,dusk:3"]
    assert stylize("photo.png", "-o", "out.png", "--style", "tiny", *regions) == 0
    mixed = styled("dawn:1,dusk:3")
    assert_quadrants(load_rgb("out.png"), mixed, mixed, styled("dawn"), styled("tiny"))


def test_a_region_that_cannot_blend_in_its_network_is_said_before_the_work(
    photo: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--style", "dawn", "--region", "left.png=tiny", "--blend", "network"]
    assert stylize("photo.png", "-o", "out.png", *asked) == 2
    assert "tiny is a network of one style" in capsys.readouterr().err
    assert not Path("out.png").exists()


def test_regions_over_a_style_inside_a_mask(photo: np.ndarray, styled: Styled) -> None:
    where = ["--mask", "left.png", "--region", "top.png=photo"]
    assert stylize("photo.png", "-o", "out.png", "--style", "dusk", *where) == 0
    assert_quadrants(load_rgb("out.png"), photo, photo, styled("dusk"), photo)


@pytest.mark.parametrize("style", [[], ["--style", "photo"]])
def test_regions_alone_leave_the_rest_as_it_is(photo: np.ndarray, styled: Styled, style: list[str]) -> None:
    assert stylize("photo.png", *style, "--region", "left.png=dawn", "--region", "top.png=tiny") == 0
    tiny = styled("tiny")
    assert_quadrants(load_rgb("photo-dawn+tiny.png"), tiny, tiny, styled("dawn"), photo)


def test_networks_are_loaded_once(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    load = Stylizer.__init__

    def counted(self: Stylizer, style: str | Path, **options: object) -> None:
        loaded.append(style)
        load(self, style, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Stylizer, "__init__", counted)
    regions = ["--region", "left.png=dusk", "--region", "top.png=tiny", "--region", "top.png=tiny.onnx"]
    shutil.copyfile("styles/tiny.onnx", "tiny.onnx")
    assert stylize("photo.png", "-o", "out.png", "--style", "dawn", *regions) == 0
    assert [Path(style).name for style in loaded] == ["dawn", "tiny.onnx", "tiny.onnx"]


def test_feathering(photo: np.ndarray, styled: Styled) -> None:
    assert stylize("photo.png", "-o", "out.png", "--style", "tiny", "--mask", "left.png", "--feather", "2") == 0
    result, tiny = load_rgb("out.png"), styled("tiny")
    np.testing.assert_array_equal(result[:, :10], tiny[:, :10])
    np.testing.assert_array_equal(result[:, 30:], photo[:, 30:])
    edge = result[:, 20].astype(float)
    assert 0 < np.abs(edge - photo[:, 20]).mean() < np.abs(tiny[:, 20].astype(float) - photo[:, 20]).mean()


def test_transparency_is_kept(photo: np.ndarray) -> None:
    Image.fromarray(np.dstack((photo, np.arange(1200, dtype=np.uint16).reshape(30, 40).astype(np.uint8)))).save("a.png")
    assert stylize("a.png", "-o", "out.png", "--style", "tiny", "--mask", "left.png") == 0
    with Image.open("out.png") as result, Image.open("a.png") as given:
        np.testing.assert_array_equal(np.asarray(result)[..., 3], np.asarray(given)[..., 3])
        np.testing.assert_array_equal(np.asarray(result)[:, 20:], np.asarray(given)[:, 20:])


def test_a_stream(photo: np.ndarray, styled: Styled, monkeypatch: pytest.MonkeyPatch) -> None:
    class _Standard:
        buffer = io.BytesIO(Path("photo.png").read_bytes())

    monkeypatch.setattr("sys.stdin", _Standard)
    assert stylize("-", "-o", "out.png", "--region", "left.png=tiny") == 0
    assert_quadrants(load_rgb("out.png"), styled("tiny"), photo, styled("tiny"), photo)


def test_a_photo_that_a_mask_does_not_fit_does_not_stop_the_others(
    photo: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("in").mkdir()
    Image.fromarray(photo).save("in/b.png")
    Image.fromarray(photo.swapaxes(0, 1)).save("in/a.png")
    assert stylize("in", "-o", "out", "--style", "tiny", "--mask", "left.png") == 1
    printed = capsys.readouterr()
    told = "the mask left.png has 40 x 30 pixels and the photo, upright, 30 x 40"
    assert printed.err.count(told) == 1
    assert "1 of 2 pictures failed: in/a.png" in printed.err
    assert [path.name for path in Path("out").glob("*.png")] == ["b.png"]


def test_a_run_goes_on_where_it_stopped_while_masks_are_the_same(
    photo: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("in").mkdir()
    Image.fromarray(photo).save("in/a.png")
    usual = ("in", "-o", "out", "--style", "tiny", "--region", "left.png=dawn:1,dusk:1", "--json")

    def run(*arguments: str) -> str:
        code = stylize(*arguments)
        printed = capsys.readouterr()
        return json.loads(printed.out)["status"] if code == 0 else printed.err

    assert run(*usual) == "written"
    assert run(*usual) == "skipped"
    Image.open("left.png").save("same.png", compress_level=0)
    assert run(*(part.replace("left", "same") for part in usual)) == "skipped"
    for changed in (
        (*usual, "--feather", "3"),
        (*usual, "--mask", "top.png"),
        tuple(part.replace("left", "top") for part in usual),
        tuple(part.replace("dusk:1", "dusk:2") for part in usual),
        tuple(part for part in usual if part != "--region" and "=" not in part),
    ):
        assert "made with other settings" in run(*changed)


@pytest.fixture
def model() -> str:
    """A network of 16 x 16 pixels that takes red for a person: the file ``red.onnx``."""
    shape = [1, 3, 16, 16]
    graph = helper.make_graph(
        [
            helper.make_node("Slice", ["picture", "none", "one", "one"], ["red"]),
            helper.make_node("Greater", ["red", "zero"], ["is_red"]),
            helper.make_node("Cast", ["is_red"], ["mask"], to=TensorProto.FLOAT),
        ],
        "red",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, 1, 16, 16])],
        [
            numpy_helper.from_array(np.array([0]), "none"),
            numpy_helper.from_array(np.array([1]), "one"),
            numpy_helper.from_array(np.float32(0), "zero"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "red.onnx")
    return "red.onnx"


def test_persons_are_found_by_a_model(photo: np.ndarray, styled: Styled, model: str) -> None:
    tiny = styled("tiny")
    for part, (left, right) in {"person": (tiny, photo), "background": (photo, tiny), "": (tiny, photo)}.items():
        asked = ["--mask-part", part] if part else []
        assert stylize("photo.png", "-o", f"out{part}.png", "--style", "tiny", "--mask-model", model, *asked) == 0
        result = load_rgb(f"out{part}.png")
        np.testing.assert_array_equal(result[:, :16], left[:, :16])
        np.testing.assert_array_equal(result[:, 24:], right[:, 24:])


def test_a_style_for_persons_and_one_for_the_background(photo: np.ndarray, styled: Styled, model: str) -> None:
    regions = ["--region", "person=dusk", "--region", "background=tiny"]
    assert stylize("photo.png", "-o", "out.png", "--mask-model", model, *regions) == 0
    result = load_rgb("out.png")
    np.testing.assert_array_equal(result[:, :16], styled("dusk")[:, :16])
    np.testing.assert_array_equal(result[:, 24:], styled("tiny")[:, 24:])


def test_what_the_model_does_is_known_of_results(
    photo: np.ndarray, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("in").mkdir()
    Image.fromarray(photo).save("in/a.png")
    usual = ("in", "-o", "out", "--style", "tiny", "--mask-model", model)
    assert stylize(*usual) == 0
    assert stylize(*usual, "--mask-part", "person") == 0
    assert "1 of 1 are done already" in capsys.readouterr().err
    for changed in (["--mask-part", "background"], ["--mask-normalize", "signed"]):
        assert stylize(*usual, *changed) == 4
        assert "made with other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--region", "left.png"], 2, "a region is written MASK=STYLE"),
        (["--region", "=tiny"], 2, "a region is written MASK=STYLE"),
        (["--region", "left.png=tinny"], 5, "no style named 'tinny'"),
        (["--region", "left.png=photo"], 2, "all regions are the photo as it is"),
        (["--region", "person=tiny"], 2, "person is what a --mask-model finds"),
        (["--mask", "none.png"], 3, "cannot read none.png"),
        (["--mask-part", "person"], 2, "need a --mask-model"),
        (["--mask-class", "1"], 2, "need a --mask-model"),
        (["--mask", "left.png", "--mask-model", "m.onnx"], 2, "has nothing to do"),
        (["--mask", "left.png", "--mask-model", "m.onnx", "--mask-part", "person"], 2, "name one of them"),
        (["--mask-model", "m.onnx"], 6, "cannot read the mask model m.onnx"),
        (["--mask-model", "styles/tiny.onnx"], 6, "accepted are networks that take one picture"),
        (["--feather", "3"], 2, "--feather is for masks"),
        (["--feather", "-3", "--mask", "left.png"], 2, "feather must be 0 to"),
    ],
)
def test_mistakes(
    photo: np.ndarray, arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    style = [] if "--region" in arguments else ["--style", "tiny"]
    assert stylize("photo.png", "-o", "out.png", *style, *arguments) == code
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not Path("out.png").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sky.png=tiny", ("sky.png", "tiny")),
        (r"C:\masks\sky.png=a:0.7,b:0.3@C:\styles\p.onnx", (r"C:\masks\sky.png", r"a:0.7,b:0.3@C:\styles\p.onnx")),
        ("person=styles/x=y.onnx", ("person", "styles/x=y.onnx")),
        ("left.png=styles/x=y.onnx", ("left.png", "styles/x=y.onnx")),
        ("not=there.png=tiny", ("not=there.png", "tiny")),
    ],
)
def test_how_regions_are_read(text: str, expected: tuple[str, str]) -> None:
    assert parse_region(text) == RegionOption(*expected)


def test_the_longest_name_of_a_file_is_the_mask() -> None:
    shutil.copyfile("left.png", "left.png=a.png")
    assert parse_region("left.png=a.png=tiny") == RegionOption("left.png=a.png", "tiny")
    with pytest.raises(OptionError, match="MASK=STYLE"):
        parse_region("left.png=a.png=")


def test_the_options_are_told() -> None:
    from fststyle.cli.stylize import stylize as command

    told = command.get_help(click.Context(command))
    for option in ("--mask ", "--region MASK=STYLE", "--feather PIXELS", "--mask-model", "--mask-part", "--mask-class"):
        assert option in told
