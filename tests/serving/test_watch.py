import os
import threading
from pathlib import Path

import pytest

from fststyle.serving.folder import Photo, photos_below
from fststyle.serving.watch import arrivals


class Script:
    """Changes the folder between two looks, one step for each, and stops after the last."""

    def __init__(self, folder: Path, *steps: tuple[str, str] | None) -> None:
        self.folder, self.steps, self.stop = folder, [*steps], threading.Event()
        self.now = 0

    def look(self) -> list[Photo]:
        self.now += 1
        if not self.steps:
            self.stop.set()
        elif step := self.steps.pop(0):
            path = self.folder / step[0]
            path.write_text(step[1])
            os.utime(path, (self.now, self.now))
        return photos_below(self.folder, self.folder / "out")

    def arrived(self) -> list[list[str]]:
        batches = arrivals(self.look, stop=self.stop, seconds=0)
        return [[photo.source.name for photo in photos] for photos in batches]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([None], []),
        ([("a.jpg", "x"), None], [["a.jpg"]]),
        ([("a.jpg", "x"), None, None, None], [["a.jpg"]]),
        ([("a.jpg", "x"), ("b.jpg", "x"), None], [["a.jpg"], ["b.jpg"]]),
        ([("a.jpg", ""), None, None], []),
        ([("a.jpg", "x"), ("a.jpg", "xx"), ("a.jpg", "xxx"), None], [["a.jpg"]]),
        ([("a.jpg", "x"), None, ("a.jpg", "y"), None], [["a.jpg"], ["a.jpg"]]),
        ([("a.txt", "x"), None], []),
    ],
    ids=["nothing", "one", "one only once", "two", "empty", "still growing", "changed", "no picture"],
)
def test_photos_come_once_when_they_are_complete(
    tmp_path: Path, steps: list[tuple[str, str] | None], expected: list[list[str]]
) -> None:
    assert Script(tmp_path, *steps).arrived() == expected


def test_a_file_that_disappears_while_it_is_looked_at_is_no_error(tmp_path: Path) -> None:
    stop = threading.Event()

    def look() -> list[Photo]:
        stop.set()
        return [Photo(tmp_path / "gone.jpg", Path("gone.jpg"))]

    assert [*arrivals(look, stop=stop, seconds=0)] == []


def test_a_stop_does_not_wait_for_the_next_look(tmp_path: Path) -> None:
    stop, looked = threading.Event(), threading.Event()

    def look() -> list[Photo]:
        looked.set()
        return []

    watcher = threading.Thread(target=lambda: [*arrivals(look, stop=stop, seconds=3600)], daemon=True)
    watcher.start()
    assert looked.wait(10)
    stop.set()
    watcher.join(10)
    assert not watcher.is_alive()
