from __future__ import annotations

import pytest
import torch
from torch import Tensor, fx, nn

import uninas
from uninas.proxies.folding import FoldedConvolution, FoldedNorm, folded
from uninas.proxies.lean import lean
from uninas.proxies.vkdnw import vkdnw


class Pair(nn.Module):
    """norm(conv(x)), and the convolution or the norm once more where asked."""

    def __init__(self, conv: nn.Conv2d, again: str = "") -> None:
        super().__init__()
        self.conv, self.norm, self.again = conv, nn.BatchNorm2d(conv.out_channels), again
        self.head = nn.Linear(conv.out_channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        out = self.norm(y)
        if self.again == "read":
            out = out + y
        if self.again == "conv":
            out = out + self.conv(x)
        if self.again == "norm":
            out = self.norm(out)
        return self.head(out.relu().mean((2, 3)))


def trained(net: nn.Module) -> nn.Module:
    """Norms that do something, as after training."""
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                tensor.data = torch.rand(tensor.shape, generator=generator) + 0.5  # type: ignore[union-attr]
    return net.eval()


CONVOLUTIONS = {
    "1x1": nn.Conv2d(4, 6, 1),
    "3x3 without bias": nn.Conv2d(4, 6, 3, padding=1, bias=False),
    "depthwise": nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
    "strided 1x1": nn.Conv2d(4, 6, 1, stride=2),
    "circular": nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_same_outputs_gradients_and_fisher_matrix(name):
    net = trained(fx.symbolic_trace(Pair(CONVOLUTIONS[name])))
    x = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    assert [type(forward) for forward in folded(net).values()] == [FoldedConvolution, FoldedNorm]
    parameters = list(net.parameters())

    def run() -> list[Tensor]:
        out = net(x)
        return [out, *torch.autograd.grad(out.square().sum(), parameters)]

    plain = run()
    with lean(net):
        fast = run()
    assert "forward" not in net.conv.__dict__
    for a, b in zip(plain, fast, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)
    twin = trained(Pair(net.conv))  # without a graph, nothing is folded
    twin.load_state_dict(net.state_dict())
    unfolded, found = vkdnw(twin, x), vkdnw(net, x)
    assert (found.fisher - unfolded.fisher).norm() < 1e-5 * unfolded.fisher.norm()


@pytest.mark.parametrize("again", ["read", "conv", "norm"])
def test_not_where_something_else_would_change(again):
    assert not folded(fx.symbolic_trace(Pair(nn.Conv2d(4, 4, 1), again)))


def test_not_where_the_norm_hides_its_input():
    net = fx.symbolic_trace(Pair(nn.Conv2d(4, 4, 1)))
    with torch.no_grad():
        net.norm.weight[0] = 0
    assert not folded(net)


def test_not_without_a_graph_or_statistics():
    assert not folded(Pair(nn.Conv2d(4, 4, 1)))
    net = fx.symbolic_trace(Pair(nn.Conv2d(4, 4, 1)))
    net.norm.running_mean = None
    assert not folded(net)


@pytest.mark.parametrize("name", ["resnet", "efficientnet", "coatnet"])
def test_trained_norms_of_our_networks(name):
    genotype = uninas.blocks.network(name, widths=(32, 32, 64, 64), depths=(1, 1, 1, 1))
    net = trained(uninas.build(genotype, num_classes=3, seed=0))
    assert folded(net)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    taps, autograd = vkdnw(net, x), vkdnw(net, x, jacobian="autograd")
    with torch.no_grad():
        plain = net(x)
        with lean(net):
            assert torch.allclose(net(x), plain, rtol=1e-4, atol=1e-4)
    assert (taps.fisher - autograd.fisher).norm() < 1e-4 * autograd.fisher.norm()
