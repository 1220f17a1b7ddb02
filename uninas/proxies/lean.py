"""How a borrowed network is run: the same numbers by other kernels. Its parameters stay untouched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def differentiable_attention(*, composite: bool) -> Iterator[None]:
    """Keeps nn.MultiheadAttention off its inference kernel, which has no derivative.

    Args:
        composite: keeps off the fused kernels too, which know neither forward mode nor vmap.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH) if composite else nullcontext():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


@contextmanager
def pointwise_as_linear(net: nn.Module) -> Iterator[None]:
    """Computes 1 x 1 convolutions as one matrix product over all positions of the batch.

    Without channels-last input that costs a copy; with it, it is free, and on one CPU thread the product is about
    twice as fast as PyTorch's own 1 x 1 convolution, which for small batches works image by image.
    """
    modules = [m for m in net.modules() if _is_pointwise(m) and "forward" not in m.__dict__]
    try:
        for module in modules:
            module.__dict__["forward"] = _linear_forward(module)
        yield
    finally:
        for module in modules:
            module.__dict__.pop("forward", None)


def _is_pointwise(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and type(module).forward is nn.Conv2d.forward
        and set(module.kernel_size) == set(module.stride) == {1}
        and module.groups == 1
        and module._reversed_padding_repeated_twice == [0, 0, 0, 0]
    )


def _linear_forward(module: nn.Module) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        weight = module.weight.flatten(1)  # type: ignore[operator,union-attr]
        return F.linear(x.permute(0, 2, 3, 1), weight, module.bias).permute(0, 3, 1, 2)  # type: ignore[arg-type]

    return forward
