"""Networks that `build` made need no check: there the fast derivatives are those of plain autograd, for any graph."""

from __future__ import annotations

import random

import pytest
import torch
from graphs import WIDTH, branching_graph, graphs, wrap
from hypothesis import given, settings
from torch import nn

import uninas
from uninas.genotype import GraphBuilder
from uninas.proxies import ProxyFailure, estimate
from uninas.proxies.taps import is_compiled, survey
from uninas.proxies.vkdnw import vkdnw

SMALL = {"widths": (16, 16, 32, 32), "depths": (1, 1, 1, 1), "input_size": 32}


def image(side: int = 32, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(0))


def small(name: str = "coatnet") -> nn.Module:
    return uninas.build(uninas.blocks.network(name, **SMALL), num_classes=4, drop_path_rate=0.1)


def same_with_and_without_check(net: nn.Module, x: torch.Tensor) -> None:
    assert is_compiled(net)
    try:
        checked = vkdnw(net, x, check=True).fisher
    except ProxyFailure as failure:
        with pytest.raises(ProxyFailure) as unchecked:
            vkdnw(net, x)
        assert unchecked.value.kind == failure.kind
    else:
        assert torch.equal(vkdnw(net, x).fisher, checked)


@pytest.mark.parametrize("name", uninas.blocks.NETWORKS)
def test_a_network_that_build_made_needs_no_check(name):
    same_with_and_without_check(small(name), image())


@settings(max_examples=25)
@given(graphs())
def test_nor_does_any_graph(graph):
    same_with_and_without_check(uninas.build(wrap(graph), num_classes=3), image(8))


@pytest.mark.parametrize("seed", range(12))
def test_nor_do_branches_that_run_as_one(seed):
    graph = branching_graph(random.Random(seed))
    same_with_and_without_check(uninas.build(wrap(graph, width=3 * WIDTH), num_classes=3), image(8))


def test_it_is_not_surveyed(monkeypatch):
    calls = []
    monkeypatch.setattr(estimate, "survey", lambda *args: calls.append(args) or survey(*args))
    vkdnw(small(), image())
    assert not calls
    vkdnw(small(), image(), check=True)
    assert len(calls) == 1


class Mixed(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


def changed(how: str) -> nn.Module:
    net = small("resnet")
    if how == "replaced":
        net.head = nn.Sequential(net.head, Mixed())
    elif how == "hooked":
        net.head.register_forward_hook(lambda module, args, out: out - out.mean(0))
    elif how == "own forward":
        forward = net.head.forward
        net.head.forward = lambda *args: (out := forward(*args)) - out.mean(0)
    return net


@pytest.mark.parametrize("how", ["replaced", "hooked", "own forward"])
def test_what_someone_changed_is_checked(how):
    net = changed(how)
    assert not is_compiled(net)
    with pytest.raises(ProxyFailure, match="samples see each other"):
        vkdnw(net, image())


def test_another_network_is_checked():
    assert not is_compiled(nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()))


def test_owners_that_are_not_called_are_found_the_other_way(monkeypatch):
    """As if a fused operation used the weights of its members and not the members."""
    b = GraphBuilder()
    halves = b.ports(b.add("chunk", b.input, parts=2))
    graph = b.build(b.add("concat", *(b.add("gelu", b.add("conv", half)) for half in halves)))
    net = uninas.build(wrap(graph), num_classes=3)
    expected = vkdnw(net, image(8)).fisher
    monkeypatch.setattr("uninas.ops.conv._special", lambda convs: False)
    surveyed = []
    monkeypatch.setattr(estimate, "survey", lambda *args: surveyed.append(args) or survey(*args))
    found = vkdnw(net, image(8)).fisher
    assert surveyed
    assert (found - expected).norm() <= 1e-5 * expected.norm()
