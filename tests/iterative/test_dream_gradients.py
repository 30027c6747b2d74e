"""Each way to normalise a gradient does what its name says, for each picture by itself."""

import pytest
import torch
from torch import Tensor

from fststyle.iterative.gradients import NORMALIZATIONS, by_laplacian_pyramid, laplacian_pyramid, merged


@pytest.fixture
def gradient() -> Tensor:
    """Two pictures of very different strength, off zero."""
    noise = torch.randn(2, 3, 40, 56, generator=torch.Generator().manual_seed(0)) + 0.5
    return noise * torch.tensor([1e-6, 100.0]).view(2, 1, 1, 1)


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("mean-absolute", lambda picture: picture.abs().mean()),
        ("l2", lambda picture: picture.norm() / picture.numel() ** 0.5),
        ("std", lambda picture: picture.std()),
        ("laplacian", lambda picture: picture.norm() / picture.numel() ** 0.5),
    ],
)
def test_a_normalised_gradient_measures_one(name: str, measure: object, gradient: Tensor) -> None:
    for picture in NORMALIZATIONS[name](gradient):
        assert float(measure(picture)) == pytest.approx(1, rel=1e-4)  # type: ignore[operator]


@pytest.mark.parametrize("name", ["mean-absolute", "l2", "std"])
def test_only_the_length_changes(name: str, gradient: Tensor) -> None:
    result = NORMALIZATIONS[name](gradient)
    cosine = torch.nn.functional.cosine_similarity(result.flatten(1), gradient.flatten(1))
    torch.testing.assert_close(cosine, torch.ones(2))


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_no_gradient_stays_none(name: str) -> None:
    assert not NORMALIZATIONS[name](torch.zeros(1, 3, 20, 20)).any()


@pytest.mark.parametrize("size", [(40, 56), (33, 17), (8, 8), (1, 1)])
def test_a_pyramid_put_together_is_the_picture(size: tuple[int, int]) -> None:
    picture = torch.rand(1, 3, *size)
    torch.testing.assert_close(merged(laplacian_pyramid(picture, 4)), picture)


def test_a_pyramid_brings_up_weak_coarse_structure() -> None:
    """Fine noise hides a coarse wave a hundredth as strong, until each band counts alike."""
    wave = torch.linspace(0, 6.28, 64).sin().expand(1, 3, 64, 64)
    noise = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    hidden = noise + wave / 100

    def share(picture: Tensor) -> float:
        return float(torch.nn.functional.cosine_similarity(picture.flatten(), wave.flatten(), dim=0))

    assert share(hidden) < 0.1
    assert share(by_laplacian_pyramid(wave / 100 + noise * 0.02)) > 3 * share(wave / 100 + noise * 0.02) / 2


def test_bands_go_from_fine_to_coarse() -> None:
    checkerboard = torch.ones(1, 3, 64, 64)
    checkerboard[..., ::2, 1::2] = checkerboard[..., 1::2, ::2] = -1
    flat = torch.full((1, 3, 64, 64), 0.7)
    fine = [band.abs().mean().item() for band in laplacian_pyramid(checkerboard, 3)]
    coarse = [band.abs().mean().item() for band in laplacian_pyramid(flat, 3)]
    assert fine[0] > 0.9 > 0.1 > max(fine[1:])
    assert coarse[-1] == pytest.approx(0.7)
    assert max(coarse[:-1]) < 1e-6
