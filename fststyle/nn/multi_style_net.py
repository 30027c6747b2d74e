"""One transformer network for several styles.

Conditional instance normalisation (Dumoulin, Shlens and Kudlur, "A Learned Representation for Artistic Style", ICLR
2017, arXiv:1610.07629): all styles share the convolutions, and each has a scale and a shift of its own for every
channel of every normalisation. Styles mix as their scales and shifts do. Where this departs from the paper: the first
row is no painting but the photo itself, so that a mix with it is the strength of a style.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from fststyle.errors import OptionError
from fststyle.nn.layers import StyleNorm
from fststyle.nn.transformer_net import TransformerNet


class MultiStyleNet(nn.Module):
    """A network whose norms hold a table each: scales and shifts float [styles, channels].

    All ``styles`` begin as ``network``, which is taken over and of no use by itself any more.
    """

    def __init__(self, network: TransformerNet, styles: int) -> None:
        if styles < 1:
            raise OptionError(f"a network needs at least one style, got {styles}")
        super().__init__()
        self.architecture = network.architecture
        self.network = network
        for norm in (module for module in network.modules() if isinstance(module, StyleNorm)):
            norm.weight = nn.Parameter(norm.weight.detach().repeat(styles, 1))
            norm.bias = nn.Parameter(norm.bias.detach().repeat(styles, 1))

    def forward(self, images: Tensor, weights: Tensor) -> Tensor:
        """Images as :class:`~fststyle.nn.transformer_net.TransformerNet` takes and gives them. ``weights`` is float
        [styles] for all pictures or [N, styles] for each its own: all zero but for a one is a single style.
        """
        mixed = {name: weights @ table for name, table in self.tables().items()}
        stylized: Tensor = functional_call(self.network, mixed, (images,))
        return stylized

    @property
    def styles(self) -> int:
        return len(next(iter(self.tables().values())))

    def tables(self) -> dict[str, Tensor]:
        """The scales and shifts of all norms by their names in ``network``."""
        norms = {name for name, module in self.network.named_modules() if isinstance(module, StyleNorm)}
        return {name: tensor for name, tensor in self.network.named_parameters() if name.rpartition(".")[0] in norms}

    def single(self, weights: Sequence[float]) -> TransformerNet:
        """A network of one style, which that mix is; its tensors are copies."""
        alone, tables, mix = self.architecture.network(), self.tables(), torch.tensor(weights)
        alone.load_state_dict(
            {name: mix @ tensor if name in tables else tensor for name, tensor in self.network.state_dict().items()}
        )
        return alone

    def grown(self, rows: int = 1) -> MultiStyleNet:
        """A copy with ``rows`` more styles at the end, which begin as the mean of the paintings there are."""
        larger = MultiStyleNet(self.architecture.network(), self.styles + rows)
        tables = self.tables()

        def longer(tensor: Tensor) -> Tensor:
            paintings = tensor[1:] if len(tensor) > 1 else tensor
            return torch.cat([tensor, paintings.mean(dim=0, keepdim=True).expand(rows, -1)])

        larger.network.load_state_dict(
            {name: longer(value) if name in tables else value for name, value in self.network.state_dict().items()}
        )
        return larger


AnyNet = TransformerNet | MultiStyleNet
