"""A compiled genotype with the methods that timm's tools call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.models._features import feature_take_indices
from timm.models._features_fx import register_notrace_module
from torch import Tensor, nn

from ..compiler import build
from ..compiler.init import Init
from ..compiler.network import checkpointed
from ..errors import GenotypeError
from ..genotype import Genotype, Head
from ..ops.base import undecayed
from ..ops.modules.attention import BandMask, FusedAttention, RelativePositionBias
from .head import TimmHead

for _kind in (BandMask, FusedAttention, RelativePositionBias):  # what they do depends on sizes
    register_notrace_module(_kind)


class TimmNetwork(nn.Module):
    """B x in_chans x H x W, any H and W -> logits B x num_classes, as timm's models.

    Parameters have the names and, for a seed, the values that they have in `uninas.build`'s network.

    Args:
        genotype: what to build.
        num_classes: size of the classifier; 0 gives pooled features B x C.
        in_chans: channels of the image.
        global_pool: `avg`, `max`, `avgmax`, or "" for a map (with `num_classes=0`).
        drop_rate: of the dropout before the classifier; None is the genotype's.
        drop_path_rate: stochastic depth, rising linearly to this rate at the last block.
        seed: of the initial weights. Global random state is neither read nor written.
        init: `search`, or `train` for initial weights as of timm's own models; see `uninas.build`.

    Raises:
        GenotypeError: an argument is out of range.
    """

    def __init__(
        self,
        genotype: Genotype,
        num_classes: int = 1000,
        in_chans: int = 3,
        global_pool: str = "avg",
        drop_rate: float | None = None,
        drop_path_rate: float = 0.0,
        seed: int = 0,
        init: Init = "search",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        built = build(genotype, num_classes, seed=seed, drop_path_rate=drop_path_rate, in_chans=in_chans, init=init)
        self.genotype = genotype
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.global_pool = global_pool
        self.drop_rate = genotype.head.dropout if drop_rate is None else drop_rate
        self.seed = seed
        self.init: Init = init
        self.grad_checkpointing = False
        head = genotype.head
        self._normed = head.norm is not None and not head.pool_first and not head.width
        self.feature_info = [
            {"num_chs": channels, "reduction": stride, "module": f"stages.{i}"}
            for i, (channels, stride) in enumerate(zip(built.channels, built.strides))
        ]
        self.num_features = genotype.stages[-1].width
        self.head_hidden_size = built.num_features
        self.stem = built.stem
        self.stages = nn.Sequential(*built.stages)
        self.head = self._head()
        self.to(device=device, dtype=dtype)

    def _head(self) -> TimmHead:
        head, width = self.genotype.head, self.num_features
        return TimmHead(head, width, self.num_classes, self.global_pool, self.drop_rate, self.seed, self.init)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """The last stage's output, B x C x H/stride x W/stride."""
        x = self.stem(x)
        if self.grad_checkpointing and not torch.jit.is_scripting():  # type: ignore[attr-defined]
            for stage in self.stages:
                x = self._run(stage, x)
            return x
        return self.stages(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The last stage's output -> logits, or with `pre_logits` what the classifier is given, B x C."""
        return self.head(x, pre_logits)

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Outputs of stages, B x C_i x H_i x W_i each, and the last one's.

        Args:
            indices: stages, counted from 0 or, negative, from the end; a number takes the last so many, None all.
            norm: apply the head's norm to the last stage's output, where it stands before the pool.
            stop_early: compute nothing behind the last of `indices`.
            output_fmt: NCHW, the only one.
            intermediates_only: leave out the last stage's output.

        Raises:
            GenotypeError: another `output_fmt`.
        """
        if output_fmt != "NCHW":
            raise GenotypeError(f"feature maps are NCHW, not {output_fmt}", "output_fmt")
        taken, last = feature_take_indices(len(self.stages), indices)  # type: ignore[arg-type]
        x = self.stem(x)
        found = []
        for i, stage in enumerate(self.stages):
            if stop_early and i > last:
                break
            x = self._run(stage, x)
            if i in taken:
                found.append(self.head[0](x) if norm and i == len(self.stages) - 1 and self._normed else x)
        return found if intermediates_only else (x, found)

    def _run(self, stage: Any, x: Tensor) -> Tensor:
        recompute = self.grad_checkpointing and self.training and torch.is_grad_enabled()
        for block in stage:
            x = checkpointed(block, x) if recompute else block(x)
        return x

    def prune_intermediate_layers(
        self, indices: int | Sequence[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drops the stages behind the last of `indices`, and the head; returns the indices counted from 0."""
        taken, last = feature_take_indices(len(self.stages), indices)  # type: ignore[arg-type]
        ends = last < len(self.stages) - 1
        self.stages = self.stages[: last + 1]
        if ends:
            self.num_features = self.head_hidden_size = self.feature_info[last]["num_chs"]
        norm = nn.Identity() if prune_norm or ends or not self._normed else self.head[0]
        if prune_head or ends:
            self.num_classes, self.global_pool = 0, ""
            self.head = TimmHead(Head(norm=None), self.num_features, 0, "", 0.0, self.seed)
            self.head[0] = norm
        elif self._normed:
            self.head[0] = norm
        return taken

    def get_classifier(self) -> nn.Module:
        """The linear layer, or an Identity where `num_classes` is 0."""
        return self.head.classifier()

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new classifier, with the weights of a network built with so many classes; the rest of the head stays.

        Args:
            global_pool: another pool; None leaves it.
        """
        old, place = self.head, next(self.parameters())
        self.num_classes = num_classes
        self.global_pool = self.global_pool if global_pool is None else global_pool
        self.head = self._head().to(place.device, place.dtype).train(self.training)
        self.head.keep_weights(old)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns that put every parameter in the stem, in a block (`coarse`: a stage) or, unmatched, in the head."""
        return {"stem": r"^stem", "blocks": r"^stages\.(\d+)" if coarse else r"^stages\.(\d+)\.(\d+)"}

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute each block in the backward pass instead of keeping its activations."""
        self.grad_checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that should not decay: relative position bias tables."""
        return undecayed(self)
