"""timm's published networks as genotypes, with timm's weights."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn

from ..errors import nearest
from .checkpoint import TimmError
from .model import TimmNetwork

SAME_AS_TIMM = {
    "resnet50": "resnet50",
    "mobilenetv2_100": "mobilenet_v2",
    "efficientnet_b0": "efficientnet_b0",
    "convnext_tiny": "convnext_tiny",
    "poolformer_s12": "poolformer_s12",
    "coatnet_0_rw_224": "coatnet_0",
}
"""timm's models by name, and the known network that each is."""


def from_timm(name: str, pretrained: bool = False, **settings: Any) -> TimmNetwork:
    """A known network with the weights of timm's model of the same architecture.

    Args:
        name: a key of SAME_AS_TIMM, with a tag of timm's or without, such as `resnet50.a1_in1k`.
        pretrained: whether timm downloads its weights; otherwise they are those of timm's initialisation.
        settings: of `timm.create_model`, such as num_classes, in_chans and checkpoint_path.

    Raises:
        TimmError: the network is not known, or a tensor does not fit; the message names the first one.
    """
    architecture = name.partition(".")[0]
    if architecture not in SAME_AS_TIMM:
        raise TimmError(f"there is no genotype of timm's {name!r}; {nearest(architecture, SAME_AS_TIMM)}")
    theirs: Any = timm.create_model(name, pretrained=pretrained, **settings)
    facts = {key: theirs.pretrained_cfg.get(key) for key in ("input_size", "mean", "std", "crop_pct", "interpolation")}
    ours: Any = timm.create_model(
        f"uninas_{SAME_AS_TIMM[architecture]}",
        num_classes=theirs.num_classes,
        in_chans=getattr(theirs, "in_chans", settings.get("in_chans", 3)),  # timm 1.0.9 does not say
        pretrained_cfg_overlay={key: value for key, value in facts.items() if value is not None},
    )
    copy_weights(theirs, ours)
    return ours.train(theirs.training)


@torch.no_grad()
def copy_weights(theirs: nn.Module, ours: nn.Module) -> None:
    """Copies the tensors of timm's network into ours, which has the same ones in the same order of computation.

    Raises:
        TimmError: one does not fit; then nothing is copied.
    """
    source, target = _in_our_order(theirs.state_dict()), list(ours.state_dict().items())
    pairs = []
    for (their_name, tensor), (our_name, place) in zip(source, target):
        tensor = _in_our_layout(their_name, tensor, theirs)
        if _shape(tensor) != _shape(place):
            raise TimmError(
                f"timm's {their_name} of shape {tuple(tensor.shape)} does not fit our {our_name} of shape "
                f"{tuple(place.shape)}: this is another architecture, or a version of timm that writes it otherwise"
            )
        pairs.append((place, tensor.reshape(place.shape)))
    if len(source) != len(target):
        more, whose = (source, "timm's") if len(source) > len(target) else (target, "our")
        raise TimmError(f"{whose} {more[min(len(source), len(target))][0]} has no counterpart: another architecture")
    for place, tensor in pairs:
        place.copy_(tensor)


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """The shape without ones at its end: a linear layer's weight is that of a 1 x 1 convolution."""
    shape = list(tensor.shape)
    while len(shape) > 2 and shape[-1] == 1:
        shape.pop()
    return tuple(shape)


def _in_our_order(state: dict[str, Tensor]) -> list[tuple[str, Tensor]]:
    """timm's tensors in the order in which our networks have them: in each block the shortcut behind what it goes
    around, and the layer scale last."""
    attending = {name.partition(".attn.")[0] for name in state if ".attn." in name}
    first: dict[str, int] = {}
    keyed = []
    for place, name in enumerate(state):
        parts = name.split(".")
        block = ".".join(parts[: parts.index("blocks") + 2]) if "blocks" in parts else name
        rest = name.removeprefix(block)
        rank = 1 if rest == ".gamma" or rest.startswith(".shortcut.") else 0
        if block in attending and rest.startswith((".norm2.", ".mlp.")):
            rank = 2
        keyed.append((first.setdefault(block, place), rank, place, name))
    return [(name, state[name]) for *_, name in sorted(keyed)]


def _in_our_layout(name: str, tensor: Tensor, model: nn.Module) -> Tensor:
    """Of attention: our queries, keys and values stand one behind the other, timm's head by head; and our table of
    relative positions has a plane for each head."""
    if name.endswith("relative_position_bias_table"):
        offsets, heads = tensor.shape
        side = round(offsets**0.5)
        return tensor.T.reshape(heads, side, side)
    if ".attn.qkv." in name:
        heads: int = model.get_submodule(name.partition(".qkv.")[0]).num_heads  # type: ignore[assignment]
        return tensor.unflatten(0, (heads, 3, -1)).transpose(0, 1).flatten(0, 2)
    return tensor
