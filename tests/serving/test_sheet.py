import numpy as np
import pytest
from PIL import Image

from fststyle.errors import OptionError
from fststyle.serving.sheet import LABEL_HEIGHT, MARGIN, Tile, contact_sheet, wrapped


def tile(colour: str, label: str = "", size: tuple[int, int] = (60, 40)) -> Tile:
    return Tile(Image.new("RGB", size, colour), label)


def test_every_picture_stands_in_its_cell() -> None:
    sheet = contact_sheet([[tile("red"), tile("lime")], [tile("blue"), tile("yellow")]], cell=64)
    assert sheet.size == (2 * 60 + 3 * MARGIN, 2 * 40 + 3 * MARGIN)
    right, below = MARGIN + 60 + MARGIN, MARGIN + 40 + MARGIN
    for place, colour in {
        (MARGIN, MARGIN): (255, 0, 0),
        (right, MARGIN): (0, 255, 0),
        (MARGIN, below): (0, 0, 255),
        (right, below): (255, 255, 0),
    }.items():
        cell = np.asarray(sheet.crop((*place, place[0] + 60, place[1] + 40)))
        assert (cell == colour).all()


def test_a_label_is_written_above_its_picture() -> None:
    sheet = np.asarray(contact_sheet([[tile("white", "great wave"), tile("white")]], cell=64))
    strip = sheet[MARGIN : MARGIN + LABEL_HEIGHT]
    assert strip[:, : MARGIN + 60].min() < 100
    assert strip[:, MARGIN + 60 :].min() == 255


def test_a_row_without_labels_leaves_no_room_for_them() -> None:
    plain, labelled = contact_sheet([[tile("red")]], cell=64), contact_sheet([[tile("red", "x")]], cell=64)
    assert labelled.height - plain.height == LABEL_HEIGHT


def test_a_label_has_as_many_lines_as_it_says() -> None:
    sheet = np.asarray(contact_sheet([[tile("white", "weight\nscale"), tile("white", "x")]], cell=64))
    assert sheet.shape[0] == 40 + 2 * LABEL_HEIGHT + 2 * MARGIN
    for line in range(2):
        strip = sheet[MARGIN + line * LABEL_HEIGHT : MARGIN + (line + 1) * LABEL_HEIGHT]
        assert strip[:, : MARGIN + 60].min() < 100


def test_a_long_label_does_not_run_into_the_next_column() -> None:
    sheet = np.asarray(contact_sheet([[tile("white", "m" * 200), tile("white", size=(60, 40))]], cell=64))
    assert sheet[:, MARGIN + 60 + 2 :].min() == 255


def test_large_pictures_shrink_and_small_ones_do_not_grow() -> None:
    sheet = contact_sheet([[tile("red", size=(600, 300)), tile("red", size=(20, 20))]], cell=100)
    assert sheet.size == (100 + 20 + 3 * MARGIN, 50 + 2 * MARGIN)


def test_rows_may_be_of_different_lengths() -> None:
    assert contact_sheet([[tile("red"), tile("red")], [tile("red")]], cell=64).width == 2 * 60 + 3 * MARGIN


def test_transparency_shows_as_white() -> None:
    clear = Tile(Image.new("RGBA", (30, 30), (255, 0, 0, 0)))
    assert np.asarray(contact_sheet([[clear]], cell=64)).min() == 255


def test_rows_wrap() -> None:
    tiles = [tile("red", str(number)) for number in range(5)]
    assert [[entry.label for entry in row] for row in wrapped(tiles, 2)] == [["0", "1"], ["2", "3"], ["4"]]


@pytest.mark.parametrize(("rows", "cell"), [([], 64), ([[]], 64), ([[tile("red")]], 8)])
def test_a_sheet_of_nothing_is_refused(rows: list[list[Tile]], cell: int) -> None:
    with pytest.raises(OptionError):
        contact_sheet(rows, cell=cell)
