"""The block graph as a networkx graph: immutable, validated, readable by networkx, editable as a copy."""

import copy
import pickle
import random
from itertools import pairwise

import networkx as nx
import pytest
from graphs import WIDTH, benchmark, graphs, random_graph
from hypothesis import given
from torch import fx, nn

from uninas import GenotypeError
from uninas.genotype import INPUT, OUTPUT, BlockGraph, GraphBuilder, Ref, SubBlock
from uninas.genotype.graph import TAKEN_IDS, fresh_id
from uninas.ops import Value, make


@pytest.fixture
def graph() -> BlockGraph:
    """chunk -> conv on one half, concat; a dead gelu."""
    b = GraphBuilder()
    left, right = b.ports(b.add("chunk", b.input))
    b.add("gelu", left)
    return b.build(b.add("concat", b.add("conv", left, kernel=3), right))


def test_a_builder_refuses_an_id_that_is_taken():
    b = GraphBuilder()
    b.add("gelu", b.input, id="first")
    with pytest.raises(GenotypeError, match="'first' already"):
        b.add("relu", b.input, id="first")


def test_what_a_compiled_graph_calls_its_own_is_taken():
    """With this torch; a name that a later one adds belongs in the list."""
    names = {*dir(fx.GraphModule), *vars(fx.GraphModule(nn.Module(), fx.Graph()))}
    assert {name for name in names if not name.startswith("_")} <= TAKEN_IDS


MUTATIONS = {
    "add_node": ("new",),
    "add_nodes_from": (["new"],),
    "remove_node": ("conv",),
    "remove_nodes_from": (["conv"],),
    "add_edge": ("input", "conv"),
    "add_edges_from": ([("input", "conv")],),
    "add_weighted_edges_from": ([("input", "conv", 1.0)],),
    "remove_edge": ("chunk", "conv"),
    "remove_edges_from": ([("chunk", "conv")],),
    "update": ([("input", "conv")],),
    "clear": (),
    "clear_edges": (),
}


@pytest.mark.parametrize("method", MUTATIONS)
def test_mutating_methods_raise(graph, method):
    getattr(graph.copy(), method)(*MUTATIONS[method])  # on a plain graph the same call works
    before = (graph.key, sorted(graph.nodes), sorted(graph.edges))
    with pytest.raises(nx.NetworkXError, match=r"graph\.copy\(\)"):
        getattr(graph, method)(*MUTATIONS[method])
    assert (graph.key, sorted(graph.nodes), sorted(graph.edges)) == before
    assert nx.is_frozen(graph)


def test_every_mutating_method_of_networkx_is_tried():
    added = {name for name in dir(nx.MultiDiGraph) if name.split("_")[0] in ("add", "remove", "clear", "update", "set")}
    assert added == set(MUTATIONS)


@pytest.mark.parametrize("data", ["node", "edge", "successor"])
def test_data_is_read_only(graph, data):
    found = {
        "node": graph.nodes["conv"],
        "edge": graph.edges["chunk", "conv", 0],
        "successor": graph["chunk"]["conv"][0],
    }[data]
    for change in (
        lambda: found.__setitem__("kernel", 5),
        lambda: found.update(kernel=5),
        lambda: found.setdefault("new", 1),
        lambda: found.pop("op", None),
        lambda: found.popitem(),
        lambda: found.clear(),
        lambda: found.__delitem__(next(iter(found))),
        lambda: found.__ior__({"kernel": 5}),
    ):
        with pytest.raises(nx.NetworkXError):
            change()


def test_operations_and_values_are_read_only(graph):
    for mapping, key in ((graph.ops, "conv"), (graph.sources, "conv"), (graph.infer(WIDTH), Ref("conv"))):
        assert key in mapping
        with pytest.raises(TypeError):
            mapping[key] = None


@given(graphs())
def test_networkx_reads_it(graph):
    plain = graph.copy()
    assert graph.order() == len(graph) == plain.order()  # no attribute of ours hides one of networkx
    assert nx.is_directed_acyclic_graph(graph)
    assert nx.is_isomorphic(nx.DiGraph(graph), nx.DiGraph(plain))
    assert graph.to_undirected().number_of_edges() == plain.number_of_edges()
    assert nx.utils.graphs_equal(graph.to_directed(), plain)
    assert nx.utils.graphs_equal(nx.reverse(nx.reverse(graph)), plain)
    assert graph.subgraph(list(graph.ops)).number_of_nodes() == len(graph.ops)
    assert nx.node_link_data(graph) == nx.node_link_data(plain)


def test_nothing_of_networkx_is_hidden():
    ours = {name for name in vars(BlockGraph) if not name.startswith("_")}
    assert ours & set(dir(nx.MultiDiGraph)) == {"copy"}


@given(graphs())
def test_copy_is_plain_editable_and_complete(graph):
    plain = graph.copy()
    assert type(plain) is nx.MultiDiGraph
    assert BlockGraph.from_networkx(plain).key == graph.key
    plain.add_node("more", op="gelu")
    plain.nodes["output"]["op"] = "changed"
    assert "more" not in graph
    assert graph.nodes["output"]["op"] == "output"


def test_an_edited_copy_becomes_another_graph(graph):
    plain = graph.copy()
    plain.nodes["conv"]["kernel"] = 5
    changed = BlockGraph.from_networkx(plain)
    assert changed.ops["conv"] == make("conv", {"kernel": 5})
    assert changed.key != graph.key


def test_relabelled_by_networkx(graph):
    renamed = nx.relabel_nodes(graph, {"conv": "other"})
    assert BlockGraph.from_networkx(renamed).key == graph.key
    with pytest.raises(GenotypeError):  # edges the wrong way round
        BlockGraph.from_networkx(nx.reverse(graph))


def test_from_networkx_written_by_hand():
    plain = nx.MultiDiGraph()
    plain.add_edge("input", "halves", in_port=0, out_port=0)
    plain.add_node("halves", op="chunk")
    plain.add_node("twice", op="concat")
    plain.add_edge("halves", "twice", out_port=1, in_port=0)
    plain.add_edge("halves", "twice", out_port=0, in_port=1)
    plain.add_edge("twice", "output")  # ports default to 0
    graph = BlockGraph.from_networkx(plain)
    assert graph.sources == {
        "halves": (Ref(INPUT),),
        "twice": (Ref("halves", 1), Ref("halves", 0)),
        "output": (Ref("twice"),),
    }
    assert BlockGraph.from_networkx(graph) is graph


def _plain(*edges, **ops) -> nx.MultiDiGraph:
    plain = nx.MultiDiGraph()
    plain.add_nodes_from((node, {"op": op} if isinstance(op, str) else op) for node, op in ops.items())
    for producer, consumer, *ports in edges:
        plain.add_edge(producer, consumer, **dict(zip(("out_port", "in_port"), ports)))
    return plain


BAD_GRAPHS = {
    "empty": (_plain(), "output", "takes 1 input"),
    "no op": (_plain(("input", "a"), ("a", "output"), a={}), "nodes[0].op", "no operation None"),
    "unknown op": (_plain(("input", "a"), ("a", "output"), a="convv"), "nodes[0].op", "did you mean 'conv'"),
    "attribute": (_plain(("input", "a"), ("a", "output"), a={"op": "conv", "kernel": 2}), "nodes[0].kernel", "no 2"),
    "key that is no text": (_plain(("input", "a"), ("a", "output"), a={"op": "gelu", 1: 2}), "nodes[0].1", "none"),
    "fed input": (_plain(("input", "a"), ("a", "output"), ("a", "input"), a="gelu"), "nodes.input", "feed the input"),
    "two outputs": (_plain(("input", "output", 0, 0), ("input", "output", 0, 1)), "output", "1 input(s), got 2"),
    "port gap": (
        _plain(("input", "a", 0, 0), ("input", "a", 0, 2), ("a", "output"), a="concat"),
        "nodes[0].inputs",
        "[0, 2]",
    ),
    "port twice": (_plain(("input", "a"), ("input", "a"), ("a", "output"), a="concat"), "nodes[0].inputs", "[0, 0]"),
    "port that is no number": (_plain(("input", "a", 0, "x"), ("a", "output"), a="gelu"), "nodes[0].inputs", "'x'"),
    "output port that is no number": (_plain(("input", "a", "x"), ("a", "output"), a="gelu"), "nodes[0].inputs", "'x'"),
    "output port out of range": (_plain(("input", "a", 1), ("a", "output"), a="gelu"), "nodes[0].inputs[0]", "not 1"),
    "negative port": (_plain(("input", "a", -1), ("a", "output"), a="gelu"), "nodes[0].inputs[0]", "not -1"),
    "id that is no text": (_plain(("input", 3), (3, "output")), "nodes[0].op", "no operation"),
}


@pytest.mark.parametrize("case", BAD_GRAPHS)
def test_from_networkx_names_what_is_wrong(case):
    plain, path, message = BAD_GRAPHS[case]
    with pytest.raises(GenotypeError) as error:
        BlockGraph.from_networkx(plain)
    assert error.value.path == path
    assert message in error.value.message


@pytest.mark.parametrize("kind", [nx.MultiGraph, nx.DiGraph, dict])
def test_only_a_multidigraph_is_a_graph(kind):
    with pytest.raises(GenotypeError, match=r"graph: wants a networkx\.MultiDiGraph, got \w+"):
        SubBlock(kind())


def test_path_counts_operations_only():
    """`nodes[i]` is the position among the operations, as in a file, wherever input and output stand."""
    plain = _plain(("input", "a"), ("a", "b"), ("b", "output"), a="gelu", output="output", b="nope")
    with pytest.raises(GenotypeError) as error:
        BlockGraph.from_networkx(plain)
    assert error.value.path == "nodes[1].op"


def _one_node(node: object) -> BlockGraph:
    return BlockGraph.from_sources({node: make("gelu")}, {node: (Ref(INPUT),), OUTPUT: (Ref(node),)})  # type: ignore[dict-item]


@pytest.mark.parametrize("node", ["input", "output", "1st", "a b", "", "class", "_x", "größe", "ﬁ", 3, None, ("a",)])
def test_bad_ids(node):
    with pytest.raises(GenotypeError) as error:
        _one_node(node)
    assert error.value.path == "nodes[0].id"


def _graph_module() -> fx.GraphModule:
    code = fx.Graph()
    code.output(code.placeholder("x"))
    return fx.GraphModule(nn.Module(), code)


@pytest.mark.parametrize("node", sorted(set(dir(_graph_module()))))
def test_ids_that_a_compiled_graph_needs_for_itself(node):
    with pytest.raises(GenotypeError):
        _one_node(node)


def test_fresh_ids_are_free_and_valid():
    assert fresh_id("conv", {"conv", "conv_2"}) == "conv_3"
    assert fresh_id("conv", ()) == "conv"
    assert fresh_id("half", ()) == "half_2"  # torch.nn.Module.half
    assert _one_node(fresh_id("meta", ())).key == _one_node("anything").key


@given(graphs())
def test_pickles_and_copies(graph):
    again = pickle.loads(pickle.dumps(graph))
    assert (again.ops, again.sources, again.key) == (graph.ops, graph.sources, graph.key)
    assert nx.utils.graphs_equal(again, graph)
    assert nx.is_frozen(again)
    assert copy.deepcopy(graph) is graph
    assert pickle.loads(pickle.dumps(dict(graph.nodes(data=True)))) == dict(graph.nodes(data=True))


@given(graphs())
def test_orders_run_with_the_flow(graph):
    for order in (graph.flow_order, graph.canonical_order):
        assert sorted(order) == sorted(graph.ops)
        position = {INPUT: -1, **{node: i for i, node in enumerate(order)}}
        assert all(position[ref.node] < position[node] for node in graph.ops for ref in graph.sources[node])


@given(graphs())
def test_live_nodes_reach_the_output(graph):
    assert graph.live == nx.ancestors(graph, OUTPUT) - {INPUT}


def test_values(graph):
    assert graph.infer(WIDTH)[Ref("chunk", 1)] == Value(WIDTH // 2)
    assert graph.inputs_of("concat", WIDTH) == (Value(WIDTH // 2),) * 2
    with pytest.raises(GenotypeError) as error:
        graph.infer(WIDTH - 1)
    assert error.value.path == "nodes[0].parts"


def test_output_must_equal_input():
    b = GraphBuilder()
    with pytest.raises(GenotypeError, match="16 channels on the full grid, but 8 channels on the full grid went in"):
        b.build(b.add("conv", b.input, ratio=2)).infer(8)


@pytest.mark.parametrize(("length", "node"), [(1, "a0"), (2, "a1"), (5, "a3")])
def test_a_cycle_is_named(length, node):
    ring = {f"a{i}": make("add") for i in range(length)}
    sources = {f"a{i}": (Ref(INPUT), Ref(f"a{(i - 1) % length}")) for i in range(length)}
    ops = {**ring, "behind": make("gelu")}
    with pytest.raises(GenotypeError) as error:
        BlockGraph.from_sources(ops, {**sources, "behind": (Ref("a0"),), OUTPUT: (Ref("behind"),)})
    assert error.value.path == "nodes"
    named = error.value.message.split(": ")[1].split(" -> ")
    assert named[0] == named[-1]
    assert set(named) == set(ring)
    assert node in named
    assert all(int(b[1:]) == (int(a[1:]) + 1) % length for a, b in pairwise(named))


def test_costs_are_of_live_nodes_only(graph):
    assert set(graph.node_costs(WIDTH, (4, 4))) == {"chunk", "conv", "concat"}
    total = graph.cost(WIDTH, (4, 6))
    assert total.params == 4 * 4 * 9 + 4
    assert total.macs == 4 * 4 * 9 * 24


def test_relabelling_changes_the_file_order_only():
    graph = random_graph(random.Random(5), 25)
    other = benchmark("canonical_key").disguised(graph, random.Random(0))
    assert tuple(other.ops) != tuple(graph.ops)
    assert other.cost(WIDTH, (5, 7)) == graph.cost(WIDTH, (5, 7))
    assert [str(other.ops[n]) for n in other.canonical_order] == [str(graph.ops[n]) for n in graph.canonical_order]
