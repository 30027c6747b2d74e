"""What an interrupted video has already cost: encoded frames beside the output, until the output is whole.

They lie in a hidden folder as segments, each a file of its own that is there whole or not at all. A segment holds the
packets of one encoder from its first frame to its last, in the order in which they are decoded; the decoding times are
given when all are known.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout

import fststyle
from fststyle.atomic import atomic_write, make_folder
from fststyle.errors import OutputError
from fststyle.serving.ffmpeg import av
from fststyle.serving.look import Look
from fststyle.serving.mix_timeline import Fade
from fststyle.serving.stylizer import Stylizer
from fststyle.serving.video_formats import Target, VideoSettings
from fststyle.serving.video_reader import Frame, VideoInfo
from fststyle.serving.video_writer import Encoded, FrameEncoder

_PACKET = struct.Struct("<qqqQ?")  # time stamps and duration in the time base, bytes, key frame
_FRAMES, _SECONDS = 250, 20.0  # a segment ends after either
_SETTINGS, _LOCK = "settings.json", "lock"


@dataclass(frozen=True)
class _Packet:
    pts: int
    dts: int
    duration: int
    keyframe: bool
    data: bytes


def decisive_facts(
    stylizer: Stylizer, fade: Fade | None, source: Path, look: Look, settings: VideoSettings, target: Target
) -> dict[str, Any]:
    """All that the encoded frames depend on."""
    file = source.stat()
    return {
        "version": fststyle.__version__,
        "input": [str(source.resolve()), file.st_size, file.st_mtime_ns],
        "style": stylizer.style.sha256,
        "weights": [[time, *row] for time, row in zip(fade.times, fade.weights.tolist(), strict=True)]
        if fade is not None
        else [float(weight) for weight in stylizer.engine.weights],
        "masks": stylizer.masks_digest,
        "look": asdict(look),
        "settings": asdict(settings),
        "target": [target.container.name, target.codec_name, target.quality],
    }


class Partial:
    """The hidden folder of one output, which must be :func:`reserved`.

    ``frames`` are in its segments, ``end`` is when the last one ends, in the video's time base; ``stale`` says that
    what lay there was of another input or other settings, and is gone.
    """

    def __init__(self, output: Path, settings: dict[str, Any]) -> None:
        """``settings``: JSON types; everything that the frames depend on.

        :raises OutputError: the settings cannot be written.
        """
        self.folder = _folder(output)
        wanted = json.dumps(settings, sort_keys=True).encode()
        kept = self.folder / _SETTINGS
        self.stale = kept.exists() and kept.read_bytes() != wanted
        if self.stale or not kept.exists():
            self._empty()
            atomic_write(kept, wanted)
        self._segments = self._whole()
        stamps = [packet for segment in self._segments for packet in _packets(segment)]
        self.frames = len(stamps)
        self.end = max((packet.pts + packet.duration for packet in stamps), default=0)

    def add(self, packets: list[_Packet]) -> None:
        """The next segment.

        :raises OutputError: it cannot be written.
        """
        path = self.folder / f"{len(self._segments):06d}.packets"
        parts = [
            _PACKET.pack(item.pts, item.dts, item.duration, len(item.data), item.keyframe) + item.data
            for item in packets
        ]
        body = b"".join(parts)
        atomic_write(path, hashlib.sha256(body).digest() + body)
        self._segments.append(path)

    def packets(self, info: VideoInfo) -> Iterator[Encoded]:
        """Those of all segments, with decoding times that go on from one to the next: those of the frames so many
        places before in the order in which they are shown as the first encoder had it, or more where the order of the
        frames demands it.
        """
        stamps = [packet.pts for segment in self._segments for packet in _packets(segment)]
        shown = sorted(stamps)
        rank = {pts: number for number, pts in enumerate(shown)}
        delay = max((number - rank[pts] for number, pts in enumerate(stamps)), default=0)
        if self._segments:
            first = list(_packets(self._segments[0]))
            begin = min(packet.pts for packet in first)
            delay = max(delay, sum(packet.dts < begin for packet in first))
        lead = shown[min(delay, len(shown) - 1)] - shown[0] if shown else 0
        number = 0
        for segment in self._segments:
            for kept in _packets(segment):
                packet = cast("Encoded", av.Packet(kept.data))
                packet.time_base = info.time_base
                packet.pts, packet.duration, packet.is_keyframe = kept.pts, kept.duration, kept.keyframe
                packet.dts = shown[number - delay] if number >= delay else shown[number] - max(lead, delay)
                number += 1
                yield packet

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _whole(self) -> list[Path]:
        """Segments from the first on, as far as they can be read."""
        found: list[Path] = []
        while (path := self.folder / f"{len(found):06d}.packets").exists():
            data = path.read_bytes()
            if hashlib.sha256(data[32:]).digest() != data[:32]:
                break
            found.append(path)
        return found

    def _empty(self) -> None:
        for path in self.folder.iterdir():
            if path.name != _LOCK:
                path.unlink()


@contextmanager
def reserved(output: Path) -> Iterator[None]:
    """The folder for :class:`Partial` is there, and no other process uses it.

    :raises OutputError: one does, or the folder cannot be made.
    """
    folder = _folder(output)
    make_folder(folder)
    try:
        with FileLock(folder / _LOCK, timeout=0):
            yield
    except Timeout as error:
        raise OutputError(f"another run is working on {output}; wait for it, or end it") from error


def _folder(output: Path) -> Path:
    return output.with_name(f".{output.name}.fststyle-partial")


class SegmentWriter:
    """Frames -> segments of a :class:`Partial`."""

    def __init__(self, partial: Partial, encoder: Callable[[], FrameEncoder]) -> None:
        """``encoder`` makes a new one for each segment."""
        self._partial, self._make = partial, encoder
        self._encoder: FrameEncoder | None = None
        self._packets: list[_Packet] = []
        self._frames, self._began = 0, 0.0

    def write(self, frame: Frame | av.Packet[av.stream.Stream]) -> None:
        """Packets are left out: those that are copied need not be kept.

        :raises OutputError: a segment cannot be written.
        """
        if not isinstance(frame, Frame):
            return
        if self._encoder is None:
            self._encoder, self._frames, self._began = self._make(), 0, time.monotonic()
        self._keep(self._encoder.encode(frame))
        self._frames += 1
        if self._frames >= _FRAMES or time.monotonic() - self._began >= _SECONDS:
            self.finish()

    def finish(self) -> None:
        """End the segment that is open, if one is."""
        if self._encoder is None:
            return
        self._keep(self._encoder.finish())
        self._partial.add(self._packets)
        self._encoder, self._packets = None, []

    def _keep(self, packets: list[Encoded]) -> None:
        for packet in packets:
            self._packets.append(
                _Packet(packet.pts or 0, packet.dts or 0, packet.duration or 0, packet.is_keyframe, bytes(packet))
            )


def _packets(segment: Path) -> Iterator[_Packet]:
    with segment.open("rb") as file:
        file.seek(32)
        while header := file.read(_PACKET.size):
            pts, dts, duration, size, keyframe = _PACKET.unpack(header)
            yield _Packet(pts, dts, duration, keyframe, file.read(size))
