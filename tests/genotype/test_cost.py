"""Costs of whole networks: exact against the plain network, per node and per block, and quick."""

import random
import time

import pytest
import torch
from graphs import WIDTH, graphs, random_graph, wrap
from hypothesis import given, settings
from torch.utils.flop_counter import FlopCounterMode

import uninas
from uninas import Genotype
from uninas.compiler import lower
from uninas.genotype import Block, GraphBuilder, Stage, SubBlock, cost_parts


def counted(module: torch.nn.Module, x: torch.Tensor) -> tuple[int, int]:
    """Parameters and MACs (half of what torch counts as FLOPs) of a real module."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(x)
    return sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2


@given(graphs())
@settings(max_examples=80)
def test_random_graphs(graph):
    module = lower(graph, WIDTH, passes=())
    for size in ((6, 6), (3, 5)):
        assert graph.cost(WIDTH, size) == counted(module, torch.randn(1, WIDTH, *size))


@given(graphs())
@settings(max_examples=20)
def test_nodes_add_up(graph):
    costs = graph.node_costs(WIDTH, (4, 7))
    assert set(costs) == graph.live
    assert sum(c.params for c in costs.values()) == graph.cost(WIDTH, (4, 7)).params
    assert sum(c.macs for c in costs.values()) == graph.cost(WIDTH, (4, 7)).macs
    module = lower(graph, WIDTH, passes=())
    for node, cost in costs.items():
        assert cost.params == sum(p.numel() for p in module.get_submodule(node).parameters())


@pytest.mark.parametrize("name", uninas.blocks.NETWORKS)
def test_networks(name):
    genotype = uninas.blocks.network(name, widths=(32, 32, 64, 64), depths=(1, 2, 1, 1))
    net = uninas.build(genotype, num_classes=11, passes=())
    for size in ((64, 64), (33, 95)):
        declared = uninas.cost(genotype, size, num_classes=11)
        assert (declared.params, declared.macs) == counted(net, torch.randn(1, 3, *size))
        assert (declared.input_size, declared.num_classes) == (size, 11)


def test_rewritten_networks_have_the_same_parameters():
    genotype = uninas.blocks.network("coatnet", widths=(32, 32, 64, 64), depths=(1, 1, 1, 1))
    assert sum(p.numel() for p in uninas.build(genotype, 10).parameters()) == uninas.cost(genotype, 32, 10).params


def test_parts_add_up():
    genotype = uninas.blocks.network("coatnet", depths=(1, 2, 1, 1))
    parts = list(cost_parts(genotype, (224, 160), 1000))
    total = uninas.cost(genotype, (224, 160))
    assert sum(cost.params for _, cost, _ in parts) == total.params
    assert sum(cost.macs for _, cost, _ in parts) == total.macs
    assert [path for path, _, _ in parts] == [
        *("stem", "stages[0].blocks[0]", "stages[1].blocks[0]", "stages[1].blocks[1]"),
        *("stages[2].blocks[0]", "stages[3].blocks[0]", "head"),
    ]
    assert [size for _, _, size in parts] == [(112, 80), (56, 40), (28, 20), (28, 20), (14, 10), (7, 5), (1, 1)]


def test_an_integer_is_a_square():
    genotype = wrap(random_graph(random.Random(0), 10))
    assert uninas.cost(genotype, 48) == uninas.cost(genotype, (48, 48)) == uninas.cost(genotype, [48, 48])  # type: ignore
    assert uninas.cost(genotype, (24, 48)).macs < uninas.cost(genotype, 48).macs


def test_defaults_are_imagenet():
    cost = uninas.cost(uninas.blocks.network("resnet"))
    assert (cost.input_size, cost.num_classes) == ((224, 224), 1000)


def test_dead_nodes_cost_nothing():
    b = GraphBuilder()
    x = b.add("gelu", b.input)
    b.add("conv", b.input, kernel=3)
    genotype = wrap(b.build(x))
    assert uninas.cost(genotype, 8, 2).params == counted(uninas.build(genotype, 2), torch.randn(1, 3, 8, 8))[0]
    assert b.build(x).cost(WIDTH, (8, 8)) == (0, 0)


def test_nothing_is_allocated():
    """A network of petabytes is priced like any other."""
    b = GraphBuilder()
    block = Block((SubBlock(b.build(b.add("conv", b.input, kernel=7))),))
    genotype = Genotype((Stage(10**8, (block,)),))
    assert uninas.cost(genotype, 10**6).params > 49 * 10**16


def test_costs_are_quick():
    """Well under a millisecond a block, first time and cached; here with room for a slow, shared machine."""
    genotype = uninas.blocks.network("coatnet")
    fresh = Genotype.from_dict(genotype.to_dict())
    blocks = sum(len(stage.blocks) for stage in genotype.stages)
    best = [1.0, 1.0]
    for repeat in range(5):
        for which, size in ((0, 96 + 32 * repeat), (1, 64)):
            start = time.process_time()
            uninas.cost(fresh, size)
            best[which] = min(best[which], (time.process_time() - start) / blocks)
    assert max(best) < 2e-3
