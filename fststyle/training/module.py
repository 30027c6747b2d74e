"""One training step of a style, as Lightning wants it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from fststyle.errors import TrainingError
from fststyle.nn.losses import LossParts
from fststyle.nn.multi_style_net import AnyNet
from fststyle.nn.palette_loss import AnyLoss
from fststyle.nn.stability_loss import NOISE, moved, random_offset, stability_loss
from fststyle.training.optimizer import MatrixAdam, adam
from fststyle.training.photos import PhotoBatch
from fststyle.training.recipe import Recipe

_SEEDS = 1_000_003
"""Seeds that are told apart from step to step."""


def schedule(recipe: Recipe) -> Callable[[int], float]:
    """Factor of the learning rate by step: a linear rise, then half a cosine down to zero (Loshchilov and Hutter
    2017).
    """
    rise = max(1, round(recipe.warm_up * recipe.steps))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, recipe.steps - rise)))

    return factor


def style_share(recipe: Recipe, step: int) -> float:
    """Factor of the style loss by step, a linear rise from 0 to 1 over ``recipe.style_rise`` of the steps.

    A random network finds it easier to print the painting's texture over everything than to let the photo through,
    and leaves that valley slowly. Asked for content first, it never enters it.
    """
    return min(1.0, (step + 1) / max(1, round(recipe.style_rise * recipe.steps)))


class Later(NamedTuple):
    """Photos, float [N, 3, H, W], that moved by ``offset``, int64 [2] of rows and columns."""

    photos: Tensor
    offset: Tensor


class StyleModule(pl.LightningModule):
    """The network of a recipe under the loss of its painting. ``saved_recipe`` is what checkpoints tell of.

    Only the network is saved: the loss is rebuilt from the painting and the VGG when a run resumes.
    """

    def __init__(self, recipe: Recipe, network: AnyNet, loss: AnyLoss) -> None:
        super().__init__()
        self.recipe = self.saved_recipe = recipe
        self.network: nn.Module = network.to(memory_format=torch.channels_last)
        self.loss = loss
        self.photos_seen = 0
        self.skipped: dict[str, str] = {}
        self.training_loss: Callable[..., tuple[LossParts, Tensor]] = self.losses

    def compile_losses(self) -> None:
        """Let ``torch.compile`` fuse network, VGG and losses as one graph."""
        self.training_loss = torch.compile(self.losses)

    def training_step(self, batch: PhotoBatch, batch_index: int) -> Tensor:
        self.skipped.update(batch.skipped)
        if not len(batch.photos):
            path, reason = batch.skipped[-1]
            raise TrainingError(f"{len(batch.skipped)} photos in a row cannot be used, the last one {path}: {reason}")
        photos = to_float(batch.photos)
        parts, unstable = self.training_loss(photos, self.later(photos), *self.drawn(len(photos)))
        unstable = self.recipe.stability_weight * unstable
        total = parts.total + unstable
        if not torch.isfinite(total):
            raise TrainingError(
                f"the loss is not finite at step {self.global_step} ({describe(parts)}); "
                f"lower the learning rate (now {self.recipe.learning_rate:g}) or the weights and resume"
            )
        self.photos_seen += len(photos)
        self.log_dict({f"loss/{name}": value.detach() for name, value in parts.named().items()})
        if self.recipe.stability_weight:
            self.log("loss/stability", unstable.detach())
        kept = parts.content + parts.total_variation + unstable
        return kept + style_share(self.recipe, self.global_step) * parts.style

    def losses(self, photos: Tensor, later: Later | None = None, *drawn: Tensor) -> tuple[LossParts, Tensor]:
        """Losses of the network's output for float photos [N, 3, H, W] in 0..1, and how unstable it is: 0 where there
        are no ``later`` photos.
        """
        results = self.stylized(photos, *drawn)
        parts = self.painted(results, photos, *drawn)
        if later is None:
            return parts, results.new_zeros(())
        again = self.stylized(later.photos, *drawn)
        return parts, stability_loss(results, photos, again, later.photos, later.offset)

    def stylized(self, photos: Tensor, *drawn: Tensor) -> Tensor:
        results: Tensor = self.network(photos, *drawn)
        return results

    def painted(self, results: Tensor, photos: Tensor, *drawn: Tensor) -> LossParts:
        parts: LossParts = self.loss(results, self.loss.content_features(photos))
        return parts

    def drawn(self, count: int) -> tuple[Tensor, ...]:
        """What this step's ``count`` photos are stylised with."""
        return ()

    def later(self, photos: Tensor) -> Later | None:
        """``photos`` moved by some pixels, with noise; None in a recipe that asks for no stability. Both depend on the
        seed and the step alone, so that a resumed run sees the same.
        """
        if not self.recipe.stability_weight:
            return None
        seed = self.recipe.seed + _SEEDS * (self.global_step * self.trainer.world_size + self.global_rank)
        generator = torch.Generator().manual_seed(seed)
        offset = random_offset(generator).to(photos.device)
        noise = torch.randn(photos.shape, generator=generator).to(photos.device)
        return Later((moved(photos, offset) + NOISE * noise).contiguous(memory_format=torch.channels_last), offset)

    def samples(self, photos: Tensor) -> list[Tensor]:
        """What the network makes of ``photos``, once for each of its styles; never compiled: it is not worth it."""
        return [self.network.forward(photos)]

    def optimizer(self, *, fused: bool = True) -> torch.optim.Optimizer:
        if self.recipe.optimizer == "adam":
            return adam(self.network.parameters(), self.recipe.learning_rate, fused=fused)
        return MatrixAdam(self.network, self.recipe.learning_rate, fused=fused)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = self.optimizer(fused=not self._scaled)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(self.recipe))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @property
    def _scaled(self) -> bool:
        """Whether losses are scaled for float16, which clipping must undo before a fused optimizer would."""
        return str(self.trainer.precision) == "16-mixed"

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        if self._scaled or not gradient_clip_val:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        else:  # Lightning refuses to clip for a fused optimizer, scaled or not
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), gradient_clip_val)

    def transfer_batch_to_device(self, batch: PhotoBatch, device: torch.device, dataloader_idx: int) -> PhotoBatch:
        return PhotoBatch(batch.photos.to(device, non_blocking=True), batch.skipped)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["recipe"] = self.saved_recipe.to_dict()
        checkpoint["photos_seen"] = self.photos_seen
        checkpoint["skipped"] = dict(self.skipped)
        checkpoint["state_dict"] = self.network.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.photos_seen = checkpoint["photos_seen"]
        self.skipped = dict(checkpoint["skipped"])
        # Lightning loads into the module that holds the network, whose names carry one more level.
        checkpoint["state_dict"] = {f"network.{name}": value for name, value in checkpoint["state_dict"].items()}


def to_float(photos: Tensor) -> Tensor:
    """uint8 [N, H, W, 3] -> float32 [N, 3, H, W] in 0..1, channels last in memory, as convolutions like it."""
    return photos.permute(0, 3, 1, 2).float() / 255


def describe(parts: LossParts) -> str:
    return ", ".join(f"{name} {value.item():.3g}" for name, value in parts.named().items())
