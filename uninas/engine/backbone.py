"""A genotype as a backbone of mmengine's registry, for mmdet, mmseg and our own classifier."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from timm.layers.norm import LayerNorm2d
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..blocks.networks import as_genotype
from ..compiler import build
from ..compiler.init import Init
from ..errors import GenotypeError
from ..genotype import Genotype
from .errors import EngineError
from .weights import LoadReport, load_backbone


@MODELS.register_module()
class UniNASBackbone(BaseModule):
    """B x 3 x H x W -> a tuple of feature maps B x channels[i] x H/strides[i] x W/strides[i], H and W of any size.

    Args:
        genotype: inline (the file's content as a dict, or as JSON text) or the path of a file.
        out_indices: stages whose outputs are returned, counted from 0; later stages are not built.
        frozen_stages: -1 freezes nothing, 0 the stem, n the stem and the first n stages.
        norm_eval: keep batch norms at their stored statistics while training.
        out_norm: a layer norm over the channels of each output, for heads that read several of them.
        drop_path_rate: stochastic depth of the last block.
        with_cp: recompute activations in the backward pass, to save memory.
        channels_last: keep weights and feature maps as NHWC, on a GPU only.
        compile: compile the network with `torch.compile`; a mapping gives its arguments.
        seed: of the initial weights.
        init: `search`, or `train` for initial weights as of timm's models; see `uninas.build`.
        init_cfg: `dict(type="Pretrained", checkpoint=..., prefix="backbone.")`. Without `prefix` it is found out;
            `strict=False` loads what fits. Anything that does not load is an error or in the log.

    Raises:
        EngineError: a setting does not fit the genotype, or the genotype is not valid.
    """

    def __init__(
        self,
        genotype: Genotype | Mapping[str, Any] | str | Path,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        out_norm: bool = False,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        channels_last: bool = False,
        compile: bool | Mapping[str, Any] = False,
        seed: int = 0,
        init: Init = "search",
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        self.pretrained = dict(init_cfg or {})
        super().__init__(init_cfg=self.pretrained or None)
        try:
            self.genotype = as_genotype(genotype)
            built = build(
                self.genotype,
                features_only=True,
                out_indices=tuple(out_indices),
                drop_path_rate=drop_path_rate,
                seed=seed,
                init=init,
            )
        except GenotypeError as problem:
            raise EngineError(f"UniNASBackbone: {problem}") from None
        if type(frozen_stages) is not int or not -1 <= frozen_stages <= len(built.stages):
            raise EngineError(
                f"UniNASBackbone: frozen_stages: wants -1 (nothing) to {len(built.stages)}, got {frozen_stages!r}"
            )
        # The network's parts are registered here, under the names that `uninas.build` gives them; the network itself
        # hides in a tuple so that no name gets a prefix of its own.
        self.stem, self.stages = built.stem, built.stages
        self._hidden = (built,)
        self.channels, self.strides = built.channels, built.strides
        # Named by stage, as mmdet's Swin does, so that they load whatever other stages are read.
        read = zip(built.out_indices or (), built.channels) if out_norm else ()
        self.out_norms = nn.ModuleDict({str(stage): LayerNorm2d(width) for stage, width in read})
        self.norm_eval = norm_eval
        self.frozen_stages = frozen_stages
        built.set_grad_checkpointing(with_cp)
        if frozen_stages >= 0:
            built.freeze_stages(frozen_stages)
        # Torch's CPU kernels have given wrong gradients for grouped convolutions in this format.
        self.channels_last = channels_last and torch.cuda.is_available()
        if self.channels_last:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if compile:
            built.compile(**(compile if isinstance(compile, Mapping) else {}))

    @property
    def network(self) -> nn.Module:
        """The compiled network, sharing its parts with this module."""
        return self._hidden[0]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        features = self._hidden[0](x)
        norms = self.out_norms.values()
        return tuple(norm(feature) for norm, feature in zip(norms, features)) if norms else features

    def train(self, mode: bool = True) -> UniNASBackbone:
        """Frozen stages, and all batch norms where `norm_eval` asks for it, stay in eval mode."""
        super().train(mode)
        self._hidden[0].train(mode)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def init_weights(self) -> None:
        """Weights are initialised when built; this loads `init_cfg`'s checkpoint, once."""
        if self._is_init:
            return
        self._is_init = True
        cfg = dict(self.pretrained)
        if not cfg:
            if self.norm_eval and any(isinstance(module, _BatchNorm) for module in self.modules()):
                told = "norm_eval without init_cfg: batch norms keep statistics that no checkpoint gave"
                print_log(f"backbone: {told}", logger="current", level=logging.WARNING)
            return
        if cfg.pop("type", None) != "Pretrained" or "checkpoint" not in cfg:
            raise EngineError(
                "UniNASBackbone: init_cfg: wants dict(type='Pretrained', checkpoint=PATH[, prefix=...]), "
                f"got {self.pretrained}"
            )
        unknown = set(cfg) - {"checkpoint", "prefix", "strict", "map_location"}
        if unknown:
            raise EngineError(f"UniNASBackbone: init_cfg: unknown key {sorted(unknown)[0]!r}; take prefix or strict")
        self.load(cfg["checkpoint"], cfg.get("prefix"), cfg.get("strict", True))

    def load(self, path: str | Path, prefix: str | None = None, strict: bool = True) -> LoadReport:
        """Load a checkpoint and log what was loaded; see `uninas.engine.weights.load_backbone`."""
        report = load_backbone(self, path, prefix, strict)
        print_log(f"backbone: {report}", logger="current")
        for name in (*report.missing, *report.mismatched):
            print_log(f"backbone: {name} left as initialised", logger="current")
        return report

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """(depth, number of depths) of a parameter, for layer-wise learning rates: stem 0, blocks 1..."""
        return self._hidden[0].get_layer_depth(param_name, prefix)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that should not decay, besides vectors and scalars."""
        return self._hidden[0].no_weight_decay()
