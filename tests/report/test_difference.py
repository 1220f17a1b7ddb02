"""What differs is said, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

import uninas
from uninas.genotype import Block, BlockGraph, Downsample, GraphBuilder, Ref, Stem, StemConv, SubBlock
from uninas.ops import make
from uninas.report.alignment import align
from uninas.report.difference import difference, grouped
from uninas.report.matching import match_nodes

COATNET = uninas.blocks.network("coatnet", widths=(16, 16, 32, 32), depths=(1, 3, 2, 1))
PLACE = (1, 1, 0)
PATH = "stages[1].blocks[1].subblocks[0]"


def with_node(graph: BlockGraph, op: str, before: str, **attributes) -> BlockGraph:
    """The graph with an operation more in front of one of its nodes."""
    ops, sources = dict(graph.ops), dict(graph.sources)
    ops["new"], sources["new"] = make(op, attributes), sources[before][:1]
    sources[before] = (Ref("new"), *sources[before][1:])
    return BlockGraph.from_sources(ops, sources)


def graph_at(network: uninas.Genotype, place=PLACE) -> BlockGraph:
    return dict(network.subblocks)[place].graph


def changed(network: uninas.Genotype, *, norm: str | None = "layer", graph: BlockGraph | None = None):
    """The network with one sub-block changed."""
    i, j, k = PLACE
    stage = network.stages[i]
    subs = list(stage.blocks[j].subblocks)
    subs[k] = replace(subs[k], norm=norm, graph=graph or subs[k].graph)
    blocks = [*stage.blocks[:j], Block(tuple(subs)), *stage.blocks[j + 1 :]]
    return network.with_stage(i, replace(stage, blocks=tuple(blocks)))


def test_equal_networks_do_not_differ():
    other = uninas.Genotype.from_dict(COATNET.to_dict())
    found = difference(COATNET, other)
    assert not found.changes and not found.before and not found.after


@pytest.mark.parametrize("index", range(0, 13, 3))
def test_one_operation_more_or_less_is_one_difference(index):
    graph = graph_at(COATNET)
    before = graph.flow_order[index]
    new = with_node(graph, "max_pool" if index < 9 else "rms_norm", before)
    child = COATNET.with_graph(PLACE, new)
    found = difference(COATNET, child)
    assert [(change.where, change.kind) for change in found.changes] == [(PATH, "added")]
    assert found.after == {PLACE: {"new"}} and found.before == {PLACE: set()}
    back = difference(child, COATNET)
    assert [(change.where, change.kind) for change in back.changes] == [(PATH, "removed")]
    assert back.before == {PLACE: {"new"}}


def test_names_and_order_of_nodes_mean_nothing():
    graph = graph_at(COATNET)
    names = {node: f"other_{i}" for i, node in enumerate(reversed(list(graph.ops)))}
    names |= {"input": "input", "output": "output"}
    ops = {names[node]: op for node, op in reversed(list(graph.ops.items()))}
    sources = {names[n]: tuple(Ref(names[r.node], r.port) for r in refs) for n, refs in graph.sources.items()}
    renamed = BlockGraph.from_sources(ops, sources)
    pairs, removed, added = match_nodes(graph, renamed)
    assert not removed and not added and all(names[a] == b for a, b in pairs)
    new = COATNET.with_graph(PLACE, with_node(renamed, "max_pool", "output"))
    assert [change.kind for change in difference(COATNET, new).changes] == ["added"]


def test_an_attribute_that_changed():
    graph = graph_at(COATNET)
    (node,) = (node for node, op in graph.ops.items() if op.name == "dwconv")
    ops = {**graph.ops, node: make("dwconv", {"kernel": 7})}
    child = COATNET.with_graph(PLACE, BlockGraph.from_sources(ops, graph.sources))
    (change,) = difference(COATNET, child).changes
    assert change == (PATH, "changed", "dw 5×5 to dw 7×7")
    ops[node] = make("dwconv", {"kernel": 5, "bias": True})
    child = COATNET.with_graph(PLACE, BlockGraph.from_sources(ops, graph.sources))
    (change,) = difference(COATNET, child).changes
    assert change.what == "dw 5×5 to dw 5×5 (bias off to on)"


def test_the_same_operations_wired_otherwise():
    def twice(swapped: bool) -> SubBlock:
        b = GraphBuilder()
        x, y = b.add("gelu", b.input), b.add("relu", b.input)
        return SubBlock(b.build(b.add("multiply", *((y, x) if swapped else (x, y)))))

    first, second = (changed(COATNET, graph=twice(swapped).graph) for swapped in (False, True))
    (change,) = difference(first, second).changes
    assert change.kind == "changed" and "wired otherwise" in change.what


def test_frames_stages_stem_and_head():
    assert [c.what for c in difference(COATNET, changed(COATNET, norm="batch")).changes] == ["norm layer to batch"]
    assert [c.what for c in difference(COATNET, changed(COATNET, norm=None)).changes] == ["norm layer to none"]
    stage = COATNET.stages[0]
    other = COATNET.with_stage(0, replace(stage, downsample=Downsample("conv")))
    assert [c.what for c in difference(COATNET, other).changes] == ["downsampling pool to conv"]
    head = replace(COATNET, head=replace(COATNET.head, dropout=0.5))
    assert [c.what for c in difference(COATNET, head).changes] == ["dropout 0.0 to 0.5"]
    convs = (*COATNET.stem.convs[:-1], StemConv(32))
    (change,) = difference(COATNET, replace(COATNET, stem=replace(COATNET.stem, convs=convs))).changes
    assert change.where == "stem" and "64 (3×3)" in change.what and "32 (3×3)" in change.what


def test_a_block_more_among_equal_ones_is_one_difference():
    stage = COATNET.stages[1]
    longer = COATNET.with_stage(1, replace(stage, blocks=(*stage.blocks, stage.blocks[0])))
    (change,) = difference(COATNET, longer).changes
    assert change.kind == "added" and change.what == "a block of 1 sub-block"
    (change,) = difference(longer, COATNET).changes
    assert change.kind == "removed"


def test_what_was_done_to_every_block_is_said_once():
    other = COATNET.map_graphs(lambda graph: with_node(graph, "rms_norm", graph.flow_order[0]))
    found = difference(COATNET, other)
    counts = {places for _, places in grouped(found.changes)}
    assert sum(places for _, places in grouped(found.changes)) == len(found.changes) and max(counts) > 1


def test_graphs_with_little_in_common_are_not_taken_apart():
    vit = uninas.blocks.network("vit", widths=(16, 16, 32, 32), depths=(1, 3, 2, 1))
    found = difference(COATNET, vit)
    assert any("another graph" in change.what for change in found.changes)
    assert len(grouped(found.changes)) < 12


def test_what_moves_do_is_found(space):
    """Children of children, by many kinds of moves: what is said to differ is in the networks."""
    parent, moves = space.start("coatnet"), set()
    for seed in range(60):
        proposal = space.neighbour(parent, Random(seed))
        moves.add(proposal.move)
        found = difference(parent, proposal.genotype)
        assert found.changes and len(grouped(found.changes)) <= 20, (proposal.move, found.changes)
        for marks, network in ((found.before, parent), (found.after, proposal.genotype)):
            for place, nodes in marks.items():
                assert nodes <= set(graph_at(network, place).ops)
        parent = proposal.genotype if seed % 3 == 0 else parent
    assert len(moves) > 10


@pytest.mark.parametrize(
    ("first", "second", "pairs"),
    [
        ("abc", "abc", [(0, 0), (1, 1), (2, 2)]),
        ("abc", "axbc", [(0, 0), (None, 1), (1, 2), (2, 3)]),
        ("abc", "ac", [(0, 0), (1, None), (2, 1)]),
        ("", "ab", [(None, 0), (None, 1)]),
        ("aaa", "aa", [(0, 0), (1, 1), (2, None)]),
    ],
)
def test_alignment(first, second, pairs):
    """Of blocks that hold one operation each, named by letters."""
    ops = {"a": "gelu", "b": "relu", "c": "silu", "x": "sigmoid"}

    def block(letter: str) -> Block:
        b = GraphBuilder()
        return Block((SubBlock(b.build(b.add(ops[letter], b.input)), norm=None),))

    assert list(align(list(map(block, first)), list(map(block, second)))) == pairs


def test_settings_of_units_and_stems_are_named():
    first = uninas.blocks.network("mobilenet_v2")
    stage = replace(first.stages[1], downsample=Downsample("inverted", ratio=4, activation="relu6"))
    stem = Stem((replace(first.stem.convs[0], pool="max"),))
    head = replace(first.head, width=640)
    second = replace(first.with_stage(1, stage), stem=stem, head=head)
    texts = [change.what for change in difference(first, second).changes]
    assert texts == [
        "convs: 32 (3×3, stride 2, batch, relu6) to 32 (3×3, stride 2, batch, relu6, pool max)",
        "width 1280 to 640",
        "downsampling inverted (activation relu6) to inverted (ratio 4, activation relu6)",
    ]
