"""What a dream makes more of: layers, one channel, or what another picture shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from fststyle.errors import OptionError
from fststyle.nn.feature_networks import FeatureNetwork

BORDER = 2
"""Rows and columns at each edge of a layer that do not count: padding excites them whatever the picture shows."""
POSITIONS = 2 * BORDER + 1
"""Rows and columns that a layer needs at least."""
_MATCHED_AT_ONCE = 1 << 24  # products of two feature vectors: 64 MB


class Objective(Protocol):
    """Maps the activations of its ``layers``, by name, each [N, C, H, W], to what is maximised: [N]."""

    @property
    def layers(self) -> tuple[str, ...]: ...
    def __call__(self, features: Mapping[str, Tensor]) -> Tensor: ...


def inner(features: Tensor) -> Tensor:
    """[N, C, H, W] without its border."""
    return features[..., BORDER:-BORDER, BORDER:-BORDER]


class LayerActivation:
    """Weighted sum of each layer's mean of squares without the border, over all its channels or over one.

    :raises OptionError: no layer, a weight that is not finite or only weights of 0; in the call, a ``channel`` that a
        layer does not have.
    """

    def __init__(self, weights: Mapping[str, float], channel: int | None = None) -> None:
        check_weights(weights)
        self.weights, self.channel = dict(weights), channel

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def __call__(self, features: Mapping[str, Tensor]) -> Tensor:
        terms = [weight * self._activation(layer, features[layer]) for layer, weight in self.weights.items()]
        return torch.stack(terms).sum(dim=0)

    def _activation(self, layer: str, features: Tensor) -> Tensor:
        if self.channel is not None:
            check_channel(layer, features, self.channel)
            features = features[:, self.channel : self.channel + 1]
        return inner(features).square().mean(dim=(1, 2, 3))


class ChannelActivations:
    """The mean activation of one channel for each picture, without the border: of ``channels[n]`` for picture n."""

    def __init__(self, layer: str, channels: Sequence[int]) -> None:
        self.layer, self.channels = layer, tuple(channels)

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def __call__(self, features: Mapping[str, Tensor]) -> Tensor:
        maps = features[self.layer]
        for channel in self.channels:
            check_channel(self.layer, maps, channel)
        return inner(maps[range(len(self.channels)), self.channels]).mean(dim=(1, 2))


class GuidedActivation:
    """Weighted sum over layers of how well each place fits the place of the guide that fits it best.

    The fit is the product of the two feature vectors, as in the guided dreams of the first DeepDream, in the mean over
    places and channels, so that a guide that is the picture itself gives the mean of squares.
    """

    def __init__(self, weights: Mapping[str, float], guide: Mapping[str, Tensor]) -> None:
        """``guide`` has the guide's activations of all layers, each [1, C, H, W].

        :raises OptionError: as for :class:`LayerActivation`.
        """
        check_weights(weights)
        self.weights = dict(weights)
        self._guide = {layer: inner(guide[layer]).flatten(2)[0] for layer in weights}  # [C, P]

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def __call__(self, features: Mapping[str, Tensor]) -> Tensor:
        terms = []
        for layer, weight in self.weights.items():
            places = inner(features[layer]).flatten(2)  # [N, C, Q]
            best = torch.stack([self._best(layer, picture) for picture in places.detach()])
            terms.append(weight * (places * best).mean(dim=(1, 2)))
        return torch.stack(terms).sum(dim=0)

    def _best(self, layer: str, places: Tensor) -> Tensor:
        """[C, Q] -> the guide's vectors that fit them best, [C, Q]."""
        guide = self._guide[layer]
        chunks = torch.split(places, max(1, _MATCHED_AT_ONCE // guide.shape[1]), dim=1)
        return guide[:, torch.cat([(guide.T @ chunk).argmax(dim=0) for chunk in chunks])]


def guide_activation(network: FeatureNetwork, guide: Tensor, weights: Mapping[str, float]) -> GuidedActivation:
    """The objective that ``guide``, float [1, 3, H, W] RGB in 0..1, stands for."""
    with torch.no_grad():
        return GuidedActivation(weights, network(guide, list(weights)))


def check_weights(weights: Mapping[str, float]) -> None:
    if not weights or not all(map(math.isfinite, weights.values())) or not any(weights.values()):
        raise OptionError(f"a dream needs at least one layer with a weight that is not 0, got {dict(weights)}")


def check_channel(layer: str, features: Tensor, channel: int) -> None:
    count = features.shape[1]
    if not 0 <= channel < count:
        raise OptionError(f"{layer} has {count} channels, numbered 0 to {count - 1}; got {channel}")
