"""Proxies from pruning: how much the loss would change with the weights.

The definitions are those of the tables on NAS-Bench-201: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS",
ICLR 2021, with sums over the weights of convolutions and linear layers and batch norms that use the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uninas.ops import operation_of
from uninas.proxies.base import Cost, gradients_of, loss_of, proxy, weights_of
from uninas.proxies.failures import logits_of
from uninas.proxies.state import copied, replaced_forwards

NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


@proxy(needs={"images", "labels", "gradients"}, cost=Cost.BACKWARD, statistics="batch")
def gradnorm(net: nn.Module, x: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> float:
    """Euclidean norm of the gradient of the cross-entropy with respect to all parameters."""
    loss = loss_of(net, x, generator, labels)
    gradients = gradients_of(loss, net.parameters())
    return float(torch.stack([g.double().norm() for g in gradients]).norm())


@proxy(needs={"images", "labels", "gradients"}, cost=Cost.BACKWARD, statistics="batch")
def snip(net: nn.Module, x: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> float:
    """Sum of |w * dL/dw|. Lee et al., "SNIP", ICLR 2019."""
    weights = weights_of(net)
    gradients = gradients_of(loss_of(net, x, generator, labels), weights)
    return sum(float((w.detach() * g).abs().sum(dtype=torch.float64)) for w, g in zip(weights, gradients, strict=True))


@proxy(needs={"images", "labels", "gradients"}, cost=Cost.BACKWARD, statistics="batch")
def grasp(net: nn.Module, x: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> float:
    """Sum of - w * (H g), g the gradient and H the Hessian of the loss. Wang et al., "GraSP", ICLR 2020.

    The sign is that of the tables: the more negative w . H g, the better.
    """
    weights = weights_of(net)
    gradients = gradients_of(loss_of(net, x, generator, labels), weights, create_graph=True)
    product = torch.stack([(g.detach() * g).sum() for g in gradients]).sum()
    if not product.requires_grad:
        return 0.0  # the loss is linear in the weights: H = 0
    curvatures = gradients_of(product, weights)
    return -sum(float((w.detach() * h).sum(dtype=torch.float64)) for w, h in zip(weights, curvatures, strict=True))


@proxy(needs={"gradients"}, cost=Cost.BACKWARD)
def synflow(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """Sum of |w * dR/dw|, R = sum of the outputs for an image of ones with |w| for the weights, in double precision.

    Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic flow", NeurIPS 2020.
    Norms are skipped, as the tables do with batch norm: they would cancel the scale that is measured. All this is done
    to a copy: networks keep things that follow neither a change of precision nor its undoing.
    """
    net = copied(net).double()
    with torch.no_grad():
        for p in net.parameters():
            p.abs_()
    weights = weights_of(net)
    ones = torch.ones_like(x[:1], dtype=torch.float64)
    with replaced_forwards(net, lambda module: (lambda t: t) if _is_norm(module) else None):
        flow = logits_of(net, ones).sum()
    gradients = gradients_of(flow, weights)
    return sum(float((w.detach() * g).abs().sum()) for w, g in zip(weights, gradients, strict=True))


def _is_norm(module: nn.Module) -> bool:
    """Whether it is a norm of torch's, or of an operation that says so."""
    op = operation_of(module)
    return isinstance(module, NORMS) or (op is not None and op.role == "norm")
