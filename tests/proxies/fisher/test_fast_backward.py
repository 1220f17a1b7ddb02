from __future__ import annotations

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from torch import nn

from uninas.proxies.fisher.fast_backward import fast_backward
from uninas.proxies.state import differentiable_attention

from ..nets import NETS, images, make


@pytest.mark.parametrize("name", NETS)
def test_same_outputs_and_gradients(name):
    net, x = make(name).eval(), images()
    parameters = list(net.parameters())

    def run():
        out = net(x)
        return [out, *torch.autograd.grad(out.square().sum(), parameters, allow_unused=True)]

    plain = run()
    with fast_backward(net):
        fast = run()
    for a, b in zip(plain, fast):
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "module", [nn.GELU(), nn.GELU("tanh"), nn.SiLU(inplace=True), nn.Hardswish(), nn.Mish(), nn.Sigmoid(), nn.ELU(0.5)]
)
def test_activations_with_kept_slopes(module):
    x = torch.linspace(-4, 4, 50, requires_grad=True)
    expected = module(x.clone())
    (slope,) = torch.autograd.grad(expected.sum(), x)
    with fast_backward(module):
        out = module(x.clone())
        assert torch.equal(out, expected)
        assert torch.allclose(torch.autograd.grad(out.sum(), x, retain_graph=True)[0], slope, atol=1e-6)
        with forward_ad.dual_level():
            dual = module(forward_ad.make_dual(x.detach().clone(), torch.ones(50)))
            assert torch.allclose(forward_ad.unpack_dual(dual).tangent, slope, atol=1e-6)


def test_only_what_is_equal_is_replaced():
    class Mine(nn.Conv2d):
        def forward(self, input):
            return super().forward(input) + 1

    convolutions = nn.Sequential(
        nn.Conv2d(4, 4, 1), Mine(4, 4, 1), nn.Conv2d(4, 4, 1, stride=2), nn.Conv2d(4, 4, 1, padding=1),
        nn.Conv2d(4, 4, 1, groups=2), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, affine=False),
    )  # fmt: skip
    with fast_backward(convolutions):
        assert ["forward" in m.__dict__ for m in convolutions] == [True] + [False] * 6


def test_attention_switch_is_put_back():
    for before in (True, False):
        torch.backends.mha.set_fastpath_enabled(before)
        with differentiable_attention(composite=True):
            assert not torch.backends.mha.get_fastpath_enabled()
        assert torch.backends.mha.get_fastpath_enabled() is before
    torch.backends.mha.set_fastpath_enabled(True)
