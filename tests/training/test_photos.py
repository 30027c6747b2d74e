"""Photos become crops that depend on the seed and the batch's number alone, whatever else lies in the folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fststyle.errors import InputError
from fststyle.training.photos import ATTEMPTS, PhotoBatches, Photos, find_photos, random_crop

SIZE = 64


def save_photo(path: Path, width: int = 120, height: int = 90, seed: int = 0, blob: int = 10) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (height // blob, width // blob, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(["a.jpg", "b.png", "deep/er/c.webp", "deep/d.JPG"]):
        save_photo(tmp_path / name, seed=number)
    return tmp_path


def batches(folder: Path, *, first: int = 0, last: int = 5, stride: int = 1, seed: int = 0) -> PhotoBatches:
    return PhotoBatches(find_photos(folder), size=SIZE, batch=2, seed=seed, first=first, last=last, stride=stride)


def test_photos_of_any_depth_are_found_and_nothing_else(folder: Path) -> None:
    (folder / "readme.txt").write_text("no photo")
    (folder / ".hidden.jpg").write_bytes(b"")
    assert [path.name for path in find_photos(folder)] == ["a.jpg", "b.png", "d.JPG", "c.webp"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_photos_is_an_input_error(tmp_path: Path, exists: bool) -> None:
    place = tmp_path if exists else tmp_path / "missing"
    with pytest.raises(InputError, match=str(place)):
        find_photos(place)


def test_a_list_names_photos_in_its_own_order_from_its_own_folder(folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "photos.txt"
    listed.write_bytes(b"deep/d.JPG\n\n" + bytes(folder / "a.jpg") + b"\n")
    assert find_photos(listed) == [folder / "deep" / "d.JPG", folder / "a.jpg"]


def test_an_empty_list_of_photos_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "photos.txt").write_text("\n")
    with pytest.raises(InputError, match="no photos in the list"):
        find_photos(tmp_path / "photos.txt")


def test_a_batch_has_the_stated_layout(folder: Path) -> None:
    photos = batches(folder).make(0).photos
    assert photos.shape == (2, SIZE, SIZE, 3)
    assert photos.dtype == torch.uint8


def test_a_run_that_resumes_sees_the_batches_that_one_without_a_break_sees(folder: Path) -> None:
    straight = [batch.photos for batch in batches(folder)]
    resumed = [batch.photos for batch in batches(folder, first=3)]
    assert all(torch.equal(a, b) for a, b in zip(straight[3:], resumed, strict=True))


def test_two_devices_share_the_batches_without_overlap(folder: Path) -> None:
    together = [batch.photos for batch in batches(folder, last=4)]
    ranks = [[batch.photos for batch in batches(folder, first=rank, last=4, stride=2)] for rank in (0, 1)]
    woven = [photos for pair in zip(*ranks, strict=True) for photos in pair]
    assert all(torch.equal(a, b) for a, b in zip(together, woven, strict=True))


def test_workers_change_nothing(folder: Path) -> None:
    module = Photos(folder, size=SIZE, batch=2, steps=5, seed=0, workers=2)
    loaded = [batch.photos for batch in module.train_dataloader()]
    alone = [batch.photos for batch in batches(folder)]
    assert all(torch.equal(a, b) for a, b in zip(alone, loaded, strict=True))


def test_another_seed_gives_other_crops(folder: Path) -> None:
    assert not torch.equal(batches(folder).make(0).photos, batches(folder, seed=1).make(0).photos)


def test_every_photo_is_seen_once_an_epoch(tmp_path: Path) -> None:
    for level in (0, 80, 160, 240):
        Image.new("RGB", (SIZE, SIZE), (level, level, level)).save(tmp_path / f"{level}.png")
    levels = torch.cat([batch.photos.flatten(1).float().mean(1) for batch in batches(tmp_path, last=2)])
    assert sorted(levels.tolist()) == [0, 80, 160, 240]


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "tiny"])
def test_an_unusable_photo_is_replaced_and_named(folder: Path, damage: str) -> None:
    bad = folder / "a.jpg"
    if damage == "tiny":
        save_photo(bad, 30, 20)
    else:
        bad.write_bytes({"truncated": bad.read_bytes()[:-400], "empty": b"", "text": b"not a picture"}[damage])
    made = [batches(folder).make(number) for number in range(2)]
    assert all(len(batch.photos) == 2 for batch in made)
    assert {path for batch in made for path, _ in batch.skipped} == {str(bad)}


def test_a_folder_of_rubbish_gives_up_with_an_empty_batch(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"rubbish")
    batch = batches(tmp_path).make(0)
    assert len(batch.photos) == 0
    assert len(batch.skipped) == ATTEMPTS


def test_a_rotated_phone_photo_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn
    picture = Image.new("RGB", (80, 80), "black")
    picture.paste("white", (0, 0, 40, 80))  # the left half; upright it is the upper half
    picture.save(tmp_path / "phone.png", exif=exif)
    crop = random_crop(tmp_path / "phone.png", 80, np.random.default_rng(0))
    assert crop[:30].mean() > 250
    assert crop[50:].mean() < 5


def test_large_jpegs_show_what_they_showed(tmp_path: Path) -> None:
    """The decoder's shortcut for large JPEGs must not move or blur the crop."""
    save_photo(tmp_path / "large.jpg", 1600, 1200, blob=100)
    Image.open(tmp_path / "large.jpg").save(tmp_path / "large.png")
    crops = [random_crop(tmp_path / name, SIZE, np.random.default_rng(3)) for name in ("large.jpg", "large.png")]
    assert np.abs(crops[0].astype(int) - crops[1].astype(int)).mean() < 2
