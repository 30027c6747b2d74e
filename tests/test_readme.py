"""What the documents say is true: their commands parse, their links lead somewhere, their tables match the code."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

import fststyle
from fststyle.cli import main as cli_main
from fststyle.errors import OUTCOMES
from fststyle.images import load_rgb
from fststyle.styles import find_style
from fststyle.training.recipe import read_recipe

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in chain(
        ROOT.glob("*.md"), *(ROOT.glob(f"{folder}/**/*.md") for folder in ("checkpoints", "train", "serve"))
    )
)
RECIPES = sorted((ROOT / "train" / "recipes").glob("*.yaml"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OTHER_PROGRAMS = {"cat", "cd", "curl", "docker", "git", "python"}


def read(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def commands(text: str) -> Iterator[list[str]]:
    """Each simple command of the shell blocks, without redirections: pipes and ``&&`` part them."""
    for language, block in BLOCK.findall(text):
        if language in {"sh", "console"}:
            for line in block.replace("\\\n", " ").splitlines():
                lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
                lexer.wordchars += "[]:=,.@%+{}$"
                words = [*lexer]
                yield from simple_commands(words)


def simple_commands(words: list[str]) -> Iterator[list[str]]:
    command: list[str] = []
    skip = False
    for word in [*words, ";"]:
        if word in {"|", "&&", ";"}:
            if command:
                yield command
            command = []
        elif word in {">", "<", ">>"}:
            skip = True
        elif skip:
            skip = False
        else:
            command.append(word)


ALL_COMMANDS = [
    pytest.param(command, id=f"{document}: {shlex.join(command)}")
    for document in DOCUMENTS
    for command in commands(read(document))
]


def check_fststyle(arguments: list[str], command: click.Command = cli_main.cli) -> None:
    """Parse as the command line does, all but looking whether the files exist."""
    # With the settings that it has when run: a command keeps the first help option that a context asks it for.
    context = click.Context(command, help_option_names=command.context_settings.get("help_option_names"))
    values, left_over, _ = command.make_parser(context).parse_args([*arguments])
    for parameter in command.params:
        value = values.get(parameter.name or "")
        if parameter.required:
            assert isinstance(value, str | tuple | list), f"{parameter.name} is required"
            assert value != (), f"{parameter.name} is required"
        if isinstance(value, str) and not isinstance(parameter.type, click.Path | click.File):
            parameter.type.convert(value, parameter, context)
    if isinstance(command, click.Group) and left_over:
        subcommand = command.get_command(context, left_over[0])
        assert subcommand is not None, f"no command {left_over[0]}"
        check_fststyle(left_over[1:], subcommand)
    else:
        assert left_over == []


def check_make(arguments: list[str]) -> None:
    targets = re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE)
    settings = re.findall(r"^([A-Z_]+) \?=", read("Makefile"), re.MULTILINE)
    for argument in arguments:
        name, is_setting, _ = argument.partition("=")
        assert name in (settings if is_setting else targets)


def check_pip(arguments: list[str]) -> None:
    extras = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
    for argument in arguments:
        for extra in re.findall(r"(?:^\.|fststyle)\[(\w+)\]", argument):
            assert extra in extras


@pytest.mark.parametrize("command", ALL_COMMANDS)
def test_every_command_parses(command: list[str]) -> None:
    program, *arguments = command
    checks = {"fststyle": check_fststyle, "make": check_make, "pip": check_pip}
    if program in checks:
        checks[program](arguments)
    else:
        assert program in OTHER_PROGRAMS


def test_the_readme_shows_every_command_of_the_program() -> None:
    shown = {command[1] for command in commands(read("README.md")) if command[0] == "fststyle"}
    assert shown == set(cli_main.COMMANDS)


@pytest.fixture
def photos_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the README's examples speak of."""
    gradient = np.mgrid[0:48, 0:64].sum(axis=0).astype(np.uint8)
    photo = Image.fromarray(np.dstack([gradient, gradient[::-1], gradient[:, ::-1]]))
    (tmp_path / "holiday").mkdir()
    for name in ("photo.jpg", "holiday/beach.jpg", "holiday/harbour.png"):
        photo.save(tmp_path / name)
    shutil.copyfile(find_style("starry_night").path, tmp_path / "my_style.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def section_block(heading: str, language: str) -> str:
    section = read("README.md").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return next(str(block) for found, block in BLOCK.findall(section) if found == language)


def test_the_stylising_commands_do_what_they_say(photos_at_hand: Path) -> None:
    program = f'fststyle() {{ "{sys.executable}" -m fststyle "$@"; }}\n'
    script = f"set -eu\n{program}{section_block('Stylise', 'sh')}"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    written = {path.relative_to(photos_at_hand).as_posix() for path in photos_at_hand.rglob("*") if path.is_file()}
    results = {"photo-starry_night.jpg", "photo-my_style.jpg", "photo-sheet.png", "stylised.jpg"}
    assert results | {"stylised/beach.jpg", "stylised/harbour.png"} <= written
    assert load_rgb("stylised.jpg").shape == (48, 64, 3)


def test_the_python_example_runs(photos_at_hand: Path) -> None:
    names: dict[str, object] = {}
    exec(compile(section_block("Stylise", "python"), "README.md", "exec"), names)
    assert load_rgb(photos_at_hand / "stylised.jpg").shape == (48, 64, 3)
    assert isinstance(names["picture"], Image.Image)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["stylize", "photo.jpg", "--stile", "x"], click.NoSuchOption),
        (["stylize"], AssertionError),
        (["styles", "stray.jpg"], AssertionError),
        (["paint"], AssertionError),
        (["stylize", "photo.jpg", "--strength", "much"], click.BadParameter),
    ],
)
def test_a_wrong_command_would_be_noticed(arguments: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        check_fststyle(arguments)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", read(document)) + re.findall(r'src="([^"]+)"', read(document))
    for target in targets:
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        linked = (ROOT / document).parent / path if path else ROOT / document
        assert linked.exists(), f"{target} does not exist"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_table_of_exit_codes_is_the_one_in_the_code() -> None:
    section = read("README.md").partition("## Exit codes")[2].partition("\n## ")[0]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    assert documented == {outcome.exit_code for outcome in OUTCOMES.values()} | {0, 130}


def test_the_changelog_heads_the_version_of_the_code() -> None:
    versions = re.findall(r"^## \[(\d[^\]]*)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == fststyle.__version__


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_parses(path: Path) -> None:
    assert read_recipe(path).name == path.stem
