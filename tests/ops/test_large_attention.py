"""Attention in parts: the numbers and gradients of attention as a whole, without N x N memory."""

import pytest
import torch

import uninas
from uninas.ops import large_attention
from uninas.ops.large_attention import LargeBias, expand
from uninas.ops.modules import attention


@pytest.fixture
def vit():
    return uninas.build(uninas.blocks.network("vit", widths=(32, 32, 64, 64), depths=(1, 1, 1, 1)), 3).train()


def results(net, x):
    net.zero_grad()
    out = net(x)
    out.square().sum().backward()
    return [out.detach(), *(p.grad.clone() for p in net.parameters())]


@pytest.mark.parametrize("tile", [1, 3000, 10**9])
@pytest.mark.parametrize("size", [(64, 96), (96, 64)])
def test_in_parts_as_a_whole(monkeypatch, vit, size, tile):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    whole = results(vit, x)
    parts = []
    attend = large_attention.attend
    monkeypatch.setattr(attention, "attend", lambda *a: parts.append(1) or attend(*a))
    monkeypatch.setattr(attention, "LIMIT", 0)
    monkeypatch.setitem(large_attention.TILE, "cpu", tile)
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(results(vit, x), whole, strict=True))
    assert len(parts) == 4
    with torch.no_grad():
        torch.testing.assert_close(vit(x), whole[0], rtol=1e-4, atol=1e-5)


def inputs(dtype=torch.float32):
    """q, k, v of 2 images, 2 heads and 3 x 5 positions, and a bias."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 2, 15, 4)] * 3 + [(1, 2, 5, 9)]
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


def test_every_query_sees_the_bias_of_its_offsets():
    bias = LargeBias(inputs()[3], 3, 5)
    whole = expand(bias)
    assert whole.shape == (1, 2, 15, 15)
    for y1, x1, y2, x2 in ((0, 0, 2, 4), (2, 1, 0, 3), (1, 4, 1, 4)):
        assert torch.equal(whole[0, :, 5 * y1 + x1, 5 * y2 + x2], bias.table[0, :, 2 + y1 - y2, 4 + x1 - x2])


@pytest.mark.parametrize("tile", [1, 150, 10**9])
def test_gradients_are_difference_quotients(monkeypatch, tile):
    monkeypatch.setitem(large_attention.TILE, "cpu", tile)
    assert torch.autograd.gradcheck(
        lambda q, k, v, table: large_attention.attend(q, k, v, LargeBias(table, 3, 5)), inputs(torch.float64)
    )


def test_low_precision_and_autocast_keep_sums_exact():
    q, k, v, table = inputs()
    whole = large_attention.attend(q, k, v, LargeBias(table, 3, 5))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(large_attention.attend(q, k, v, LargeBias(table, 3, 5)), whole)
    half = [x.detach().bfloat16().requires_grad_() for x in (q, k, v, table)]
    found = large_attention.attend(*half[:3], LargeBias(half[3], 3, 5))
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), whole, rtol=0.05, atol=0.05)
    found.float().sum().backward()
    assert all(x.grad is not None and x.grad.dtype == torch.bfloat16 for x in half)


def test_small_images_are_attended_as_a_whole(monkeypatch, vit):
    monkeypatch.setattr(attention, "attend", lambda *a: pytest.fail("in parts"))
    vit(torch.randn(1, 3, 64, 64))
