"""The Fisher matrix of a classifier's outputs from a few products with its Jacobian."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from uninas.proxies.fisher.cholesky import CovarianceFactor

Form = Literal["theory", "published"]
SMOOTHING = 0.05


def smoothed(logits: Tensor) -> Tensor:
    """B x C, float64: 0.95 softmax(logits) + 0.05 / C."""
    return (1 - SMOOTHING) * logits.double().softmax(1) + SMOOTHING / logits.shape[1]


class Directions:
    """The cotangents whose products with the Jacobian J (C x P) make up the Fisher matrix, one at a time.

    Exact: the columns of L give the rows of L^T J, and the unit vectors those of J, of which L J needs all but the
    last. The last column of L is zero, so C - 1 directions suffice in either form.

    Sampled: u ~ N(0, I) gives v = L u (theory) or L^T u (published), and E[(J^T v)(J^T v)^T] is the Fisher matrix.

    Args:
        logits: B x C.
        form: J^T L L^T J = J^T Sigma J ("theory"), or J^T L^T L J ("published").
        noise: K x (at least B) x C standard normal numbers to sample with K probes; None for the exact matrix.
    """

    def __init__(self, logits: Tensor, form: Form, noise: Tensor | None = None) -> None:
        self._logits, self._form, self._noise = logits, form, noise
        self._factor = CovarianceFactor(smoothed(logits))

    def __len__(self) -> int:
        return self._logits.shape[1] - 1 if self._noise is None else len(self._noise)

    def __getitem__(self, k: int) -> Tensor:
        """B x C, of the logits' dtype."""
        if self._noise is not None:
            u = self._noise[k, : len(self._logits)].to(self._logits.device, torch.float64)
            direction = self._factor.times(u) if self._form == "theory" else self._factor.transposed_times(u)
        elif self._form == "theory":
            direction = self._factor.column(k)
        else:
            direction = torch.zeros_like(self._logits)
            direction[:, k] = 1
        return direction.to(self._logits.dtype)

    def fishers(self, rows: Tensor, groups: int) -> Tensor:
        """G x P x P, float64: Fisher matrices from the products of all directions with the Jacobian (K x B x P).

        One matrix if it is exact; else those of at most `groups` groups of probes, as equal in size as can be.
        """
        batch, scalars = rows.shape[1:]
        rows = rows.double()
        if self._noise is not None:
            parts = [part.reshape(-1, scalars) for part in rows.tensor_split(min(groups, len(rows)))]
            return torch.stack([part.T @ part / len(part) for part in parts])
        if self._form == "published":
            jacobian = torch.cat([rows, rows.new_zeros(1, batch, scalars)])
            rows = self._factor.times(jacobian.permute(2, 1, 0)).permute(2, 1, 0)
        rows = rows.reshape(-1, scalars)
        return (rows.T @ rows / batch)[None]
