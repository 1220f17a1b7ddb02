"""mmcv's kernels by other libraries: each public function has the name and the arguments by which mmcv calls it.

NMS, RoIAlign, RoIPool and deformable convolution are torchvision's (equal results, CUDA kernels included), deformable
attention is mmcv's own PyTorch form, focal loss is plain torch. Most fill an output that is handed to them. `rois` are
(K, 5): the image's number, then x1 y1 x2 y2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor

from .errors import CompatError

vision: Any = torch.ops.torchvision


def nms(bboxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Indices (K,) of the boxes kept, best first. bboxes: (N, 4) as x1 y1 x2 y2; scores: (N,).

    `offset` 1 measures a box as x2 - x1 + 1, which is the same as moving x2 and y2 by one.
    """
    if offset:
        bboxes = bboxes + bboxes.new_tensor([0, 0, offset, offset])
    return torchvision.ops.nms(bboxes, scores.to(bboxes.dtype), iou_threshold)


def roi_align_forward(x: Tensor, rois: Tensor, output: Tensor, *_argmax: Tensor, pool_mode: int, **o: Any) -> None:
    """Fills output (K, C, h, w) from x (N, C, H, W)."""
    if pool_mode == 0:
        raise CompatError("RoIAlign with pool_mode='max' needs an mmcv with compiled operators; use pool_mode='avg'")
    size = o["aligned_height"], o["aligned_width"]
    output.copy_(vision.roi_align(*_exact(x, rois), o["spatial_scale"], *size, o["sampling_ratio"], o["aligned"]))


def roi_align_backward(grad: Tensor, rois: Tensor, *tensors: Tensor, **o: Any) -> None:
    """Fills the last of `tensors`, the gradient (N, C, H, W), from grad (K, C, h, w)."""
    size, shape = (o["aligned_height"], o["aligned_width"]), tensors[-1].shape
    inputs = (*_exact(grad, rois), o["spatial_scale"], *size, *shape, o["sampling_ratio"], o["aligned"])
    tensors[-1].copy_(vision._roi_align_backward(*inputs))


def roi_pool_forward(x: Tensor, rois: Tensor, output: Tensor, argmax: Tensor, **o: Any) -> None:
    """Fills output and argmax (K, C, h, w) from x (N, C, H, W)."""
    size = o["pooled_height"], o["pooled_width"]
    for target, value in zip((output, argmax), vision.roi_pool(*_exact(x, rois), o["spatial_scale"], *size)):
        target.copy_(value)


def roi_pool_backward(grad: Tensor, rois: Tensor, argmax: Tensor, grad_x: Tensor, **o: Any) -> None:
    """Fills grad_x (N, C, H, W) from grad (K, C, h, w)."""
    size = o["pooled_height"], o["pooled_width"]
    inputs = (*_exact(grad, rois), argmax, o["spatial_scale"], *size, *grad_x.shape)
    grad_x.copy_(vision._roi_pool_backward(*inputs))


def deform_conv_forward(x: Tensor, weight: Tensor, offset: Tensor, output: Tensor, *_: Tensor, **o: int) -> None:
    """Fills output (N, C', H', W') from x (N, C, H, W) and offset (N, 2 kh kw groups, H', W')."""
    output.copy_(_deform(o, x, weight, offset))


def deform_conv_backward_input(*tensors: Tensor, **o: int) -> None:
    """Fills the gradients of x and of the offset."""
    x, offset, grad, grad_x, grad_offset, weight, _ = tensors
    _differentiate(lambda x, offset: _deform(o, x, weight, offset), (x, offset), grad, (grad_x, grad_offset))


def deform_conv_backward_parameters(*tensors: Tensor, scale: float = 1.0, **o: int) -> None:
    """Fills the gradient of the weight."""
    x, offset, grad, grad_weight, _, _ = tensors
    weight = torch.zeros_like(grad_weight)  # the convolution is linear in it, with the same gradient anywhere
    _differentiate(lambda weight: _deform(o, x, weight, offset), (weight,), scale * grad, (grad_weight,))


def modulated_deform_conv_forward(*tensors: Tensor, with_bias: bool, **o: int) -> None:
    """Deformable convolution v2: fills output (N, C', H', W'); mask (N, kh kw groups, H', W')."""
    x, weight, bias, _, offset, mask, output, _ = tensors
    output.copy_(_deform(o, x, weight, offset, mask, bias if with_bias else None))


def modulated_deform_conv_backward(*tensors: Tensor, with_bias: bool, **o: int) -> None:
    """Fills the gradients of x, weight, bias, offset and mask."""
    x, weight, bias, _, offset, mask, _, grad_x, grad_weight, grad_bias, grad_offset, grad_mask, grad = tensors
    inputs, targets = (x, weight, offset, mask), (grad_x, grad_weight, grad_offset, grad_mask)
    if with_bias:
        inputs, targets = (*inputs, bias), (*targets, grad_bias)
    _differentiate(lambda *inputs: _deform(o, *inputs), inputs, grad, targets)


def ms_deform_attn_forward(value: Tensor, shapes: Tensor, _: Tensor, at: Tensor, weights: Tensor, **o: int) -> Tensor:
    """Multi-scale deformable attention (B, queries, channels), as mmcv computes it on a CPU."""
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    return multi_scale_deformable_attn_pytorch(value, shapes, at, weights)


def ms_deform_attn_backward(*tensors: Tensor, **o: int) -> None:
    """Fills the gradients of the values, the sampled locations and the attention weights."""
    value, shapes, starts, at, weights, grad, *targets = tensors

    def attend(value: Tensor, at: Tensor, weights: Tensor) -> Tensor:
        return ms_deform_attn_forward(value, shapes, starts, at, weights)

    _differentiate(attend, (value, at, weights), grad, targets)


def sigmoid_focal_loss_forward(x: Tensor, target: Tensor, weight: Tensor, output: Tensor, **o: float) -> None:
    """Fills output (N, C) from logits (N, C), target (N,) class indices (C: background), weight (C,) or empty."""
    output.copy_(_focal(x, target, weight, **o))


def sigmoid_focal_loss_backward(x: Tensor, target: Tensor, weight: Tensor, grad_x: Tensor, **o: float) -> None:
    """Fills grad_x (N, C) with the gradient of the summed loss."""
    _differentiate(lambda x: _focal(x, target, weight, **o), (x,), torch.ones_like(x), (grad_x,))


def get_compiler_version() -> str:
    return "none: operators from torchvision"


get_compiling_cuda_version = get_compiler_version


def _exact(*tensors: Tensor) -> tuple[Tensor, ...]:
    """torchvision's kernels want one floating type that they know; half types are computed in single precision."""
    return tuple(x if x.dtype == torch.float64 else x.float() for x in tensors)


def _deform(
    o: dict[str, int],
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Deformable convolution; the kernels of its two versions call the same options by different names."""
    stride, padding, dilation = (
        (o[h], o[w]) if h in o else (o[h2], o[w2])
        for h, w, h2, w2 in (
            ("dH", "dW", "stride_h", "stride_w"),
            ("padH", "padW", "pad_h", "pad_w"),
            ("dilationH", "dilationW", "dilation_h", "dilation_w"),
        )
    )
    exact, shift, kernel = _exact(x, offset, weight)
    added, share = (None if t is None else _exact(t)[0] for t in (bias, mask))
    return torchvision.ops.deform_conv2d(exact, shift, kernel, added, stride, padding, dilation, share).to(x.dtype)


def _focal(logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    classes = logits.shape[1]
    positive = F.one_hot(target, classes + 1)[:, :classes].to(logits.dtype)
    loss = torchvision.ops.sigmoid_focal_loss(logits, positive, alpha, gamma, reduction="none")
    return loss * weight[target.clamp(max=classes - 1)].unsqueeze(1) if weight.numel() else loss


def _differentiate(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], grad: Tensor, targets: Sequence[Tensor]
) -> None:
    """Fills `targets` with the gradients of the inputs, by computing the function anew."""
    with torch.enable_grad():
        leaves = [x.detach().requires_grad_(True) for x in inputs]
        output = function(*leaves)
    for target, value in zip(targets, torch.autograd.grad(output, leaves, grad)):
        target.copy_(value)
