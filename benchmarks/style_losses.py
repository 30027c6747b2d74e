"""How styles of one painting compare by their loss on photos that none of them was trained on.

    python benchmarks/style_losses.py REFERENCE OTHER [OTHER ...] --painting FILE --photos DIR [--count 8] [--size 256]
                                      [--json FILE]

Styles are named as anywhere: starry_night, starry_night@palette, a path. Every one is measured by the loss of
REFERENCE, with its weights, on the middle squares of the first ``--count`` photos of DIR (or of a list, a text file);
then each by its own. Ratios are to REFERENCE: above 1, it is worse.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fststyle.machine import describe_machine
from fststyle.nn.losses import PerceptualLoss
from fststyle.serving.stylizer import Stylizer
from fststyle.training.detectors import Pictures
from fststyle.training.evaluate import load_photos, loss_recipe, mean_losses, picture_losses, recipe_of
from fststyle.training.fit import painting_loss


@dataclass(frozen=True)
class Compared:
    """Mean losses of ``style`` by the measure of a reference; ``ratio`` is of the totals, ``own`` of those by the loss
    that ``style`` itself was trained with. ``photo`` is the untouched photo's total.
    """

    style: str
    losses: dict[str, float]
    ratio: float
    own: float
    photo: float

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {value:.3f}" for name, value in self.losses.items())
        return f"  {self.style:<44} {parts}; ratio {self.ratio:.3f}, by its own weights {self.own:.3f}"


def losses_of(stylizer: Stylizer, loss: PerceptualLoss, photos: Pictures) -> dict[str, float]:
    """Means over ``photos``, uint8 [N, H, W, 3], by part."""
    return mean_losses([picture_losses(loss, stylizer.engine(photo[None])[0], photo) for photo in photos])


def own_loss(stylizer: Stylizer, painting: Path, size: int) -> PerceptualLoss:
    return painting_loss(loss_recipe(recipe_of(stylizer.style), size), painting)


def compare(names: Sequence[str | Path], painting: Path, photos: Pictures) -> list[Compared]:
    """The first of ``names`` is the reference."""
    stylizers, size = [Stylizer(name, device="cpu") for name in names], photos.shape[1]
    measure = own_loss(stylizers[0], painting, size)
    untouched = mean_losses([picture_losses(measure, photo, photo) for photo in photos])["total"]
    reference = losses_of(stylizers[0], measure, photos)
    found = []
    for name, stylizer in zip(names, stylizers, strict=True):
        losses, own = losses_of(stylizer, measure, photos), own_loss(stylizer, painting, size)
        mine, theirs = (losses_of(each, own, photos)["total"] for each in (stylizer, stylizers[0]))
        ratio = losses["total"] / reference["total"]
        found.append(Compared(str(name), losses, ratio, mine / theirs, untouched))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("styles", nargs="+", metavar="STYLE", help="the first is what the others are compared with")
    parser.add_argument("--painting", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True, help="folder or list of photos that none was trained on")
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    machine = describe_machine("torch", "onnxruntime-gpu", "onnxruntime")
    _, photos = load_photos(arguments.photos, count=arguments.count, size=arguments.size)
    print(f"{machine}\n{arguments.count} photos at {arguments.size} px")
    found = compare(arguments.styles, arguments.painting, photos)
    for one in found:
        print(one, flush=True)
    if arguments.json:
        told = {"machine": machine, "styles": [asdict(one) for one in found]}
        arguments.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
