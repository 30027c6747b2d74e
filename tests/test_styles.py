import hashlib
import io
import json
from pathlib import Path

import onnx
import pytest
from PIL import Image

from fststyle import style_folders, styles
from fststyle.errors import ModelError, OptionError, StyleNotFoundError
from fststyle.style_folders import listed_digests
from fststyle.styles import (
    Painting,
    available_styles,
    find_style,
    named_style,
    read_style,
    scan_styles,
    style_names,
)


@pytest.fixture
def shipped(tmp_path: Path, tiny_style_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the shipped styles, with ``waves`` and its digest."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    content = tiny_style_file.read_bytes()
    (folder / "waves.onnx").write_bytes(content)
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(content).hexdigest()}  waves.onnx\n")
    monkeypatch.setattr(styles, "shipped_folder", lambda: folder)
    return folder


def test_a_style_tells_what_it_is(tiny_style_file: Path) -> None:
    style = read_style(tiny_style_file)
    assert (style.name, style.preset, style.origin) == ("tiny", style.metadata["preset"], "file")
    assert style.painting == Painting("Stripes", "Nobody", "2024", "CC0-1.0", "")
    assert style.bytes == tiny_style_file.stat().st_size
    assert style.sha256 == hashlib.sha256(tiny_style_file.read_bytes()).hexdigest()


def test_the_preview_is_a_small_jpeg(tiny_style_file: Path) -> None:
    with Image.open(io.BytesIO(read_style(tiny_style_file).preview)) as preview:
        assert preview.format == "JPEG"
        assert max(preview.size) <= 256


def test_a_style_is_plain_json(tiny_style_file: Path) -> None:
    described = read_style(tiny_style_file).to_dict()
    assert json.loads(json.dumps(described)) == described
    assert {"name", "preset", "path", "bytes", "sha256", "painting"} <= described.keys()


def test_digests_are_read_as_sha256sum_writes_them(tmp_path: Path) -> None:
    assert listed_digests(tmp_path) == {}
    (tmp_path / "SHA256SUMS").write_text("0a  text.onnx\n\n1b *binary.onnx\n2c  two words.onnx\nrubbish\n")
    assert listed_digests(tmp_path) == {"text.onnx": "0a", "binary.onnx": "1b", "two words.onnx": "2c"}


def test_shipped_and_own_styles_are_listed_by_name(styles_folder: Path, shipped: Path) -> None:
    assert [(style.name, style.origin) for style in available_styles()] == [("tiny", "user"), ("waves", "shipped")]


def test_an_own_style_hides_a_shipped_one(styles_folder: Path, shipped: Path) -> None:
    (styles_folder / "tiny.onnx").rename(styles_folder / "waves.onnx")
    assert named_style("waves").path == styles_folder / "waves.onnx"
    assert len(available_styles()) == 1


def test_a_path_is_a_path_and_a_name_is_a_name(
    styles_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(styles_folder)
    assert find_style("tiny").origin == "user"
    assert find_style("tiny.onnx").origin == "file"
    assert find_style(styles_folder / "tiny.onnx").origin == "file"
    assert find_style("../styles/tiny.onnx").name == "tiny"


@pytest.mark.parametrize("name", ["../styles/tiny", "./tiny", "tiny.onnx", "/etc/passwd", ""])
def test_a_name_is_never_taken_for_a_path(styles_folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(styles_folder)
    with pytest.raises(StyleNotFoundError):
        named_style(name)


@pytest.mark.parametrize("asked", ["tinny", "folder/tinny.onnx"])
def test_the_nearest_name_is_offered(styles_folder: Path, asked: str) -> None:
    with pytest.raises(StyleNotFoundError, match="did you mean 'tiny'"):
        find_style(asked)


def test_a_damaged_file_does_not_hide_the_others(styles_folder: Path) -> None:
    (styles_folder / "broken.onnx").write_bytes(b"no model")
    found, errors = scan_styles()
    assert "tiny" in {style.name for style in found}
    assert len(errors) == 1
    assert "broken.onnx" in str(errors[0])


def test_a_shipped_file_that_changed_is_damaged(shipped: Path) -> None:
    named_style("waves").verify()
    content = bytearray((shipped / "waves.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (shipped / "waves.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        named_style("waves").verify()


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({}, "not one of a style"),
        ({"fststyle": "{"}, "damaged metadata"),
        ({"fststyle": "[]"}, "expected a JSON object"),
        ({"fststyle": '{"format": 3}'}, "update it"),
        ({"fststyle": '{"format": 2, "styles": ["photo"]}'}, "names of two styles or more"),
        ({"fststyle": '{"format": 2, "styles": [1, 2]}'}, "names of two styles or more"),
        ({"fststyle": '{"format": 1}', "fststyle.preview": "?"}, "damaged preview"),
    ],
)
def test_an_onnx_file_that_is_not_ours_is_refused(tmp_path: Path, stored: dict[str, str], message: str) -> None:
    model = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    onnx.helper.set_model_props(model, stored)
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(ModelError, match=message):
        read_style(tmp_path / "a.onnx")


def test_the_users_folder_is_the_platforms_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FSTSTYLE_STYLES", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert style_folders.user_folder().parts[-2:] == ("fststyle", "styles")


def test_an_account_without_a_home_has_a_folder_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = pytest.importorskip("pwd")

    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(accounts, "getpwuid", unknown)
    for name in ("FSTSTYLE_STYLES", "XDG_DATA_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    assert style_folders.user_folder().parts == ("/", ".local", "share", "fststyle", "styles")
    assert styles.available_styles()


def test_a_painting_reads_as_a_caption() -> None:
    assert str(Painting(title="Stripes", artist="Nobody", year="2024")) == "Nobody, Stripes, 2024"
    assert str(Painting(title="Stripes")) == "Stripes"


@pytest.fixture
def pair(styles_folder: Path, shipped: Path, palette_file: Path) -> Path:
    """Styles at hand: ``tiny``, ``waves``, and the palette ``pair`` of ``dawn`` and ``dusk``."""
    path = styles_folder / "pair.onnx"
    path.write_bytes(palette_file.read_bytes())
    return path


def test_a_palette_is_its_first_painting_until_a_mix_is_asked_for(pair: Path) -> None:
    style = find_style("pair")
    assert (style.name, style.styles, style.weights) == ("pair", ("photo", "dawn", "dusk"), (0.0, 1.0, 0.0))
    assert style.preview == style.previews["dawn"] != style.previews["dusk"]
    assert style.to_dict()["styles"] == {"photo": 0.0, "dawn": 1.0, "dusk": 0.0}
    with Image.open(io.BytesIO(style.preview)) as preview:
        assert max(preview.size) <= 128


@pytest.mark.parametrize(
    ("text", "name", "weights"),
    [
        ("dawn:3,dusk:1", "dawn:3,dusk:1", (0.0, 0.75, 0.25)),
        ("dusk,photo@pair", "dusk:1,photo:1", (0.5, 0.0, 0.5)),
        ("dusk@pair", "dusk", (0.0, 0.0, 1.0)),
        ("dusk:0.2", "dusk", (0.0, 0.0, 1.0)),
        ("dusk", "dusk", (0.0, 0.0, 1.0)),
        ("dusk:2,dawn:0", "dusk", (0.0, 0.0, 1.0)),
    ],
)
def test_a_mix_is_a_style(pair: Path, text: str, name: str, weights: tuple[float, ...]) -> None:
    style = find_style(text)
    assert (style.name, style.weights, style.path) == (name, weights, pair)
    assert find_style(f"{text}@{pair}".replace("@pair@", "@")).weights == weights


def test_a_style_of_a_palette_has_its_own_painting_and_preview(pair: Path) -> None:
    style = named_style("dusk")
    assert style.painting.title == "Dusk"
    assert style.preview == style.previews["dusk"]


def test_a_file_of_its_own_comes_before_a_palette(pair: Path, tiny_style_file: Path) -> None:
    pair.with_name("dusk.onnx").write_bytes(tiny_style_file.read_bytes())
    assert find_style("dusk").styles == ()
    assert find_style("dusk:1").path == pair
    assert style_names() == ["dusk", "tiny", "waves", "dawn"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("dawn:1,dsk:1", StyleNotFoundError, "no palette holds a style named 'dsk'.*did you mean 'dusk'"),
        ("dawn:1,tiny:1", StyleNotFoundError, "no palette holds a style named 'tiny'"),
        ("dawn:1@tiny", StyleNotFoundError, "asks for a palette"),
        ("dawn:1@par", StyleNotFoundError, "no style named 'par'.*did you mean 'pair'"),
        ("dawn:-1,dusk:2", OptionError, "at least 0, got -1"),
        ("dwn", StyleNotFoundError, "styles: dawn, dusk, tiny, waves.*did you mean 'dawn'"),
    ],
)
def test_a_mix_that_cannot_be_had(pair: Path, text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        find_style(text)


def test_only_the_styles_of_one_palette_mix(pair: Path) -> None:
    content = onnx.load(pair)
    entry = next(entry for entry in content.metadata_props if entry.key == "fststyle")
    entry.value = entry.value.replace("dusk", "noon").replace("dawn", "night")
    onnx.save(content, pair.with_name("other.onnx"))
    with pytest.raises(StyleNotFoundError, match="no palette holds all of dawn, noon"):
        find_style("dawn:1,noon:1")
