"""What the runner promises: after each pass the values at every node are those that a real forward has, and a pass that
breaks a graph is named."""

from __future__ import annotations

import copy
import pickle
import random
from typing import Any

import pytest
import torch
from graphs import WIDTH, branching_graph, random_graph, wrap
from torch import fx, nn

import uninas
from uninas.compiler import PASSES, lower
from uninas.compiler.init import initialise
from uninas.compiler.passes.edit import insert_call, op_of
from uninas.compiler.passes.values import infer_node, value_of
from uninas.errors import PassError, UninasError
from uninas.genotype import BlockGraph, GraphBuilder
from uninas.ops import Concat, Size, make
from uninas.ops.modules.merge import ConcatChannels

SIZE = (3, 5)
GRAPHS: list[tuple[BlockGraph, int]] = [
    *((branching_graph(random.Random(seed)), 3 * WIDTH) for seed in range(40)),
    *((random_graph(random.Random(seed), 25), WIDTH) for seed in range(20)),
]
AT_EVERY_PASS = [pytest.param(PASSES[:count], id=PASSES[count - 1].__name__) for count in range(1, len(PASSES) + 1)]


class Compared(fx.Interpreter):
    """Runs a graph node by node, and compares each value with what is declared."""

    def __init__(self, module: fx.GraphModule, size: Size) -> None:
        super().__init__(module)
        self.size, self.compared = size, 0

    def run_node(self, n: fx.Node) -> Any:
        out = super().run_node(n)
        declared = n.meta["values"]
        if isinstance(out, nn.Module):
            assert declared == (), n
            return out
        found = out if isinstance(out, tuple) else (out,)
        assert [(x.shape[1], *x.shape[2:]) for x in found] == [
            (value.channels, *value.grid.extent(self.size)) for value in declared
        ], n
        self.compared += 1
        return out


def compare(module: fx.GraphModule, channels: int) -> int:
    """Compares all values with a real forward; gives their number."""
    runs = Compared(module.eval(), SIZE)
    with torch.no_grad():
        runs.run(torch.randn(2, channels, *SIZE))
    return runs.compared


def lowered(graph: BlockGraph, channels: int, passes) -> fx.GraphModule:
    module = lower(graph, channels, passes)
    initialise(module, 0)
    return module


@pytest.mark.parametrize("passes", [pytest.param((), id="none"), *AT_EVERY_PASS])
def test_declared_values_are_those_of_a_forward(passes):
    rewrites: dict[str, int] = dict.fromkeys((rewrite.__name__ for rewrite in passes), 0)
    for graph, channels in GRAPHS:
        module = lowered(graph, channels, passes)
        assert compare(module, channels) > 1
        for name, count in module.meta["rewrites"].items():
            rewrites[name] += count
    assert all(rewrites.values()), "a pass found nothing to do"


@pytest.mark.parametrize("rewrite", PASSES, ids=lambda rewrite: rewrite.__name__)
def test_a_pass_leaves_no_value_to_be_mended(rewrite):
    """What a pass writes has its values at once, and what it changes is not stale."""
    changed = 0
    for graph, channels in GRAPHS:
        module = lower(graph, channels, PASSES[: PASSES.index(rewrite)])
        before = str(module.graph)
        count = rewrite(module.graph)
        assert count or str(module.graph) == before, "a pass that says it did nothing"
        left = {node: dict(node.meta) for node in module.graph.nodes}
        for node in module.graph.nodes:
            infer_node(node)
            assert node.meta == left[node], node
        changed += count
    assert changed


def two_branches() -> BlockGraph:
    b = GraphBuilder()
    first, second = b.ports(b.add("chunk", b.input, id="parts"))
    return b.build(b.add("concat", b.add("conv", first, id="left"), b.add("gelu", second, id="right"), id="joined"))


def named(graph: fx.Graph, name: str) -> fx.Node:
    return next(node for node in graph.nodes if node.name == name)


def narrows(graph: fx.Graph) -> int:
    """Hands half of the channels to who reads all of them."""
    named(graph, "joined").replace_all_uses_with(named(graph, "left"))
    return 1


def widens(graph: fx.Graph) -> int:
    """Feeds a convolution with twice the channels that it was built for."""
    named(graph, "joined").update_arg(0, named(graph, "x"))
    return 1


def reads_ahead(graph: fx.Graph) -> int:
    named(graph, "parts").update_arg(0, named(graph, "joined"))
    return 1


def reads_a_port_too_many(graph: fx.Graph) -> int:
    next(node for node in graph.nodes if node.name == "getitem").update_arg(1, 2)
    return 1


def reads_all_ports_as_one(graph: fx.Graph) -> int:
    named(graph, "left").update_arg(0, named(graph, "parts"))
    return 1


def says_no_rule(graph: fx.Graph) -> int:
    end = named(graph, "joined")
    with graph.inserting_after(end):
        new = graph.call_function(torch.relu, (end,))
    end.replace_all_uses_with(new, delete_user_cb=lambda user: user is not new)
    return 1


def calls_what_is_not_there(graph: fx.Graph) -> int:
    del graph.owning_module.left  # type: ignore[union-attr]
    return 1


def inserts_what_does_not_fit(graph: fx.Graph) -> int:
    end = named(graph, "joined")
    insert_call(end, "join", ConcatChannels(), [named(graph, "left")], Concat())
    return 1


def says_nothing(graph: fx.Graph) -> None:
    pass


def says_yes(graph: fx.Graph) -> bool:
    return True


BROKEN = {
    narrows: ("output", "gives 4 channels on the full grid, where 8"),
    widens: ("output", "gives 12 channels on the full grid, where 8"),
    reads_ahead: ("parts", "reads joined, which does not come before it"),
    reads_a_port_too_many: ("getitem", "reads port 2 of parts, which has 2"),
    reads_all_ports_as_one: ("left", "parts has 2 values, where one is read"),
    says_no_rule: ("relu", "calls something without a rule"),
    calls_what_is_not_there: (None, "left"),
    inserts_what_does_not_fit: (None, "concat takes two or more inputs, got 1"),
    says_nothing: (None, "expected the number of rewrites, 0 for none, got None"),
    says_yes: (None, "expected the number of rewrites, 0 for none, got True"),
}


@pytest.mark.filterwarnings("ignore:Attempted to insert")
@pytest.mark.parametrize("rewrite", BROKEN, ids=lambda rewrite: rewrite.__name__)
def test_a_broken_pass_is_named(rewrite):
    node, message = BROKEN[rewrite]
    with pytest.raises(PassError, match=f"^pass {rewrite.__name__}") as error:
        uninas.build(wrap(two_branches()), 3, passes=(*PASSES, rewrite))
    assert isinstance(error.value, UninasError)
    assert (error.value.name, error.value.node) == (rewrite.__name__, node)
    assert message in str(error.value)
    again = pickle.loads(pickle.dumps(error.value))  # as it comes from another process
    assert (str(again), again.node) == (str(error.value), node)


def test_passes_behind_a_broken_one_do_not_run():
    ran = []
    with pytest.raises(PassError):
        lower(two_branches(), WIDTH, (narrows, lambda graph: ran.append(graph) or 0))
    assert not ran


def test_a_pass_of_a_user_is_checked_and_counted():
    def swap_activations(graph: fx.Graph) -> int:
        count = 0
        for node in graph.nodes:
            if op_of(node) == make("gelu"):
                new = insert_call(node, "faster", nn.SiLU(), node.args, make("silu"))
                node.replace_all_uses_with(new)
                graph.erase_node(node)
                count += 1
        return count

    module = lower(two_branches(), WIDTH, (swap_activations, swap_activations))
    assert module.meta["rewrites"] == {"swap_activations": 1}
    assert value_of(named(module.graph, "faster")) == value_of(named(module.graph, "left"))
    assert compare(module, WIDTH) > 1


def test_rewrites_of_a_network():
    genotype = uninas.blocks.network("coatnet", widths=(16, 16, 32, 32), depths=(1, 1, 1, 2), input_size=64)
    net = uninas.build(genotype, 3)
    attentions = sum(op.name == "matmul2" for _, sub in genotype.subblocks for op in sub.graph.ops.values())
    assert net.rewrites["fuse_attention"] == attentions == 3
    assert list(net.rewrites) == [rewrite.__name__ for rewrite in PASSES]
    for again in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert again.rewrites == net.rewrites
    assert uninas.build(genotype, 3, passes=()).rewrites == {}


def test_nested_branches_become_one():
    """Values are there for what a rule of the pass has just written, so that other rules find it."""
    b = GraphBuilder()
    outer = [b.ports(b.add("chunk", half)) for half in b.ports(b.add("chunk", b.input))]
    halves = [b.add("concat", *(b.add("gelu", part) for part in parts)) for parts in outer]
    module = lower(b.build(b.add("concat", *halves)), WIDTH)
    calls = [module.get_submodule(str(node.target)) for node in module.graph.nodes if node.op == "call_module"]
    assert [type(call) for call in calls] == [nn.GELU]


def test_gates_in_branches_stay_on_one_position():
    b = GraphBuilder()
    gates = [b.chain(part, "global_avg_pool", "conv", "upsample") for part in b.ports(b.add("chunk", b.input))]
    graph = b.build(b.add("multiply", b.input, b.add("concat", *gates)))
    rewritten, plain = (lowered(graph, WIDTH, passes).eval() for passes in (PASSES, ()))
    assert "upsample" not in rewritten.code
    x = torch.randn(2, WIDTH, *SIZE)
    torch.testing.assert_close(rewritten(x), plain(x))
