"""Where torch computes."""

from __future__ import annotations

from typing import Literal

import torch

from fststyle.errors import DeviceError

Device = Literal["auto", "cpu", "cuda"]


def torch_device(name: Device) -> torch.device:
    """:raises DeviceError: ``cuda`` is asked for, and torch finds no GPU."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise DeviceError("no CUDA device that torch can use; --device cpu works everywhere")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the hardware itself does: AVX512-BF16, AMX, or a GPU that has it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
