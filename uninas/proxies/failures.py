"""Why a proxy has no value for a network."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from uninas.errors import ProxyError

Kind = Literal[
    "cannot run", "output shape", "not finite", "not differentiable", "no parameters", "no gates", "no blocks",
    "samples mixed", "samples alike", "too few samples", "rank deficient", "zero fisher", "zero gradients",
    "zero features", "identity block",
]  # fmt: skip


class ProxyFailure(ProxyError):
    """A proxy is undefined for this network and input.

    Attributes:
        kind: the failure's name, the same for all networks that fail in this way.
        message: what happened here and what to do.
    """

    def __init__(self, kind: Kind, message: str) -> None:
        self.kind: Kind = kind
        self.message = message
        super().__init__(f"{kind}: {message}")

    def __reduce__(self) -> tuple[type[ProxyFailure], tuple[Kind, str]]:
        return type(self), (self.kind, self.message)  # else it could not leave a worker process


def logits_of(net: nn.Module, x: Tensor) -> Tensor:
    """`net(x)`, checked.

    Args:
        x: B x C_in x H x W.

    Returns:
        B x C, C >= 2, finite.

    Raises:
        ProxyFailure: the network cannot run on `x` or returns anything else.
    """
    try:
        logits: Any = net(x)
    except ProxyFailure:  # of a hook
        raise
    except Exception as error:  # the network is not our code
        what = f"{type(error).__name__}: {error}"
        message = f"the network does not run on an input of shape {tuple(x.shape)} ({x.dtype}, {x.device}): {what}"
        raise ProxyFailure("cannot run", message) from error
    if not isinstance(logits, Tensor) or logits.dim() != 2 or logits.shape[0] != len(x) or logits.shape[1] < 2:
        what = f"a tensor of shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        message = f"a classifier returns logits of shape ({len(x)}, classes >= 2) for {len(x)} images, not {what}"
        raise ProxyFailure("output shape", message)
    if not logits.isfinite().all():
        raise ProxyFailure("not finite", "the network's logits are not finite: check its weights and its input")
    return logits
