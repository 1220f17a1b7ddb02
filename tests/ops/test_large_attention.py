"""Attention in parts: the numbers and gradients of attention as a whole, without N x N memory."""

import pytest
import torch

import uninas
from uninas.ops import attention, large_attention
from uninas.ops.large_attention import LargeBias, expand


@pytest.fixture
def vit():
    return uninas.build(uninas.blocks.network("vit", widths=(32, 32, 64, 64), depths=(1, 1, 1, 1)), 3).train()


def results(net, x):
    net.zero_grad()
    out = net(x)
    out.square().sum().backward()
    return [out.detach(), *(p.grad.clone() for p in net.parameters())]


@pytest.mark.parametrize("part", [1, 3000, 10**9])
@pytest.mark.parametrize("size", [(64, 96), (96, 64)])
def test_in_parts_as_a_whole(monkeypatch, vit, size, part):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    whole = results(vit, x)
    parts = []
    attend = large_attention.attend
    monkeypatch.setattr(attention, "attend", lambda *a: parts.append(1) or attend(*a))
    monkeypatch.setattr(attention, "LIMIT", 0)
    monkeypatch.setattr(large_attention, "PART", part)
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(results(vit, x), whole, strict=True))
    assert len(parts) == 4
    with torch.no_grad():
        torch.testing.assert_close(vit(x), whole[0], rtol=1e-4, atol=1e-5)


def test_rows_are_those_of_the_whole_bias():
    bias = LargeBias(torch.randn(1, 2, 2 * 3 - 1, 2 * 5 - 1), 3, 5)
    whole = expand(bias)
    assert whole.shape == (1, 2, 15, 15)
    assert torch.equal(expand(bias, 1, 3), whole[:, :, 5:])
    assert (whole.diagonal(dim1=2, dim2=3) == bias.table[..., 2, 4, None]).all()


def test_small_images_are_attended_as_a_whole(monkeypatch, vit):
    monkeypatch.setattr(attention, "attend", lambda *a: pytest.fail("in parts"))
    vit(torch.randn(1, 3, 64, 64))
