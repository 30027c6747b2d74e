"""Photographs to try things on without a download: those that scikit-image's wheel carries.

    python benchmarks/sample_pictures.py FOLDER

copies them for training a style: FOLDER/photos to train on, few but enough for a look; FOLDER/unseen, other photos to
stylise with the result; and FOLDER/painting.png, a microscope's picture that does for a painting where there is none.
"""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
UNSEEN = ("chelsea.png", "coffee.png")
TRAIN = (
    *(
        "astronaut.png",
        "motorcycle_left.png",
        "motorcycle_right.png",
        "rocket.jpg",
        "hubble_deep_field.jpg",
        "retina.jpg",
    ),
    *("brick.png", "camera.png", "coins.png", "grass.png", "gravel.png", "moon.png"),
)
PAINTING = "ihc.png"


def folder() -> Path:
    """Where scikit-image keeps its pictures."""
    package = find_spec("skimage")
    if package is None or package.origin is None:
        sys.exit("the sample pictures come with scikit-image: pip install scikit-image")
    return Path(package.origin).parent / "data"


def photographs() -> list[Path]:
    return [folder() / name for name in PHOTOGRAPHS]


def main() -> None:
    target = Path(sys.argv[1])
    for names, part in ((TRAIN, target / "photos"), (UNSEEN, target / "unseen")):
        part.mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copyfile(folder() / name, part / name)
    shutil.copyfile(folder() / PAINTING, target / "painting.png")


if __name__ == "__main__":
    main()
