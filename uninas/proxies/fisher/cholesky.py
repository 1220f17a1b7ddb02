"""The Cholesky factor of a categorical distribution's covariance, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor


class CovarianceFactor:
    """L, lower triangular, with L L^T = diag(p) - p p^T for each of B distributions over C classes.

    With tails s_k = p_{k+1} + ... + p_C (so s_0 = 1):

        L[k, k] = sqrt(p_k s_k / s_{k-1}),    L[i, k] = - p_i sqrt(p_k / (s_{k-1} s_k))  for i > k

    (Tanabe and Sagae, "An exact Cholesky decomposition and the generalized inverse of the variance-covariance matrix
    of the multinomial distribution", JRSS B 54, 1992). The covariance is singular, so the last column is zero. Each
    column below the diagonal is a multiple of p, so products cost O(C) and L is never stored.

    Args:
        probabilities: B x C, positive, rows sum to 1.
    """

    def __init__(self, probabilities: Tensor) -> None:
        p = probabilities.double()
        tails = p.flip(1).cumsum(1).flip(1)  # s_0 ... s_{C-1}
        below = tails[:, 1:]
        self._p = p
        zero = p.new_zeros(len(p), 1)
        self._diagonal = torch.cat([(p[:, :-1] * below / tails[:, :-1]).sqrt(), zero], 1)
        self._scale = torch.cat([(p[:, :-1] / (tails[:, :-1] * below)).sqrt(), zero], 1)

    def column(self, k: int) -> Tensor:
        """B x C: L[:, k]."""
        column = -self._p * self._scale[:, k : k + 1]
        column[:, :k] = 0
        column[:, k] = self._diagonal[:, k]
        return column

    def times(self, m: Tensor) -> Tensor:
        """... x B x C -> ... x B x C: L m."""
        scaled = self._scale * m
        return self._diagonal * m - self._p * (scaled.cumsum(-1) - scaled)

    def transposed_times(self, m: Tensor) -> Tensor:
        """... x B x C -> ... x B x C: L^T m."""
        weighted = self._p * m
        below = weighted.flip(-1).cumsum(-1).flip(-1) - weighted
        return self._diagonal * m - self._scale * below
