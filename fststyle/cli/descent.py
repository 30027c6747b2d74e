"""What ``optimize`` and ``texture`` share: options, progress, stopping and going on, and what is written."""

from __future__ import annotations

import contextlib
import functools
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

import click
import numpy as np
from numpy.typing import NDArray

from fststyle.atomic import check_output
from fststyle.cli.animation import check_animation_target, write_animation
from fststyle.cli.progress import iterations_bar, line_due
from fststyle.errors import OptionError
from fststyle.images import Picture
from fststyle.serving.picture_file import check_target, write
from fststyle.signals import signals_handled

if TYPE_CHECKING:
    from torch import Tensor

    from fststyle.iterative.descent import Descent, Moment, Stage, Task

Command = Callable[..., Any]
SIGNAL_EXIT = 128


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers with commas between."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers such as 256,512", param, ctx)


def network_options(command: Command) -> Command:
    """The loss network, the way down, and the machine: the command gets ``vgg``, ``vgg_weights``, ``how``, which is a
    :class:`~fststyle.iterative.descent.Descent`, ``seed`` and ``force``.
    """
    options = (
        click.option("--vgg", default="vgg16", show_default=True, help="Loss network: vgg16 or vgg19."),
        click.option(
            "--vgg-weights",
            envvar="FSTSTYLE_VGG_WEIGHTS",
            type=click.Path(path_type=Path),
            help="File with the loss network's weights.",
        ),
        click.option("--optimizer", type=click.Choice(["lbfgs", "adam"]), default="lbfgs", show_default=True),
        click.option("--learning-rate", type=float, default=0.02, show_default=True, help="Of Adam."),
        click.option(
            "--precision",
            type=click.Choice(["auto", "float32", "bf16"]),
            default="auto",
            show_default=True,
            help="Of the convolutions; auto is bf16 where the hardware computes in it.",
        ),
        click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
        click.option("--seed", type=int, default=0, show_default=True, help="Seed of the noise."),
        click.option("--force", is_flag=True, help="Replace files that exist."),
    )

    @functools.wraps(command)
    def with_descent(
        *arguments: Any, optimizer: str, learning_rate: float, precision: str, device: str, **others: Any
    ) -> Any:
        from fststyle.iterative.descent import Descent

        how = Descent(
            method=cast("Any", optimizer),
            learning_rate=learning_rate,
            precision=cast("Any", precision),
            device=cast("Any", device),
        )
        return command(*arguments, how=how, **others)

    complete: Command = with_descent
    for option in reversed(options):
        complete = option(complete)
    return complete


def watching_options(command: Command) -> Command:
    path = click.Path(path_type=Path)
    options = (
        click.option("--snapshot-every", type=int, default=0, metavar="N", help="Write a picture every N iterations."),
        click.option("--animation", type=path, metavar="FILE", help="Write the way there as .gif, .mp4 or .webm."),
        click.option("--curve", type=path, metavar="FILE", help="Write the losses as .png or .json."),
        click.option("--resume", is_flag=True, help="Go on where Ctrl-C or SIGTERM stopped the same command."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True)
class Outputs:
    """Where everything goes; ``alpha``: uint8 [H, W] of the photo, for the result."""

    output: Path
    snapshot_every: int
    animation: Path | None
    curve: Path | None
    resume: bool
    force: bool
    alpha: NDArray[np.uint8] | None = None

    @property
    def state(self) -> Path:
        return self.output.with_name(f"{self.output.name}.state")

    def check(self) -> None:
        """Everything that can be known before the work; the errors are those of writing."""
        from fststyle.iterative.curve import check_curve_target

        if self.snapshot_every < 0:
            raise OptionError(f"--snapshot-every is at least 1, got {self.snapshot_every}")
        check_target(self.output, force=self.force)
        if self.animation is not None:
            check_animation_target(self.animation)
        if self.curve is not None:
            check_curve_target(self.curve)
        for extra in (self.animation, self.curve):
            if extra is not None:
                check_output(extra, overwrite=self.force)

    def picture(self, pixels: NDArray[np.uint8]) -> Picture:
        if self.alpha is None:
            return Picture(pixels)
        from PIL import Image

        size = (pixels.shape[1], pixels.shape[0])
        return Picture(pixels, np.asarray(Image.fromarray(self.alpha).resize(size, Image.Resampling.LANCZOS)))

    def write_snapshot(self, number: int, pixels: NDArray[np.uint8]) -> None:
        path = self.output.with_name(f"{self.output.stem}-{number:05}{self.output.suffix}")
        write(self.picture(pixels), path, force=True, keep_metadata=False)


def run(
    context: click.Context,
    task: Task,
    stages: Sequence[Stage],
    start: Callable[[], Tensor],
    finished: Callable[[Tensor], NDArray[np.uint8]],
    how: Descent,
    outputs: Outputs,
    description: Mapping[str, str],
) -> None:
    """The whole descent, from the start or from a saved state, and the files that it leaves. A signal saves the state
    and exits.
    """
    from fststyle.iterative.curve import write_curve
    from fststyle.iterative.descent import Position, descend
    from fststyle.iterative.snapshots import Snapshots, frame_size
    from fststyle.iterative.state import Saved, load_state, save_state

    saved = load_state(outputs.state, description, how.torch_device()) if outputs.resume else None
    position = saved.position if saved else Position(start())
    size = frame_size(stages[-1].size)
    snapshots = Snapshots(outputs.snapshot_every, outputs.animation is not None, size, finished, outputs.write_snapshot)
    snapshots.frames += saved.frames if saved else []
    if snapshots.animated and not snapshots.frames:
        snapshots.add_frame(finished(position.image))
    with signals_noticed() as noticed, progress(position.number) as tell:

        def watch(moment: Moment) -> bool:
            snapshots(moment)
            tell(moment)
            return bool(noticed)

        done = descend(task, stages, position, how, watch)
    if not done:
        save_state(outputs.state, Saved(position, snapshots.frames), description)
        click.echo(f"stopped at iteration {position.number}; --resume goes on from {outputs.state}", err=True)
        context.exit(SIGNAL_EXIT + noticed[0])
    write(outputs.picture(finished(position.image)), outputs.output, force=outputs.force, keep_metadata=False)
    if outputs.curve is not None:
        write_curve(position.curve, outputs.curve)
    if outputs.animation is not None:
        write_animation(snapshots.frames, outputs.animation)
    outputs.state.unlink(missing_ok=True)
    width, height = stages[-1].size
    click.echo(f"{click.format_filename(outputs.output)} ({width} x {height})")


@contextlib.contextmanager
def signals_noticed() -> Iterator[list[int]]:
    """The numbers of SIGINT and SIGTERM as they come; a second one ends the program at once."""
    noticed: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if noticed:
            raise KeyboardInterrupt
        noticed.append(number)

    with signals_handled(handle):
        yield noticed


@contextlib.contextmanager
def progress(first: int = 0) -> Iterator[Callable[[Moment], None]]:
    """A bar with the parts of the loss and the time left on standard error; a line now and then where it is no
    terminal.
    """
    if sys.stderr.isatty():
        with iterations_bar() as tell:
            yield lambda moment: tell(moment.number, moment.total, _parts(moment))
        return
    started, due = time.monotonic(), line_due()

    def tell_line(moment: Moment) -> None:
        if not due() and moment.number < moment.total:
            return
        left = (time.monotonic() - started) / (moment.number - first) * (moment.total - moment.number)
        click.echo(f"iteration {moment.number}/{moment.total} | {_parts(moment)} | {left / 60:.1f} min left", err=True)

    yield tell_line


def _parts(moment: Moment) -> str:
    losses = " ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in moment.parts.items())
    return f"{max(moment.size)} px | {losses}"
