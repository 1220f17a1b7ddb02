"""What counts as a block of a network, for proxies that look at its intermediate features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from uninas.proxies.failures import ProxyFailure, logits_of


def find_blocks(net: nn.Module) -> list[nn.Module]:
    """The blocks of `net` in the order of `modules()`.

    1. Modules with a true attribute `is_block` (compiled genotypes have them), if there are any; else
    2. the children of *stages*: nn.Sequential or nn.ModuleList whose children are all composite (two or more
       convolutions or linear layers inside) and no such containers themselves; of nested stages, the innermost.

    Rule 2 finds the residual blocks of timm's and torchvision's networks.

    Raises:
        ProxyFailure: there are fewer than two.
    """
    blocks = [module for module in net.modules() if getattr(module, "is_block", False) is True]
    if not blocks:
        stages = [module for module in net.modules() if _is_stage(module)]
        innermost = [s for s in stages if not any(inner is not s and _is_stage(inner) for inner in s.modules())]
        blocks = [block for stage in innermost for block in stage.children()]
    if len(blocks) < 2:
        raise ProxyFailure("no blocks", f"{len(blocks)} blocks were recognised; pass the list as `blocks`")
    return blocks


def block_features(net: nn.Module, x: Tensor, blocks: Sequence[nn.Module] | None) -> list[Tensor]:
    """The input of the first block that is called and the outputs of all blocks, in the order of the calls.

    Args:
        blocks: None finds them.

    Returns:
        Each B x C x H x W, or B x N x C. Networks that say `output_fmt = "NHWC"` (timm's Swin) are understood.
    """
    features: list[Tensor] = []
    channels_last = getattr(net, "output_fmt", None) == "NHWC"

    def keep(value: Any) -> Tensor:
        feature = _checked(value)
        if channels_last and feature.dim() == 4:
            features.append(feature.movedim(-1, 1))
            return features[-1].movedim(1, -1).clone()
        features.append(feature)
        return feature.clone()  # what comes next may change it in place

    def before(module: nn.Module, args: tuple) -> tuple | None:
        return None if features or not args else (keep(args[0]), *args[1:])

    def after(module: nn.Module, args: tuple, out: Any) -> Tensor:
        return keep(out)

    chosen = find_blocks(net) if blocks is None else blocks
    handles = [block.register_forward_pre_hook(before) for block in chosen]
    handles += [block.register_forward_hook(after) for block in chosen]
    try:
        logits_of(net, x)
    finally:
        for handle in handles:
            handle.remove()
    if len(features) < 3:
        raise ProxyFailure("no blocks", f"{max(len(features) - 1, 0)} blocks were called; at least two are compared")
    return features


def by_position(feature: Tensor) -> Tensor:
    """B x C x H x W or B x N x C -> positions of the batch x C."""
    return (feature.movedim(1, -1) if feature.dim() == 4 else feature).flatten(0, -2)


def _checked(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.dim() not in (3, 4):
        what = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ProxyFailure("no blocks", f"a block's features must be B x C x H x W or B x N x C, not {what}")
    if not value.isfinite().all():
        raise ProxyFailure("not finite", "a block's features are not finite")
    return value


def _is_stage(module: nn.Module) -> bool:
    children = list(module.children())
    return isinstance(module, (nn.Sequential, nn.ModuleList)) and bool(children) and all(map(_is_composite, children))


def _is_composite(module: nn.Module) -> bool:
    layers = [m for m in module.modules() if isinstance(m, (nn.modules.conv._ConvNd, nn.Linear))]
    return len(layers) >= 2 and not isinstance(module, (nn.Sequential, nn.ModuleList))
