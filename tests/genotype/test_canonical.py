"""The canonical key: equal exactly for isomorphic graphs, and quick however symmetric they are."""

import random
import time

import networkx as nx
import pytest
from graphs import benchmark, graphs, wrap
from hypothesis import given, settings
from hypothesis import strategies as st

import uninas
from uninas import Genotype
from uninas.genotype import BlockGraph, Downsample, GraphBuilder, Ref
from uninas.genotype.canonical import canonical_order

bench = benchmark("canonical_key")

randoms = st.integers(0, 2**32).map(random.Random)


@given(graphs(), randoms)
def test_disguise_does_not_matter(graph, rng):
    other = bench.disguised(graph, rng)
    assert bench.isomorphic(graph, other)
    assert other.key == graph.key


@pytest.mark.parametrize("change", bench.NEAR_MISSES)
@given(rng=randoms, nodes=st.integers(1, 14))
@settings(max_examples=60)
def test_near_misses(change, rng, nodes):
    graph = bench.random_graph(rng, nodes)
    other = bench.disguised(change(graph, rng), rng)
    assert (graph.key == other.key) == bench.isomorphic(graph, other)


@given(randoms, st.integers(1, 5))
@settings(max_examples=100)
def test_small_graphs_that_look_alike(rng, nodes):
    """Two independent draws of very few nodes: isomorphic often enough."""
    first, second = bench.random_graph(rng, nodes), bench.random_graph(rng, nodes)
    assert (first.key == second.key) == bench.isomorphic(first, second)


def test_small_graphs_are_isomorphic_often_enough():
    rng = random.Random(0)
    equal = sum(bench.random_graph(rng, 1).key == bench.random_graph(rng, 1).key for _ in range(300))
    assert 10 < equal < 290


def sums_of_pairs(*rings: int) -> BlockGraph:
    """Equal convolutions, and a sum of each two neighbours on a ring of them."""
    b = GraphBuilder()
    ends = []
    for length in rings:
        nodes = [b.add("conv", b.input) for _ in range(length)]
        ends += [b.add("add", nodes[i], nodes[(i + 1) % length]) for i in range(length)]
    return b.build(b.add("add", *ends))


@pytest.mark.parametrize(
    ("one", "other"), [((6,), (3, 3)), ((8,), (4, 4)), ((7,), (3, 4)), ((5, 5), (4, 6)), ((12,), (3,) * 4)]
)
@pytest.mark.filterwarnings("ignore:The hashes produced for directed graphs")
def test_what_weisfeiler_and_lehman_cannot_tell(one, other):
    first, second = sums_of_pairs(*one), sums_of_pairs(*other)
    hashes = [nx.weisfeiler_lehman_graph_hash(nx.DiGraph(graph), node_attr="op") for graph in (first, second)]
    assert hashes[0] == hashes[1]
    assert first.key != second.key
    assert first.key == bench.disguised(first, random.Random(0)).key
    assert second.key == bench.disguised(second, random.Random(0)).key


def branches(count: int, depth: int) -> BlockGraph:
    b = GraphBuilder()
    return b.build(b.add("add", *(b.chain(b.input, *["conv"] * depth) for _ in range(count))))


def nested(*counts: int) -> BlockGraph:
    """Copies of copies of ... a node, each level summed."""
    b = GraphBuilder()

    def write(x: Ref, left: tuple[int, ...]) -> Ref:
        if not left:
            return b.add("conv", x)
        return b.add("add", *(write(b.add("relu", x), left[1:]) for _ in range(left[0])))

    return b.build(write(b.input, counts))


def diamonds(count: int) -> BlockGraph:
    b = GraphBuilder()
    x = b.input
    for _ in range(count):
        x = b.add("add", b.add("conv", x), b.add("conv", x))
    return b.build(x)


def layers(width: int, depth: int) -> BlockGraph:
    """Every node of a layer sums all of the layer before."""
    b = GraphBuilder()
    nodes = [b.add("conv", b.input) for _ in range(width)]
    for _ in range(depth):
        nodes = [b.add("add", *nodes) for _ in range(width)]
    return b.build(b.add("add", *nodes))


def all_pairs(count: int) -> BlockGraph:
    b = GraphBuilder()
    nodes = [b.add("conv", b.input) for _ in range(count)]
    return b.build(b.add("add", *(b.add("add", nodes[i], nodes[j]) for i in range(count) for j in range(i))))


SYMMETRIC = {
    "24 branches": branches(24, 1),
    "24 branches of 3": branches(24, 3),
    "nested copies": nested(4, 4),
    "copies nested four times": nested(2, 2, 2, 2),
    "many nested copies": nested(6, 6),
    "30 diamonds": diamonds(30),
    "full layers": layers(8, 4),
    "all pairs of 8": all_pairs(8),
    "rings": sums_of_pairs(4, 4, 4, 4),
    "rings of different lengths": sums_of_pairs(3, 4, 5, 6),
}


@pytest.mark.parametrize("name", SYMMETRIC)
def test_symmetric_graphs_are_quick(name):
    other = bench.disguised(SYMMETRIC[name], random.Random(1))
    start = time.process_time()
    key = other.key
    assert time.process_time() - start < 1
    assert key == SYMMETRIC[name].key


def test_symmetric_graphs_differ():
    assert len({graph.key for graph in SYMMETRIC.values()}) == len(SYMMETRIC)


def chain(*ops: object) -> BlockGraph:
    b = GraphBuilder()
    return b.build(b.chain(b.input, *ops))  # type: ignore[arg-type]


def test_attributes_count():
    plain = chain("conv")
    for attributes in ({"kernel": 3}, {"bias": False}, {"groups": 2}, {"ratio": 2}):
        assert chain(("conv", attributes)).key != plain.key
    assert chain(("conv", {"kernel": 1})).key == plain.key


def test_two_convolutions_are_not_one_used_twice():
    b = GraphBuilder()
    x = b.add("conv", b.input)
    shared = b.build(b.add("add", x, x))
    b = GraphBuilder()
    apart = b.build(b.add("add", b.add("conv", b.input), b.add("conv", b.input)))
    assert shared.key != apart.key


@pytest.mark.parametrize(
    ("op", "attributes", "ordered"),
    [("concat", {}, True), ("multiply", {}, True), ("multiply", {"gate": "none"}, False), ("add", {}, False)],
)
def test_order_of_inputs(op, attributes, ordered):
    def merge(first: str, second: str) -> BlockGraph:
        b = GraphBuilder()
        inputs = {name: b.add(name, b.input) for name in ("conv", "gelu")}
        return b.build(b.add(op, inputs[first], inputs[second], **attributes))

    assert (merge("conv", "gelu").key != merge("gelu", "conv").key) == ordered


def test_ports_count():
    def halves(first: int, second: int) -> BlockGraph:
        b = GraphBuilder()
        ports = b.ports(b.add("chunk", b.input))
        return b.build(b.add("concat", b.add("conv", ports[first]), ports[second]))

    assert len({halves(i, j).key for i in range(2) for j in range(2)}) == 4


def test_dead_nodes_count():
    """They are part of the genotype: a later move may bring them to life."""
    b = GraphBuilder()
    b.add("gelu", b.input)
    assert b.build(b.add("conv", b.input)).key != chain("conv").key


def test_keys_do_not_change_between_versions():
    assert chain().key == "895725805c26a8ac4ca6034baadd4e3e63eab096e33f4cb436346960acbdaca5"
    assert (
        chain(("conv", {"ratio": "1/4"}), "gelu", ("layer_scale", {"init": 1e-6})).key
        == "c721e6e931d0785c433ec12e03b0a727e8f6554a75f7e14a645b8c69b1f84a32"
    )
    assert sums_of_pairs(3, 4).key == "2e8acb8355792a587703fc4cb8c133486c96049d233465bfe4ce0a4ecbfc2563"


@given(st.data())
def test_canonical_order_is_a_canonical_form(data):
    """On plain labels and edges: the result is the same for any numbering, and describes the graph that went in."""
    size = data.draw(st.integers(1, 8))
    labels = data.draw(st.lists(st.sampled_from("ab"), min_size=size, max_size=size))
    node = st.integers(0, size - 1)
    edges = data.draw(st.lists(st.tuples(node, st.integers(0, 1), node, st.integers(0, 1)), max_size=14))
    order, canonical = canonical_order(labels, edges)
    assert sorted(order) == list(range(size))
    place = {n: i for i, n in enumerate(order)}
    assert canonical == sorted((place[a], out, place[b], into) for a, out, b, into in edges)
    numbering = data.draw(st.permutations(range(size)))
    other_labels = [labels[numbering.index(i)] for i in range(size)]
    other_order, other_canonical = canonical_order(
        other_labels, [(numbering[a], o, numbering[b], i) for a, o, b, i in edges]
    )
    assert other_canonical == canonical
    assert [other_labels[i] for i in other_order] == [labels[i] for i in order]


def rook_and_shrikhande() -> tuple[nx.Graph, nx.Graph]:
    """Two strongly regular graphs with the same parameters: colours alone never tell them apart."""
    rook = nx.line_graph(nx.complete_bipartite_graph(4, 4))
    steps = [(0, 1), (1, 0), (1, 1)]
    places = [(i, j) for i in range(4) for j in range(4)]
    shrikhande = nx.Graph(((i, j), ((i + a) % 4, (j + b) % 4)) for i, j in places for a, b in steps)
    return nx.convert_node_labels_to_integers(rook), nx.convert_node_labels_to_integers(shrikhande)


REGULAR = {
    "Petersen": nx.petersen_graph(),
    "cube": nx.convert_node_labels_to_integers(nx.hypercube_graph(3)),
    "prism": nx.circular_ladder_graph(6),
    "Moebius ladder": nx.circulant_graph(12, [1, 6]),
    "Frucht": nx.frucht_graph(),
    "random cubic": nx.random_regular_graph(3, 12, seed=1),
    "three components": nx.disjoint_union_all([nx.cycle_graph(3), nx.cycle_graph(4), nx.cycle_graph(4)]),
    "Desargues": nx.desargues_graph(),
    **dict(zip(("rook", "Shrikhande"), rook_and_shrikhande())),
}


@pytest.mark.parametrize("name", REGULAR)
def test_regular_graphs(name):
    """Where colours say nothing, the search has to be right: the same form from every numbering."""
    graph, rng = REGULAR[name], random.Random(0)
    size = graph.number_of_nodes()
    forms = set()
    for _ in range(12):
        numbers = rng.sample(range(size), size)
        edges = [(numbers[a], 0, numbers[b], 0) for a, b in graph.edges for a, b in ((a, b), (b, a))]
        forms.add(tuple(canonical_order(["x"] * size, edges)[1]))
    assert len(forms) == 1


def test_regular_graphs_differ():
    forms = {}
    for name, graph in REGULAR.items():
        edges = [(a, 0, b, 0) for a, b in graph.edges for a, b in ((a, b), (b, a))]
        forms[name] = tuple(canonical_order(["x"] * graph.number_of_nodes(), edges)[1])
    assert len(set(forms.values())) == len(REGULAR)


# ------------------------------------------------------------------------------------------------ whole networks


def test_a_genotype_is_its_key(tmp_path):
    a = uninas.blocks.network("coatnet")
    b = a.map_graphs(lambda graph: bench.disguised(graph, random.Random(0)))
    assert a == b
    assert hash(a) == hash(b)
    assert a.key == b.key
    assert len({a, b, uninas.blocks.network("vit")}) == 2
    assert a != a.key
    assert Genotype(a.stages, a.stem, a.head, name="other") == a


def test_everything_in_a_genotype_counts():
    data = uninas.blocks.network("coatnet", widths=(16, 32, 64, 96), depths=(2, 1, 1, 1)).to_dict()
    graph = data["graphs"][data["stages"][0]["blocks"][1]["subblocks"][0]["graph"]]
    changes = [
        lambda d: d["stem"]["convs"][1].update(kernel=1),
        lambda d: d["stem"]["convs"][1].update(bias=False),
        lambda d: d["stem"]["convs"][1].update(activation="relu"),
        lambda d: d["head"].update(norm=None),
        lambda d: d["head"].update(pool_first=True),
        lambda d: d["head"].update(dropout=0.5),
        lambda d: d["stages"][0].update(width=24),
        lambda d: d["stages"][1]["downsample"].update(kind="conv"),
        lambda d: d["stages"][0]["blocks"].pop(),
        lambda d: d["stages"].pop(),
        lambda d: d["stages"][0]["blocks"][1]["subblocks"][0].update(norm=None),
        lambda d: d["stages"][0]["blocks"][1]["subblocks"][0].update(residual=False),
        lambda d: d["stages"][0]["blocks"][1]["subblocks"][0].update(activation="relu"),
        lambda d: d["stages"][0]["blocks"][1]["subblocks"][0].update(graph={**graph, "nodes": graph["nodes"][:-1]}),
        # the same sub-blocks, divided into blocks otherwise
        lambda d: d["stages"][0].update(
            blocks=[{"subblocks": [sub for block in d["stages"][0]["blocks"] for sub in block["subblocks"]]}]
        ),
    ]
    keys = {Genotype.from_dict(data).key}
    for change in changes:
        copy = Genotype.from_dict(data).to_dict()
        change(copy)
        keys.add(Genotype.from_dict(copy).key)
    assert len(keys) == len(changes) + 1


def test_position_of_a_graph_counts():
    conv, gelu = chain("conv"), chain("gelu")
    assert wrap(conv, gelu) != wrap(gelu, conv)
    assert wrap(conv).stages[0].downsample == Downsample("none")
