"""Parameter groups for training, and mixed precision on any machine."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper, DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from timm.optim.lamb import Lamb
from torch import nn

from .errors import EngineError

OPTIMIZERS.register_module(module=Lamb)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class UniNASOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor with all of its keys, in few groups, and with layer-wise decay of the learning rate.

    `paramwise_cfg=dict(layer_decay=0.8)` multiplies the learning rate of the backbone's parameters by 0.8 for each
    block between them and the heads. Unless `paramwise_cfg` says otherwise, norms, biases and other vectors do not
    decay, nor does what the backbone names in `no_weight_decay`. mmengine's own makes a group of every parameter.

    Raises:
        EngineError: the model's backbone has no depths.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        undecayed = {"norm_decay_mult": 0.0, "bias_decay_mult": 0.0, "flat_decay_mult": 0.0}
        super().__init__(optim_wrapper_cfg, {**undecayed, **(paramwise_cfg or {})})

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = "", **kwargs: Any) -> None:
        super().add_params(params, module, prefix, **kwargs)
        if prefix:
            return  # mmengine comes here for every part
        backbone: Any = getattr(module, "backbone", None)
        layer_decay = self.paramwise_cfg.get("layer_decay")
        if layer_decay and not hasattr(backbone, "get_layer_depth"):
            raise EngineError("layer_decay: the model's backbone has no get_layer_depth; only UniNASBackbone does")
        undecayed = {f"backbone.{name}" for name in getattr(backbone, "no_weight_decay", set)()}
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        groups: dict[tuple, list[nn.Parameter]] = {}
        for group in params:
            (parameter,) = group.pop("params")
            name = names[id(parameter)]
            if name in undecayed:
                group["weight_decay"] = 0.0
            if layer_decay and name.startswith("backbone."):
                depth, depths = backbone.get_layer_depth(name, "backbone.")
                group["lr"] = group.get("lr", self.base_lr) * layer_decay ** (depths - 1 - depth)
            groups.setdefault(tuple(sorted(group.items())), []).append(parameter)
        params[:] = [{"params": members, **dict(settings)} for settings, members in groups.items()]


@OPTIM_WRAPPERS.register_module()
class MixedPrecisionOptimWrapper(AmpOptimWrapper):
    """mmengine's AmpOptimWrapper on whatever the run finds: float16 with loss scaling or bfloat16 without on a GPU.

    A CPU, where AmpOptimWrapper refuses to work, computes in bfloat16 whatever `dtype` says.
    """

    def __init__(self, dtype: str = "float16", **kwargs: Any) -> None:
        if torch.cuda.is_available():
            super().__init__(loss_scale={"enabled": dtype == "float16"}, dtype=dtype, **kwargs)  # type: ignore[arg-type]
            return
        OptimWrapper.__init__(self, **kwargs)
        self.cast_dtype = torch.bfloat16
        self.loss_scaler, self._scale_update_param = torch.amp.GradScaler("cpu", enabled=False), None
        if dtype != "bfloat16":
            print_log(f"mixed precision: bfloat16 in place of {dtype}, on a CPU", logger="current")
