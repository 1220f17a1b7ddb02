"""Proxies that count: size, work, depth."""

from __future__ import annotations

import torch
from torch import Size, Tensor, nn

from uninas.proxies.base import Cost, proxy
from uninas.proxies.failures import logits_of


@proxy(needs=(), cost=Cost.COUNT)
def params(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """Number of parameters, shared ones once."""
    return sum(p.numel() for p in net.parameters())


@proxy(needs=(), cost=Cost.COUNT)
def trainable_layers(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """Number of parameter tensors, shared ones once: the trainable layers of Týbl and Neumann, CVPR 2025."""
    return sum(1 for _ in net.parameters())


def multiply_adds(net: nn.Module, x: Tensor) -> int:
    """Multiply-adds of one image of the size of those in `x` (B x C_in x H x W).

    Convolutions, matrix products and attention, by `torch.utils.flop_counter`, which counts 2 FLOPs for each.
    """
    # Imported here: it brings triton, half a second that no other score needs.
    from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

    def fused_attention(q: Size, k: Size, v: Size, *_: object, **__: object) -> int:
        return sdpa_flop_count(q, k, v)

    # The counter knows the fused attentions of GPUs, and not that of a CPU.
    on_cpu = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    counter = FlopCounterMode(display=False, custom_mapping={on_cpu: fused_attention})
    with torch.no_grad(), counter:
        logits_of(net, x[:1])
    return counter.get_total_flops() // 2


@proxy(needs=(), cost=Cost.COUNT)
def macs(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """Multiply-adds of one image, as `torch.utils.flop_counter` sees them: half of its FLOPs."""
    return multiply_adds(net, x)


@proxy(needs=(), cost=Cost.COUNT)
def complexity(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """AZ-NAS (Lee and Ham, CVPR 2024): FLOPs; here multiply-adds of one image, which rank alike."""
    return multiply_adds(net, x)
