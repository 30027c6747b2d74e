import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

import fststyle
from fststyle.cli.main import COMMANDS, cli, main
from fststyle.errors import OUTCOMES, FststyleError

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(name + " was imported")

sys.meta_path.insert(0, Blocker())
from fststyle.cli.main import main
code = main(sys.argv[1:])
print(*sorted(name for name in sys.modules if "." not in name), file=sys.stderr)
sys.exit(code)
"""
TRAINING = {"torch", "torchvision", "pytorch_lightning", "lightning", "onnx", "onnxscript", "safetensors", "yaml"}


def run_blocked(blocked: set[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKER.format(blocked=blocked), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("error", OUTCOMES)
def test_an_error_is_one_line_and_its_exit_code(
    error: type[FststyleError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**options: object) -> None:
        raise error("what was got,\nwhat is accepted")

    monkeypatch.setattr(cli, "main", fail)
    assert main([]) == OUTCOMES[error].exit_code
    assert capsys.readouterr() == ("", "fststyle: error: what was got, what is accepted\n")


def test_an_interruption_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(**options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", interrupt)
    assert main([]) == 130
    assert capsys.readouterr().err == "fststyle: error: interrupted\n"


def test_sigterm_is_143_whatever_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = click.Command("styles", callback=lambda: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr("fststyle.cli.styles.styles", command)
    assert main(["styles"]) == 143
    assert capsys.readouterr() == ("", "fststyle: error: terminated\n")


def test_a_mistake_of_ours_is_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: object) -> None:
        raise ModuleNotFoundError("No module named 'fststyle.absent'", name="fststyle.absent")

    monkeypatch.setattr(cli, "main", fail)
    with pytest.raises(ModuleNotFoundError):
        main([])


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_the_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for name in COMMANDS)


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fststyle {fststyle.__version__}\n"


def test_an_unknown_command_gets_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stylise", "photo.jpg"]) == 2
    assert "no command 'stylise'" in (err := capsys.readouterr().err)
    assert err.endswith("did you mean 'stylize'?\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stylize"], "Missing argument"),
        (["stylize", "a.jpg", "--strenght", "1"], "--strength"),
        (["stylize", "a.jpg", "--strength", "much"], "not a valid float"),
        (["stylize", "a.jpg", "--device", "gpu"], "'auto', 'cpu', 'cuda'"),
        (["styles", "stray.jpg"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("fststyle: error: ")
    assert printed.err.count("\n") == 1
    assert printed.out == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert "Usage: fststyle" in capsys.readouterr().out


def test_a_missing_extra_names_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def without_torch(name: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("fststyle.cli.main.importlib.import_module", without_torch)
    assert main(["train"]) == 8
    assert 'needs torch, which is not installed: pip install "fststyle[train]"' in capsys.readouterr().err


def test_stylising_works_where_torch_cannot_be_imported(
    tiny_style_file: Path, photo_file: Path, tmp_path: Path
) -> None:
    arguments = ["stylize", str(photo_file), "--style", str(tiny_style_file), "-o", str(tmp_path / "out.png")]
    done = run_blocked(TRAINING, *arguments)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.png").exists()


def test_one_photo_needs_neither_progress_bars_nor_a_network(tiny_style_file: Path, photo_file: Path) -> None:
    arguments = ["stylize", str(photo_file), "--style", str(tiny_style_file)]
    done = run_blocked(set(), *arguments)
    loaded = set(done.stderr.splitlines()[-1].split())
    assert {"onnxruntime", "numpy", "PIL"} <= loaded
    assert not loaded & ({"rich", "ssl", "urllib3", "http", "filelock"} | TRAINING)


def test_help_imports_no_command() -> None:
    done = run_blocked({"onnxruntime", "numpy", "PIL", "rich"} | TRAINING, "--help")
    assert done.returncode == 0, done.stderr


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, fststyle; print({'numpy', 'PIL', 'onnxruntime', 'click'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_public_names_come_when_they_are_used() -> None:
    assert {*dir(fststyle)} >= {"Stylizer", "available_styles", "find_style", "errors", "__version__"}
    assert all(getattr(fststyle, name) is not None for name in fststyle.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Stylist'"):
        _ = fststyle.Stylist


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "fststyle", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("fststyle ")


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    command = f"{sys.executable} -m fststyle styles --json | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout in ("0\n", "1\n")  # it may have written all before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_a_full_standard_output_is_an_output_error() -> None:
    command = f"{sys.executable} -m fststyle --help > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 4
    assert done.stderr == "fststyle: error: cannot write standard output: No space left on device\n"
