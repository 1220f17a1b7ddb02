"""A stand-in for mmcv's compiled operators, for an mmcv that has none (`mmcv-lite`).

`mmcv.ops` asks `mmcv._ext` for its kernels when it is imported, and mmdet imports `mmcv.ops`. The stand-in lets
that import succeed. What the detectors that uninas exports to need goes to torchvision (NMS, RoIAlign: equal
results, CUDA kernels included) or to plain torch (focal loss); anything else raises when it is called, not before.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import EngineError

NAME = "mmcv._ext"


def compiled() -> bool:
    """Whether the installed mmcv has its own compiled operators."""
    loaded = sys.modules.get(NAME)
    if loaded is not None:
        return not isinstance(loaded, StandIn)
    try:
        spec = importlib.util.find_spec(NAME)
    except ModuleNotFoundError:
        return False
    # Compiled operators are a file; what `uninas.engine.site_ops` offers is not.
    return spec is not None and spec.origin is not None


def install() -> bool:
    """Put the stand-in where mmcv looks for its operators; nothing happens when real ones are there.

    Must run before `mmcv.ops` is first imported. Returns whether the stand-in is in use.
    """
    if NAME in sys.modules:
        return not compiled()
    if importlib.util.find_spec("mmcv") is None or compiled():
        return False
    sys.modules[NAME] = StandIn(NAME)
    return True


class StandIn(ModuleType):
    """Answers every operator name, since `mmcv.ops` checks on import that all of its kernels exist."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # A spec without a loader: mmengine's `mmcv_full_available()` then says no, instead of raising for want of one.
        self.__spec__ = ModuleSpec(name, loader=None)
        for op in (
            nms,
            roi_align_forward,
            roi_align_backward,
            sigmoid_focal_loss_forward,
            sigmoid_focal_loss_backward,
            get_compiler_version,
            get_compiling_cuda_version,
        ):
            setattr(self, op.__name__, op)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def unavailable(*_args: object, **_kwargs: object) -> NoReturn:
            raise EngineError(
                f"the operator {name!r} needs an mmcv with compiled operators, and the installed one has none. "
                "Compile it as `uninas doctor --compile-help` describes, or use a model without this operator"
            )

        return unavailable


def nms(bboxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Indices (K,) of the boxes kept, best first. bboxes: (N, 4) as x1 y1 x2 y2; scores: (N,).

    `offset` 1 measures a box as x2 - x1 + 1, which is the same as moving x2 and y2 by one.
    """
    from torchvision.ops import nms as torchvision_nms

    if offset:
        bboxes = bboxes + bboxes.new_tensor([0, 0, offset, offset])
    return torchvision_nms(bboxes, scores.to(bboxes.dtype), iou_threshold)


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fills output (K, C, aligned_height, aligned_width) from input (N, C, H, W) and rois (K, 5)."""
    from torchvision.ops import roi_align

    if pool_mode == 0:
        raise EngineError("RoIAlign with pool_mode='max' needs an mmcv with compiled operators; use pool_mode='avg'")
    exact = _kernel_dtype(input)
    size = (aligned_height, aligned_width)
    output.copy_(roi_align(input.to(exact), rois.to(exact), size, spatial_scale, sampling_ratio, aligned))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fills grad_input (N, C, H, W) from grad_output (K, C, aligned_height, aligned_width)."""
    from torchvision.ops import roi_align

    exact = _kernel_dtype(grad_output)
    size = (aligned_height, aligned_width)
    # RoIAlign is linear in its input, so its gradient at zero is its gradient anywhere.
    zero = torch.zeros(grad_input.shape, dtype=exact, device=grad_input.device, requires_grad=True)
    with torch.enable_grad():
        pooled = roi_align(zero, rois.to(exact), size, spatial_scale, sampling_ratio, aligned)
    grad_input.copy_(torch.autograd.grad(pooled, zero, grad_output.to(exact))[0])


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, *, gamma: float, alpha: float
) -> None:
    """Fills output (N, C) from logits (N, C), target (N,) class indices (C: background), weight (C,) or empty."""
    output.copy_(_focal(input, target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, *, gamma: float, alpha: float
) -> None:
    """Fills grad_input (N, C) with the gradient of the summed loss."""
    with torch.enable_grad():
        logits = input.detach().requires_grad_(True)
        loss = _focal(logits, target, weight, gamma, alpha).sum()
    grad_input.copy_(torch.autograd.grad(loss, logits)[0])


def get_compiler_version() -> str:
    return "none: operators from torchvision"


def get_compiling_cuda_version() -> str:
    return "none: operators from torchvision"


def _focal(logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    classes = logits.shape[1]
    positive = F.one_hot(target, classes + 1)[:, :classes].to(logits.dtype)
    probability = logits.sigmoid()
    missed = positive * (1 - probability) + (1 - positive) * probability
    balance = positive * alpha + (1 - positive) * (1 - alpha)
    loss = balance * missed.pow(gamma) * F.binary_cross_entropy_with_logits(logits, positive, reduction="none")
    if weight.numel():
        loss = loss * weight[target.clamp(max=classes - 1)].unsqueeze(1)
    return loss


def _kernel_dtype(x: Tensor) -> torch.dtype:
    """torchvision's kernels want one floating type that they know; half types are computed in single precision."""
    return x.dtype if x.dtype == torch.float64 else torch.float32
