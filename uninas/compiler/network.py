"""The network object: stem, stages of blocks, and a head or multi-scale features.

It offers what timm and OpenMMLab users expect: `forward_features`, `num_classes=0`, `channels` and `strides` of each
feature map, gradient checkpointing, frozen stages, and the depth of each parameter for layer-wise learning rates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, fx, nn
from torch.utils.checkpoint import checkpoint

from ..errors import GenotypeError
from ..genotype import Genotype, Stage, SubBlock
from ..genotype.frame import IMAGE_CHANNELS, check_whole
from ..ops.base import undecayed
from ..ops.layers import Layer, activation_layer, norm_layer, sequential
from .lower import lower
from .passes import Pass


class SubBlockModule(nn.Module):
    """activation(shortcut(x) + drop_path(graph(down(norm(x)))))."""

    is_subblock = True
    """What the initialisation looks for: a part with random numbers of its own."""

    def __init__(self, sub: SubBlock, before: int, stage: Stage, first: bool, drop: float, passes: Sequence[Pass]):
        super().__init__()
        width = stage.width
        pool = first and stage.downsample.inside
        shortcut = stage.downsample.shortcut(before, width) if pool and sub.residual else []
        main: list[Layer] = [norm_layer(sub.norm, before if pool else width)] if sub.norm else []
        main += stage.downsample.main(before, width) if pool else []
        self.shortcut = sequential(shortcut)
        self.prepare = sequential(main)
        self.graph: fx.GraphModule = lower(sub.graph, width, passes)
        self.rewrites: dict[str, int] = dict(self.graph.meta["rewrites"])
        """How often each pass rewrote the graph, by its name. (Pickling loses what a graph has in `meta`.)"""
        self.residual = sub.residual
        self.drop_path = _drop_path(drop) if sub.residual else nn.Identity()
        self.activation = activation_layer(sub.activation, width).build() if sub.activation else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.drop_path(self.graph(self.prepare(x)))
        if self.residual:
            out = self.shortcut(x) + out
        return self.activation(out)


def _drop_path(rate: float) -> nn.Module:
    if not rate:
        return nn.Identity()
    from timm.layers.drop import DropPath  # here, because importing timm takes longer than importing torch

    return DropPath(rate)


def checkpointed(block: nn.Module, x: Tensor) -> Tensor:
    """The block's output, of which only the input is kept for the backward pass."""
    # What torch.compile recomputes has no effects, so statistics are counted once; and it takes no such contexts.
    contexts = {} if torch.compiler.is_compiling() else {"context_fn": partial(_recomputing, block)}
    return checkpoint(block, x, use_reentrant=False, **contexts)  # type: ignore[return-value]


def _recomputing(block: nn.Module) -> tuple[AbstractContextManager, AbstractContextManager]:
    """Contexts of the first and the second computation of a checkpointed block."""
    return nullcontext(), _statistics_kept(block)


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """Computing a second time must not count the same batch into the running statistics again."""
    norms = [module for module in block.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum


class BlockModule(nn.Module):
    """Sub-blocks in sequence, behind the stage's downsampling where that is not part of a sub-block."""

    is_block = True
    """What proxies over blocks look for."""

    def __init__(self, stage: Stage, index: int, before: int, drop: float, passes: Sequence[Pass]) -> None:
        super().__init__()
        first = index == 0
        outside = first and not stage.downsample.inside
        self.down = sequential(stage.downsample.main(before, stage.width) if outside else [])
        beside = stage.downsample.shortcut(before, stage.width) if outside else []
        self.down_shortcut = sequential(beside) if beside else None
        self.down_drop_path = _drop_path(drop) if beside and stage.downsample.kind != "basic" else nn.Identity()
        self.down_behind = sequential(stage.downsample.behind(stage.width) if outside else [])
        self.subblocks = nn.Sequential(
            *(
                SubBlockModule(sub, before if first and k == 0 else stage.width, stage, first and k == 0, drop, passes)
                for k, sub in enumerate(stage.blocks[index].subblocks)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        down = self.down(x)
        if self.down_shortcut is not None:
            down = self.down_shortcut(x) + self.down_drop_path(down)
        return self.subblocks(self.down_behind(down))


class Network(nn.Module):
    """A compiled genotype. B x in_chans x H x W -> logits B x num_classes, or features.

    Args:
        genotype: what to build.
        num_classes: size of the classifier; 0 gives pooled features B x C.
        out_indices: stages whose outputs `forward` returns, as a tuple; None for a classifier.
        drop_path_rate: stochastic depth, rising linearly to this rate at the last block.
        passes: graph rewrites, see `uninas.compiler.passes`.
        in_chans: channels of the image.
    """

    def __init__(
        self,
        genotype: Genotype,
        num_classes: int,
        out_indices: tuple[int, ...] | None,
        drop_path_rate: float,
        passes: Sequence[Pass],
        in_chans: int = IMAGE_CHANNELS,
    ) -> None:
        super().__init__()
        self.genotype = genotype
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.out_indices = out_indices
        self.checkpointing = False
        self._frozen_stages = -1
        count = len(genotype.stages) if out_indices is None else max(out_indices) + 1
        kept = genotype.stages[:count]  # stages that nothing reads would only break distributed training
        depth = sum(len(stage.blocks) for stage in genotype.stages)
        rates = iter([drop_path_rate * i / max(depth - 1, 1) for i in range(depth)])
        before = genotype.stem.width
        stages = []
        self.stem = sequential(genotype.stem.layers(in_chans))
        for stage in kept:
            blocks = [
                BlockModule(stage, j, before if j == 0 else stage.width, next(rates), passes)
                for j in range(len(stage.blocks))
            ]
            stages.append(nn.Sequential(*blocks))
            before = stage.width
        self.stages = nn.ModuleList(stages)
        self.num_features = (genotype.head.width or before) if out_indices is None else before
        """Channels of what the classifier is given, or of the last feature map."""
        self.head = sequential(genotype.head.layers(before, num_classes)) if out_indices is None else None
        indices = range(count) if out_indices is None else out_indices
        self.channels = tuple(genotype.stages[i].width for i in indices)
        """Channels of each feature map."""
        self.strides = tuple(genotype.strides[i] for i in indices)
        """Stride of each feature map against the image."""

    def forward_intermediates(self, x: Tensor) -> tuple[Tensor, ...]:
        """Outputs of all (kept) stages, B x C_i x H_i x W_i."""
        x = self.stem(x)
        found = []
        for stage in self.stages:
            for block in stage:  # type: ignore[union-attr]
                if self.checkpointing and self.training and torch.is_grad_enabled():
                    x = checkpointed(block, x)
                else:
                    x = block(x)
            found.append(x)
        return tuple(found)

    def forward_features(self, x: Tensor) -> Tensor:
        """The last stage's output, B x C x H/stride x W/stride."""
        return self.forward_intermediates(x)[-1]

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        features = self.forward_intermediates(x)
        if self.head is None:
            return tuple(features[i] for i in self.out_indices or ())
        out = self.head(features[-1])
        return out if self.num_classes else out.flatten(1)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute each block in the backward pass instead of keeping its activations."""
        self.checkpointing = enable

    def freeze_stages(self, count: int) -> None:
        """Freezes the stem (count >= 0) and the first `count` stages: no gradients, and always in eval mode.

        Args:
            count: -1 freezes nothing.

        Raises:
            GenotypeError: `count` is no whole number from -1 to the number of stages.
        """
        check_whole(count, "frozen_stages", minimum=-1)
        if count > len(self.stages):
            raise GenotypeError(f"the network has {len(self.stages)} stages, cannot freeze {count}", "frozen_stages")
        self._frozen_stages = count
        for module in self._frozen():
            module.requires_grad_(False)
        self.train(self.training)

    def _frozen(self) -> list[nn.Module]:
        return [] if self._frozen_stages < 0 else [self.stem, *self.stages[: self._frozen_stages]]

    def train(self, mode: bool = True) -> Network:
        super().train(mode)
        for module in self._frozen():
            module.eval()
        return self

    @property
    def rewrites(self) -> dict[str, int]:
        """How often each pass rewrote a graph of the network, by the pass's name."""
        total: dict[str, int] = {}
        for module in self.modules():
            for name, count in module.rewrites.items() if isinstance(module, SubBlockModule) else ():
                total[name] = total.get(name, 0) + count
        return total

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that should not decay: relative position bias tables (and, as everywhere, 1-d tensors,
        which optimisers exclude by shape)."""
        return undecayed(self)

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """(depth, number of depths) of a parameter for layer-wise decay: stem 0, blocks 1.., head last.

        Raises:
            GenotypeError: the name does not start with `prefix`.
        """
        if not param_name.startswith(prefix):
            raise GenotypeError(f"{param_name!r} does not start with prefix {prefix!r}", "param_name")
        parts = param_name[len(prefix) :].split(".")
        depths = [len(stage) for stage in self.stages]  # type: ignore[arg-type]
        last = sum(depths) + 1
        if parts[0] == "stem":
            return 0, last + 1
        if parts[0] == "stages":
            return 1 + sum(depths[: int(parts[1])]) + int(parts[2]), last + 1
        return last, last + 1
