"""The ``fststyle`` program: finds the command, runs it, and turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

import fststyle
from fststyle.errors import DependencyError, FststyleError, OptionError, OutputError, did_you_mean, outcome
from fststyle.signals import TERMINATED, Terminated, terminable

# Where each command is, and what the list of commands says of it: neither that list nor another command imports it.
COMMANDS: dict[str, tuple[str, str]] = {
    "stylize": ("fststyle.cli.stylize:stylize", "Stylise photos: files, folders or standard input."),
    "video": ("fststyle.cli.video:video", "Stylise a video."),
    "webcam": ("fststyle.cli.webcam:webcam", "Stylise a camera live."),
    "serve": ("fststyle.cli.serve:serve", "Serve the web page, the HTTP interface and the live socket."),
    "styles": ("fststyle.cli.styles:styles", "List the styles there are."),
    "sheet": ("fststyle.cli.styles:sheet", "Draw a photo in every style on one sheet."),
    "bench": ("fststyle.cli.bench:bench", "Measure how fast styles are on this machine."),
    "doctor": ("fststyle.cli.doctor:doctor", "Try what stylising needs, and say what mends it."),
    "train": ("fststyle.cli.train:train", "Train a style on a painting."),
    "tune": ("fststyle.cli.tune:tune", "Choose style weight and scale by eye, then train."),
    "add-style": ("fststyle.cli.add_style:add_style", "Teach a palette one more painting, in a fraction of the time."),
    "export": ("fststyle.cli.export:export", "Turn a checkpoint into a style's ONNX file."),
    "evaluate": ("fststyle.cli.evaluate:evaluate", "Measure how good a style is."),
    "photos": ("fststyle.cli.photos:photos", "Download photos to train on."),
    "optimize": ("fststyle.cli.optimize:optimize", "Paint one photo by optimising its pixels, without training."),
    "texture": ("fststyle.cli.texture:texture", "Make a texture of a painting, from noise."),
    "invert": ("fststyle.cli.invert:invert", "Show what layers of the loss network know of a photo."),
    "dream": ("fststyle.cli.dream:dream", "Make a network's dream of a photo."),
    "filters": ("fststyle.cli.filters:filters", "Draw what filters of a network look for."),
    "weights": ("fststyle.cli.weights:weights", "Show, fetch and verify the loss network's weights."),
}
# Import name of each package that only the train extra brings.
TRAIN_PACKAGES = {
    "lightning",
    "matplotlib",
    "onnx",
    "onnx_ir",
    "onnxscript",
    "pytorch_lightning",
    "safetensors",
    "tensorboard",
    "torch",
    "torchvision",
    "yaml",
}
INTERRUPTED = 130
PIPE_CLOSED = 1  # as click has it where it notices first


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = did_you_mean(args[0], COMMANDS)
            raise OptionError(f"no command {args[0]!r}; commands: {', '.join(COMMANDS)}{near}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Commands that leave SIGTERM alone end with it as they do with Ctrl-C: nothing half-written stays behind."""
        try:
            with terminable():
                return super().invoke(ctx)
        except Terminated:
            ctx.exit(_report("terminated", TERMINATED))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(fststyle.__version__, prog_name="fststyle", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Fast neural style transfer: a painting becomes a small ONNX file, and photos go through it."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and give its exit code (:data:`~fststyle.errors.OUTCOMES`; 130 and 141 are what shells use for
    signals).
    """
    if not sys.warnoptions:
        # Pillow warns of small damage in files that it reads nevertheless; the user can do nothing about it.
        warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        result = cli.main(
            args=None if arguments is None else list(arguments), prog_name="fststyle", standalone_mode=False
        )
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except FststyleError as error:
        return _fail(error)
    except click.ClickException as error:
        return _report(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _report("interrupted", INTERRUPTED)
    except ModuleNotFoundError as error:
        return _fail(_missing_package(error))
    except BrokenPipeError:  # the reader, `head` say, went away
        _abandon_standard_output()
        return PIPE_CLOSED
    except OSError as error:
        if (
            error.filename is not None
        ):  # the library reports those itself; what is left is writing to a full standard output
            raise
        _abandon_standard_output()
        return _fail(OutputError(f"cannot write standard output: {error.strerror or error}"))


def _abandon_standard_output() -> None:
    """Python would complain a second time when it closes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _missing_package(error: ModuleNotFoundError) -> DependencyError:
    package = (error.name or "").partition(".")[0]
    if package not in TRAIN_PACKAGES:
        raise error
    return DependencyError(f'this command needs {package}, which is not installed: pip install "fststyle[train]"')


def _fail(error: FststyleError) -> int:
    return _report(str(error), outcome(error).exit_code)


def _report(message: str, code: int) -> int:
    print(f"fststyle: error: {' '.join(message.splitlines())}", file=sys.stderr)
    return code
