"""What counts as a block of a network, for proxies that look at its intermediate features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from uninas.proxies.failures import ProxyFailure, logits_of

CONTAINERS = (nn.Sequential, nn.ModuleList)


def find_blocks(net: nn.Module) -> list[nn.Module]:
    """The blocks of `net` in the order of `modules()`.

    1. Modules with a true attribute `is_block` (compiled genotypes have them), if there are any; else
    2. the children of *stages*: nn.Sequential or nn.ModuleList whose children are all composite (two or more
       convolutions or linear layers inside) and no such containers themselves; of nested stages, the innermost.

    Rule 2 finds the residual blocks of most of timm's and torchvision's networks. Where it finds fewer than two:

    3. the outermost composite modules of the network that are no containers, taken apart if all of their children are
       composites of one class (RegNet's stages); else
    4. the children of a container of which all are composite containers (ConvMixer); else
    5. the convolutions: in a plain chain such as VGG, each layer is a block.

    Raises:
        ProxyFailure: there are fewer than two.
    """
    blocks = [module for module in net.modules() if getattr(module, "is_block", False) is True]
    if not blocks:
        stages = [module for module in net.modules() if _is_stage(module)]
        innermost = [s for s in stages if not any(inner is not s and _is_stage(inner) for inner in s.modules())]
        blocks = [block for stage in innermost for block in stage.children()]
    for rule in (_outermost, _children_of_uniform_containers, _convolutions):
        if len(blocks) < 2:
            blocks = rule(net)
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


def _outermost(module: nn.Module) -> list[nn.Module]:
    found = []
    for child in module.children():
        if _is_composite(child) and not _is_uniform(child):
            found.append(child)
        elif _layers(child) >= 2:
            found += _outermost(child)
    return found


def _children_of_uniform_containers(net: nn.Module) -> list[nn.Module]:
    for module in net.modules():
        children = list(module.children())
        composite = all(isinstance(child, CONTAINERS) and _layers(child) >= 2 for child in children)
        if isinstance(module, CONTAINERS) and len(children) >= 2 and composite:
            return children
    return []


def _convolutions(net: nn.Module) -> list[nn.Module]:
    return [module for module in net.modules() if isinstance(module, nn.modules.conv._ConvNd)]


def _is_uniform(module: nn.Module) -> bool:
    """Whether all children are composites of one class; a ModuleDict has a forward of its own, as DenseNet's blocks."""
    children = list(module.children())
    alike = len({type(child) for child in children}) == 1 and all(map(_is_composite, children))
    return alike and not isinstance(module, nn.ModuleDict)


def _is_stage(module: nn.Module) -> bool:
    children = list(module.children())
    return isinstance(module, CONTAINERS) and bool(children) and all(map(_is_composite, children))


def _is_composite(module: nn.Module) -> bool:
    return _layers(module) >= 2 and not isinstance(module, CONTAINERS)


def _layers(module: nn.Module) -> int:
    """Number of convolutions and linear layers inside."""
    return sum(isinstance(m, (nn.modules.conv._ConvNd, nn.Linear)) for m in module.modules())
