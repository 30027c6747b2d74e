from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")

from fststyle.errors import OptionError, OutputError  # noqa: E402
from fststyle.serving.video_frames import write_frames  # noqa: E402


def shades(count: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Grey pictures, each lighter than the one before."""
    for number in range(count):
        yield np.full((size[1], size[0], 3), 40 * number, np.uint8)


@pytest.mark.parametrize("size", [(64, 48), (37, 23)])
def test_frames_become_a_video_as_fast_as_asked(tmp_path: Path, size: tuple[int, int]) -> None:
    write_frames(shades(5, size), tmp_path / "made.mp4", size, rate=20, force=False)
    with av.open(str(tmp_path / "made.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 20
        assert (stream.codec_context.color_primaries, stream.codec_context.colorspace) == (1, 1)
        frames = list(container.decode(video=0))
    assert [float(frame.time or 0) for frame in frames] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])
    pictures = [frame.to_ndarray(format="rgb24") for frame in frames]
    assert [picture.shape for picture in pictures] == [(size[1], size[0], 3)] * 5
    assert [float(picture.mean()) for picture in pictures] == pytest.approx([0, 40, 80, 120, 160], abs=4)


def test_a_file_that_exists_is_replaced_only_if_asked(tmp_path: Path) -> None:
    path = tmp_path / "made.mp4"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        write_frames(shades(2, (16, 16)), path, (16, 16), rate=10, force=False)
    assert path.read_bytes() == b"mine"
    write_frames(shades(2, (16, 16)), path, (16, 16), rate=10, force=True)
    assert path.stat().st_size > 100


def test_frames_that_fail_leave_no_file(tmp_path: Path) -> None:
    def failing() -> Iterator[np.ndarray]:
        yield from shades(2, (16, 16))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_frames(failing(), tmp_path / "made.mp4", (16, 16), rate=10, force=True)
    with pytest.raises(OptionError, match=r"got '\.gif'"):
        write_frames(shades(2, (16, 16)), tmp_path / "made.gif", (16, 16), rate=10, force=True)
    assert list(tmp_path.iterdir()) == []
