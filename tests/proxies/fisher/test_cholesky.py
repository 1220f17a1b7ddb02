from __future__ import annotations

import pytest
import torch

from uninas.proxies.fisher.cholesky import CovarianceFactor


def dense(factor: CovarianceFactor, classes: int) -> torch.Tensor:
    return torch.stack([factor.column(k) for k in range(classes)], -1)


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_factor_of_the_categorical_covariance(classes):
    p = torch.randn(3, classes, generator=torch.Generator().manual_seed(0)).mul(4).double().softmax(1)
    p = 0.95 * p + 0.05 / classes
    lower = dense(CovarianceFactor(p), classes)
    sigma = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    assert torch.allclose(lower @ lower.mT, sigma, atol=1e-15)
    assert torch.equal(lower, lower.tril())
    assert (lower.diagonal(dim1=1, dim2=2)[:, :-1] > 0).all() and (lower[..., -1] == 0).all()


def test_products_without_the_matrix():
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(3, 6, generator=generator).double().softmax(1)
    m = torch.randn(5, 3, 6, generator=generator).double()
    factor = CovarianceFactor(p)
    lower = dense(factor, 6)
    assert torch.allclose(factor.times(m), torch.einsum("bij,kbj->kbi", lower, m))
    assert torch.allclose(factor.transposed_times(m), torch.einsum("bji,kbj->kbi", lower, m))
