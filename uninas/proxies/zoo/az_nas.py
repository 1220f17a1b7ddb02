"""AZ-NAS's expressivity, progressivity and trainability, over the features between blocks.

Lee and Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", CVPR 2024. Batch norms use the
batch, as there. Its fourth proxy, complexity, is in `counts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uninas.proxies.base import Cost, derived, gradients_of, proxy
from uninas.proxies.blocks import block_features, by_position
from uninas.proxies.failures import ProxyFailure

Blocks = Sequence[nn.Module] | None


@proxy(needs={"noise", "blocks"}, cost=Cost.FORWARD, statistics="batch")
def _block_entropies(net: nn.Module, x: Tensor, generator: torch.Generator, blocks: Blocks = None) -> list[float]:
    """The entropy of the normalised eigenvalues of each feature's channel covariance: no score, but what two are of."""
    with torch.no_grad():
        features = block_features(net, x, blocks)
    return [_entropy(by_position(feature).double()) for feature in features]


@derived(of=_block_entropies)
def expressivity(net: nn.Module, entropies: list[float]) -> float:
    """Sum over features of the entropy of the normalised eigenvalues of their channel covariance."""
    return sum(entropies)


@derived(of=_block_entropies)
def expressivity_mean(net: nn.Module, entropies: list[float]) -> float:
    """Mean over features of that entropy: unlike the sum, it does not grow with every block that is added."""
    return sum(entropies) / len(entropies)


@derived(of=_block_entropies)
def progressivity(net: nn.Module, entropies: list[float]) -> float:
    """The smallest increase of that entropy from one feature to the next."""
    return min(after - before for before, after in pairwise(entropies))


@proxy(needs={"noise", "gradients", "blocks"}, cost=Cost.BACKWARD, statistics="batch")
def trainability(net: nn.Module, x: Tensor, generator: torch.Generator, blocks: Blocks = None) -> float:
    """Mean over blocks of - s - 1 / (s + 1e-6) + 2, which is best at s = 1.

    s is the spectral norm of the block's Jacobian, estimated from a random cotangent of +-1.
    """
    features = block_features(net, x.clone().requires_grad_(), blocks)  # the image may be the first feature
    scores = []
    for before, after in pairwise(features):
        signs = torch.randint(2, after.shape, generator=generator, device=generator.device)
        g_out = (2 * signs - 1).to(after)
        (g_in,) = gradients_of(after, [before], grad_outputs=g_out, retain_graph=True)
        if not g_in.any():
            raise ProxyFailure("zero gradients", "a block's output does not change with the output of the one before")
        if g_in.shape == g_out.shape and torch.equal(g_in, g_out):
            raise ProxyFailure("identity block", "a block hands its input through: it has nothing to train")
        s = _spectral_norm(g_in, g_out)
        scores.append(2 - s - 1 / (s + 1e-6))
    return sum(scores) / len(scores)


def _entropy(feature_NC: Tensor) -> float:
    """Entropy of the normalised eigenvalues of the covariance of C channels over N positions."""
    centred = feature_NC - feature_NC.mean(0)
    # The smaller of the two Gram matrices: they share their non-zero eigenvalues.
    gram = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    eigenvalues = torch.linalg.eigvalsh(gram).clamp_min(0)
    total = eigenvalues.sum()
    if not total > 0:
        raise ProxyFailure("zero features", "a block's features are constant")
    shares = eigenvalues / total
    return -float((shares * (shares + 1e-8).log()).sum())


def _spectral_norm(g_in: Tensor, g_out: Tensor) -> float:
    """Largest singular value of the mean over positions of g_in g_out^T.

    Where the block reduces the resolution, the input positions that a position of the output covers count as channels.
    """
    if g_in.dim() == g_out.dim() == 4 and g_in.shape[2:] != g_out.shape[2:]:
        g_in = _fold(g_in, g_out.shape[2:])
    rows_in, rows_out = by_position(g_in), by_position(g_out)
    if len(rows_in) != len(rows_out):
        raise ProxyFailure("no blocks", f"features of shape {tuple(g_in.shape)} and {tuple(g_out.shape)} do not match")
    return float(torch.linalg.matrix_norm(rows_in.T @ rows_out / len(rows_out), ord=2))


def _fold(x: Tensor, size: Sequence[int]) -> Tensor:
    """B x C x H x W -> B x (C s^2) x h x w for `size` = (h, w), padded with zeros to h s x w s."""
    stride = max(-(-x.shape[2] // size[0]), -(-x.shape[3] // size[1]))
    padding = (0, stride * size[1] - x.shape[3], 0, stride * size[0] - x.shape[2])
    return F.pixel_unshuffle(F.pad(x, padding), stride)
