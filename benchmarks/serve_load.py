"""What the server makes of a crowd: throughput beside the engine's own, errors, and memory over mixed sizes.

    python benchmarks/serve_load.py [--style NAME|FILE.onnx] [--clients 32] [--seconds 60] [--size 512]
        [--requests 5000]

Starts ``fststyle serve`` on a free loopback port. First the clients, each one connection, send the same JPEG again and
again; the engine alone runs arrays of its size before and after that, with the server idle, and the figure is the ratio
of pictures a second. Whoever gets a 429 tries again when Retry-After says or, with --impatient, at once. Processor time
is told too: of that ratio it is the part which does not depend on what else the machine was doing.
Then --requests pictures of mixed sizes and formats go through, and the server's resident memory is read from /proc: the
drift is the last tenth's mean over that of the tenth after the warm-up, which is the first fifth.
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from cold_start import photograph
from PIL import Image

from fststyle import Stylizer
from fststyle.machine import describe_machine

WANTED_RATIO, WANTED_DRIFT = 0.9, 5.0
ENGINE_SECONDS = 5.0
SMALLEST = 16
FORMATS = (("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp"))


@dataclass
class Server:
    address: tuple[str, int]
    process: subprocess.Popen[str]

    @property
    def resident(self) -> int:
        """Bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * 4096

    @property
    def processor_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Tally:
    """What the clients saw; ``done`` are the moments of the answers with status 200."""

    statuses: Counter[int] = field(default_factory=Counter)
    done: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, status: int) -> None:
        with self.lock:
            self.statuses[status] += 1
            if status == 200:
                self.done.append(time.monotonic())

    @property
    def errors(self) -> dict[int, int]:
        return {status: count for status, count in self.statuses.items() if status not in (200, 429)}


@contextmanager
def running_server(options: list[str]) -> Iterator[Server]:
    command = [sys.executable, "-m", "fststyle", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "listening on" not in line:
            sys.exit("the server did not start")
        parts = urlsplit(line.split()[-1])
        server = Server((str(parts.hostname), int(parts.port or 0)), process)
        while request(connect(server), "GET", "/readyz")[0] != 200:
            if process.poll() is not None:
                sys.exit("the server ended before it was ready")
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(60)


def connect(server: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(*server.address, timeout=180)


def request(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None, media_type: str = ""
) -> tuple[int, float]:
    """Status, 0 where the connection broke, and the seconds after which to try again."""
    try:
        connection.request(method, path, body, {"Content-Type": media_type} if media_type else {})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0, 0.0
    if answer.status == 429:
        connection.close()  # the pause may be longer than the server keeps a connection that says nothing
    return answer.status, float(answer.headers.get("Retry-After", 0))


def in_parallel(clients: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def crowd(server: Server, path: str, photo: bytes, clients: int, seconds: float, impatient: bool) -> Tally:
    tally, end = Tally(), time.monotonic() + seconds

    def client(number: int) -> None:
        connection = connect(server)
        while time.monotonic() < end:
            status, pause = request(connection, "POST", path, photo, "image/jpeg")
            tally.add(status)
            if status == 429:
                time.sleep(min(0.05 if impatient else pause, max(0.0, end - time.monotonic())))

    in_parallel(clients, client)
    return tally


def mixed(server: Server, path: str, count: int, clients: int, largest: int) -> tuple[Tally, list[int]]:
    """Every size is another one; the second value is the server's memory after each picture."""
    tally, memory, numbers = Tally(), [], iter(range(count))

    def client(number: int) -> None:
        connection, random = connect(server), np.random.default_rng(number)
        while next(numbers, None) is not None:
            body, media_type = random_picture(random, largest)
            while (answer := request(connection, "POST", path, body, media_type))[0] == 429:
                tally.add(429)
                time.sleep(answer[1])
            tally.add(answer[0])
            memory.append(server.resident)

    in_parallel(clients, client)
    return tally, memory


def random_picture(random: np.random.Generator, largest: int) -> tuple[bytes, str]:
    width, height = (int(side) for side in random.integers(SMALLEST, largest, 2, endpoint=True))
    name, media_type = FORMATS[random.integers(len(FORMATS))]
    clouds = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    clouds.resize((width, height), Image.Resampling.BICUBIC).save(buffer, name)
    return buffer.getvalue(), media_type


@dataclass(frozen=True)
class Speed:
    """Pictures a second, and seconds of processor time for each."""

    rate: float
    processor: float


def engine_speed(stylizer: Stylizer, side: int, threads: int) -> Speed:
    """From arrays to arrays, by so many threads at once."""
    pixels = np.asarray(photo_of(side))[None]
    stylizer.engine(pixels)
    counts, started, used = Counter[int](), time.monotonic(), time.process_time()

    def run(number: int) -> None:
        while time.monotonic() < started + ENGINE_SECONDS:
            stylizer.engine(pixels)
            counts[number] += 1

    in_parallel(threads, run)
    total = counts.total()
    return Speed(total / (time.monotonic() - started), (time.process_time() - used) / total)


def photo_of(side: int) -> Image.Image:
    return photograph(side).convert("RGB")


def drift(memory: list[int]) -> float:
    """Percent."""
    tenth = max(1, len(memory) // 10)
    early, late = memory[2 * tenth : 3 * tenth], memory[-tenth:]
    return (statistics.mean(late) / statistics.mean(early) - 1) * 100


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", default="starry_night")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60, help="how long the crowd stays; 0 leaves it out")
    parser.add_argument("--size", type=int, default=512, help="side of the crowd's photo in pixels")
    parser.add_argument("--requests", type=int, default=5000, help="mixed pictures; 0 leaves that part out")
    parser.add_argument("--largest", type=int, default=640, help="side of the largest of them in pixels")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--impatient", action="store_true", help="do not wait as long as Retry-After says")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    print(describe_machine("onnxruntime-gpu", "onnxruntime", "fastapi", "uvicorn", "numpy", "pillow"))
    stylizer = Stylizer(given.style, device=given.device, threads=given.threads)
    options = ["--style", given.style, "--device", given.device, "--workers", str(given.workers)]
    options += ["--threads", str(given.threads)] if given.threads else []
    print(f"{stylizer.style.name} ({stylizer.style.preset}), {stylizer.engine.note}, {stylizer.engine.threads} threads")
    with running_server(options) as server:
        path = f"/v1/stylize?style={stylizer.style.name}"
        held = report_crowd(server, path, stylizer, given) if given.seconds else True
        if given.requests:
            tally, memory = mixed(server, path, given.requests, given.clients, given.largest)
            change = drift(memory)
            print(f"{given.requests} pictures of {SMALLEST} to {given.largest} pixels a side:")
            print(f"  statuses {dict(tally.statuses)}, errors {tally.errors or 'none'}")
            print(f"  memory {memory[-1] / 2**20:.0f} MiB at the end, {max(memory) / 2**20:.0f} MiB at most")
            print(f"  drift {change:+.1f}%, wanted under {WANTED_DRIFT:g}%")
            held = held and not tally.errors and change < WANTED_DRIFT
    sys.exit(not held)


def report_crowd(server: Server, path: str, stylizer: Stylizer, given: argparse.Namespace) -> bool:
    buffer = io.BytesIO()
    photo_of(given.size).save(buffer, "JPEG", quality=90)
    engines = [best_engine(stylizer, given)]
    started, used = time.monotonic(), server.processor_seconds
    tally = crowd(server, path, buffer.getvalue(), given.clients, given.seconds, given.impatient)
    count = len(tally.done)
    speed = Speed(count / (max(tally.done) - started), (server.processor_seconds - used) / count)
    engines.append(best_engine(stylizer, given))
    rate, processor = (statistics.mean(figures) for figures in zip(*map(astuple, engines), strict=True))
    print(f"{given.clients} clients for {given.seconds:g} s, {given.size} pixels a side:")
    print(f"  engine alone {rate:.2f} pictures/s (before {engines[0].rate:.2f}, after {engines[1].rate:.2f})")
    print(f"  server       {speed.rate:.2f} pictures/s; ratio {speed.rate / rate:.2f}, wanted at least {WANTED_RATIO}")
    share = processor / speed.processor
    print(f"  processor time a picture: engine {processor:.3f} s, server {speed.processor:.3f} s; ratio {share:.2f}")
    print(f"  statuses {dict(tally.statuses)}, errors {tally.errors or 'none'}")
    return speed.rate / rate >= WANTED_RATIO and not tally.errors


def best_engine(stylizer: Stylizer, given: argparse.Namespace) -> Speed:
    """The faster of one picture after the other and as many at once as the server has workers."""
    speeds = [engine_speed(stylizer, given.size, threads) for threads in (1, given.workers)]
    return max(speeds, key=lambda speed: speed.rate)


if __name__ == "__main__":
    main()
