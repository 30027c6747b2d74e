"""Two programs that take steps in turn, so that whatever else the machine does slows both."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any


@dataclass(frozen=True)
class Taken:
    """Wall clock and processor time of each step, in seconds, and what :meth:`Racer.result` returned."""

    seconds: list[float]
    processor: list[float]
    result: Any


class Racer:
    """What one of the processes does; made in that process."""

    def step(self) -> None:
        raise NotImplementedError

    def result(self) -> Any:
        return None


def _race(connection: Connection, make: Callable[[], Racer]) -> None:
    racer = make()
    connection.send("ready")
    while connection.recv() == "step":
        before = (time.perf_counter(), time.process_time())
        racer.step()
        connection.send((time.perf_counter() - before[0], time.process_time() - before[1]))
    connection.send(racer.result())


def in_turn(racers: Mapping[str, Callable[[], Racer]], steps: int) -> dict[str, Taken]:
    """Each in a process of its own: neither meets the other's memory, threads or settings.

    The makers are module-level functions or partials of them; what they get and return is pickled.
    """
    context = multiprocessing.get_context("spawn")
    connections: dict[str, Connection] = {}
    processes = []
    for name, make in racers.items():
        connections[name], theirs = context.Pipe()
        processes.append(context.Process(target=_race, args=(theirs, make), daemon=True))
        processes[-1].start()
        theirs.close()
        connections[name].recv()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in racers}
    for _ in range(steps):
        for name, connection in connections.items():
            connection.send("step")
            times[name].append(connection.recv())
    found = {}
    for name, connection in connections.items():
        connection.send("end")
        found[name] = Taken([wall for wall, _ in times[name]], [work for _, work in times[name]], connection.recv())
    for process in processes:
        process.join()
    return found
