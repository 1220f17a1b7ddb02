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
from uninas.proxies import ProxyFailure
from uninas.proxies.fisher import matrix
from uninas.proxies.fisher.information import fisher_information
from uninas.proxies.fisher.locate import is_compiled, locate_parameters

SMALL = {"widths": (16, 16, 32, 32), "depths": (1, 1, 1, 1), "input_size": 32}


def image(side: int = 32, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(0))


def fisher(net: nn.Module, x: torch.Tensor, **options) -> torch.Tensor:
    return fisher_information(net, x, **options).mean(0)


def small(name: str = "coatnet") -> nn.Module:
    return uninas.build(uninas.blocks.network(name, **SMALL), num_classes=4, drop_path_rate=0.1)


def same_with_and_without_check(net: nn.Module, x: torch.Tensor) -> None:
    assert is_compiled(net)
    try:
        checked = fisher(net, x, check=True)
    except ProxyFailure as failure:
        with pytest.raises(ProxyFailure) as unchecked:
            fisher(net, x)
        assert unchecked.value.kind == failure.kind
    else:
        # Not to the bit: what holds no samples is tapped at its owner in one, and further up in the other.
        assert (fisher(net, x) - checked).norm() <= 1e-5 * checked.norm()


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


def test_it_is_not_searched(monkeypatch):
    calls = []
    monkeypatch.setattr(matrix, "locate_parameters", lambda *args: calls.append(args) or locate_parameters(*args))
    fisher(small(), image())
    assert not calls
    fisher(small(), image(), check=True)
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
        fisher(net, image())


def test_another_network_is_checked():
    assert not is_compiled(nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()))


def test_owners_that_are_not_called_are_found_the_other_way(monkeypatch):
    """As if a fused operation used the weights of its members and not the members."""
    b = GraphBuilder()
    halves = b.ports(b.add("chunk", b.input, parts=2))
    graph = b.build(b.add("concat", *(b.add("gelu", b.add("conv", half)) for half in halves)))
    net = uninas.build(wrap(graph), num_classes=3)
    expected = fisher(net, image(8))
    monkeypatch.setattr("uninas.ops.modules.conv._special", lambda convs: False)
    located = []
    monkeypatch.setattr(matrix, "locate_parameters", lambda *args: located.append(args) or locate_parameters(*args))
    found = fisher(net, image(8))
    assert located
    assert (found - expected).norm() <= 1e-5 * expected.norm()
