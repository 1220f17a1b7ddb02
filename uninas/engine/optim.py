"""Parameter groups for training, and mixed precision on any machine."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import AmpOptimWrapper, DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from timm.optim.lamb import Lamb
from torch import nn

from .errors import EngineError

OPTIMIZERS.register_module(module=Lamb)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class UniNASOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Few groups: norms, biases and other vectors do not decay; with `layer_decay`, earlier blocks learn slower.

    `paramwise_cfg=dict(layer_decay=0.8)` multiplies the learning rate of the backbone's parameters by 0.8 for each
    block between them and the heads. mmengine's own constructor makes a group of every single parameter, and has no
    layer-wise decay.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        # Never empty: mmengine would then not ask for groups at all.
        super().__init__(optim_wrapper_cfg, paramwise_cfg or {"layer_decay": None})

    def add_params(self, params: list, module: nn.Module, prefix: str = "", **kwargs: object) -> None:
        layer_decay = self.paramwise_cfg.get("layer_decay")
        unknown = set(self.paramwise_cfg) - {"layer_decay"}
        if unknown:
            raise EngineError(f"paramwise_cfg: {sorted(unknown)[0]!r} is not known here; the one key is layer_decay")
        model: Any = module.module if is_model_wrapper(module) else module
        backbone: Any = getattr(model, "backbone", None)
        if layer_decay and not hasattr(backbone, "get_layer_depth"):
            raise EngineError("layer_decay: the model's backbone has no get_layer_depth; only UniNASBackbone does")
        undecayed = {f"backbone.{name}" for name in getattr(backbone, "no_weight_decay", set)()}
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            factor = 1.0
            if layer_decay and name.startswith("backbone."):
                depth, depths = backbone.get_layer_depth(name, "backbone.")
                factor = layer_decay ** (depths - 1 - depth)
            decay = 0.0 if parameter.ndim <= 1 or name in undecayed else self.base_wd
            groups.setdefault((factor, decay or 0.0), []).append(parameter)
        for (factor, decay), members in groups.items():
            params.append({"params": members, "lr": self.base_lr * factor, "weight_decay": decay})


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
