"""The feed-forward transformer networks by preset."""

from __future__ import annotations

import torch
from torch import nn

from fststyle.errors import OptionError, did_you_mean
from fststyle.nn.fast_net import FastArchitecture
from fststyle.nn.johnson_net import Architecture
from fststyle.nn.transformer_net import MINIMUM_SIDE, NetworkShape, TransformerNet

__all__ = [
    "MINIMUM_SIDE",
    "PRESETS",
    "Architecture",
    "FastArchitecture",
    "NetworkShape",
    "TransformerNet",
    "initial_network",
    "parameter_count",
    "preset",
]

PRESETS: dict[str, NetworkShape] = {
    "quality": Architecture(width=32, blocks=5),
    "balanced": FastArchitecture(half=32, quarter=32, trunk=64, blocks=3, fine=2),
    "realtime": FastArchitecture(half=16, quarter=16, trunk=48, blocks=1, fine=2),
}


def preset(name: str) -> NetworkShape:
    """The architecture of that name; :class:`~fststyle.errors.OptionError` with the nearest name if there is none."""
    if name not in PRESETS:
        raise OptionError(f"no preset named {name!r}; presets: {', '.join(PRESETS)}{did_you_mean(name, PRESETS)}")
    return PRESETS[name]


def parameter_count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def initial_network(architecture: NetworkShape, seed: int) -> TransformerNet:
    """A network whose random start depends on ``seed`` alone and leaves torch's global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return architecture.network()
