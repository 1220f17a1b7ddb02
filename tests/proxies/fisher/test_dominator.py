from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.autograd.graph import get_gradient_edge

from uninas.proxies.fisher.dominator import dominator_edge
from uninas.proxies.fisher.jacobian import ScalarJacobian
from uninas.proxies.fisher.locate import locate_parameters
from uninas.proxies.fisher.vkdnw import vkdnw

from ..nets import NETS, images, make


def node(tensor: torch.Tensor):
    return get_gradient_edge(tensor).node


def leaf() -> torch.Tensor:
    return torch.ones(3, requires_grad=True)


def test_the_narrow_is_the_tensor_next_to_the_tap():
    tap = leaf() * 2
    after = tap.sin()
    found = dominator_edge(after.cos().exp(), {node(tap)})
    assert found is not None and found.node is node(after)


def test_a_branch_around_a_tensor_is_no_narrow():
    tap = leaf() * 2
    joined = tap.sin() + tap.cos()
    found = dominator_edge(joined.exp(), {node(tap)})
    assert found is not None and found.node is node(joined)
    skipped = joined.exp() + tap
    found = dominator_edge(skipped.sum() * 2, {node(tap)})
    assert found is not None and found.node is node(skipped)


def test_parts_of_one_tensor_are_no_narrow():
    tap = leaf() * 2
    first, second, third = tap.unbind()
    together = first * second + third
    found = dominator_edge(together * 2, {node(tap)})
    assert found is not None and found.node is node(together)


def test_two_taps_side_by_side():
    one, two = leaf() * 2, leaf() * 3
    joined = one + two
    found = dominator_edge(joined.exp(), {node(one), node(two)})
    assert found is not None and found.node is node(joined)


def test_none_where_the_output_is_read_or_splits_at_once():
    tap = leaf() * 2
    assert dominator_edge(tap, {node(tap)}) is None
    assert dominator_edge(tap.sin() + tap, {node(tap)}) is None


class Doubled(torch.autograd.Function):
    """A layer whose backward pass writes into a buffer, which vmap refuses."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[override]
        buffer = torch.zeros(gradient.shape)
        buffer += gradient * 2
        return buffer


class WithDoubled(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x):
        return Doubled.apply(self.net(x))


@pytest.mark.parametrize("wrap", [lambda net: net, WithDoubled], ids=["vmap", "refuses vmap"])
@pytest.mark.parametrize("name", NETS)
def test_tails_side_by_side_give_what_single_passes_give(name, wrap, monkeypatch):
    net, x = wrap(make(name)), images(8)
    together = vkdnw(net, x, num_scalars=4).fisher
    monkeypatch.setattr("uninas.proxies.fisher.jacobian.PIXELS", 0)
    alone = vkdnw(net, x, num_scalars=4).fisher
    assert (together - alone).norm() <= 1e-6 * alone.norm()


def test_classes_that_vmap_refuses_to_take_together_go_back_one_by_one():
    net, x = WithDoubled(make("convolutional")), images(8)
    alone = vkdnw(net, x, num_scalars=4).fisher
    for chunk in (2, 16):
        together = vkdnw(net, x, num_scalars=4, class_chunk=chunk).fisher
        assert (together - alone).norm() <= 1e-6 * alone.norm()


def test_a_tail_that_vmap_refuses_goes_back_pass_by_pass():
    found = {}
    for wrap in (nn.Sequential, WithDoubled):
        net, x = wrap(make("convolutional")).eval().requires_grad_(False), images(8)
        parameters = list(net.parameters())[:4]
        taps = locate_parameters(net, x[:1], parameters).taps
        product = ScalarJacobian(net, x, taps, len(parameters))
        assert product._narrow is not None
        rows = product.pull_back(torch.eye(product.logits.shape[1])[:, None].expand(-1, len(x), -1).contiguous())
        found[wrap] = rows, product._narrow
    assert found[nn.Sequential][1] is not None and found[WithDoubled][1] is None
    assert torch.allclose(found[WithDoubled][0], 2 * found[nn.Sequential][0], rtol=1e-5)
