"""Puts the shipped styles into the wheel; everything else about the package is in pyproject.toml.

A checkout keeps them in ``checkpoints/``, beside the package and not in it; in a wheel they have to be inside the
package to be found again, as ``fststyle/checkpoints/``. An editable install reads the checkout.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CHECKPOINTS = Path("checkpoints")


class BuildWithStyles(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            self._copy_styles()

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *(str(self._target / source.name) for source in _styles())]

    @property
    def _target(self) -> Path:
        return Path(self.build_lib) / "fststyle" / "checkpoints"

    def _copy_styles(self) -> None:
        self._target.mkdir(parents=True, exist_ok=True)
        for left_over in self._target.iterdir():  # from an earlier build: a style that was renamed or taken out
            left_over.unlink()
        for source in _styles():
            shutil.copyfile(source, self._target / source.name)


def _styles() -> list[Path]:
    sums = CHECKPOINTS / "SHA256SUMS"
    if not sums.is_file():
        raise FileNotFoundError(f"{sums} is missing: this source tree is not complete")
    return [sums, *sorted(CHECKPOINTS.glob("*.onnx"))]


setup(cmdclass={"build_py": BuildWithStyles})
