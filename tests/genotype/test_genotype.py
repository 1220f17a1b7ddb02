"""The genotype as a value: immutable, hashable, picklable, edited by making another."""

import copy
import dataclasses
import pickle
import subprocess
import sys

import networkx as nx
import pytest
from graphs import WIDTH, graphs, wrap
from hypothesis import given

import uninas
from uninas import Genotype, GenotypeError
from uninas.genotype import Block, BlockGraph, Downsample, GraphBuilder, Head, Stage, SubBlock


@pytest.fixture(scope="module")
def coatnet() -> Genotype:
    return uninas.blocks.network("coatnet", widths=(16, 32, 64, 96), depths=(1, 2, 2, 1))


def conv() -> BlockGraph:
    b = GraphBuilder()
    return b.build(b.add("conv", b.input))


def test_attributes_cannot_be_set(coatnet):
    stage = coatnet.stages[0]
    for thing in (coatnet, stage, stage.blocks[0], stage.blocks[0].subblocks[0], coatnet.stem, coatnet.head):
        for field in dataclasses.fields(thing):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(thing, field.name, None)
    assert isinstance(coatnet.stages, tuple)
    assert isinstance(stage.blocks, tuple)


def test_lists_become_tuples():
    subblocks = [SubBlock(conv())]
    blocks = [Block(subblocks)]  # type: ignore[arg-type]
    stages = [Stage(8, blocks)]  # type: ignore[arg-type]
    genotype = Genotype(stages)  # type: ignore[arg-type]
    key = genotype.key
    for written in (subblocks, blocks, stages):
        written.clear()
    assert len(genotype.stages[0].blocks[0].subblocks) == 1
    assert Genotype(genotype.stages).key == key


def test_graphs_are_frozen_networkx_graphs(coatnet):
    graph = coatnet.stages[2].blocks[1].subblocks[0].graph
    assert isinstance(graph, nx.MultiDiGraph)
    assert nx.is_frozen(graph)
    assert graph.nodes["qkv"]["op"] == "conv"
    assert graph.edges["chunk", "matmul1", 1]["in_port"] == 1


def test_a_plain_graph_is_taken(coatnet):
    where = (2, 1, 0)
    plain = coatnet.stages[2].blocks[1].subblocks[0].graph.copy()
    assert coatnet.with_graph(where, plain) == coatnet
    plain.nodes["project"]["bias"] = False
    assert coatnet.with_graph(where, plain) != coatnet


@given(graphs(12))
def test_pickle_and_deepcopy(graph):
    genotype = dataclasses.replace(wrap(graph), name="net")
    for again in (pickle.loads(pickle.dumps(genotype)), copy.deepcopy(genotype), copy.copy(genotype)):
        assert again == genotype
        assert hash(again) == hash(genotype)
        assert again.to_dict() == genotype.to_dict()
        assert again.name == "net"


def test_hash_and_key_are_the_same_in_another_process(coatnet):
    code = "import uninas;print(uninas.blocks.network('coatnet', widths=(16, 32, 64, 96), depths=(1, 2, 2, 1)).key)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == coatnet.key


def test_with_graph_changes_one_place(coatnet):
    changed = coatnet.with_graph((1, 1, 0), conv())
    for (where, ours), (_, theirs) in zip(coatnet.subblocks, changed.subblocks):
        if where == (1, 1, 0):
            assert theirs.graph.key == conv().key != ours.graph.key
            assert (theirs.norm, theirs.residual) == (ours.norm, ours.residual)
        else:
            assert theirs is ours
    assert (changed.stem, changed.head) == (coatnet.stem, coatnet.head)
    assert changed.name is None  # it is no longer the named network
    assert coatnet.name == "coatnet"


def test_with_stage_and_map_graphs(coatnet):
    changed = coatnet.with_stage(3, Stage(48, (Block((SubBlock(conv()),)),), Downsample("conv")))
    assert changed.stages[:3] == coatnet.stages[:3]
    assert changed.stages[3].width == 48
    mapped = coatnet.map_graphs(lambda graph: conv())
    assert {sub.graph.key for _, sub in mapped.subblocks} == {conv().key}
    assert mapped.name == "coatnet"


def test_edits_are_checked(coatnet):
    b = GraphBuilder()
    with pytest.raises(GenotypeError) as error:
        coatnet.with_graph((2, 1, 1), b.build(b.add("conv", b.input, ratio="1/3")))
    assert error.value.path == "stages[2].blocks[1].subblocks[1].graph.nodes[0].ratio"
    with pytest.raises(GenotypeError) as error:
        coatnet.with_stage(2, dataclasses.replace(coatnet.stages[2], width=63))
    assert error.value.path == "stages[2].blocks[0].subblocks[0].graph.nodes[2].heads"


def test_subblocks_in_order(coatnet):
    places = [where for where, _ in coatnet.subblocks]
    assert places == sorted(places)
    assert places[0] == (0, 0, 0)
    assert places[-1] == (3, 0, 1)
    assert len(places) == 1 + 2 + 2 * 2 + 2


def test_text(coatnet):
    assert str(coatnet) == "Genotype(coatnet: 1 x 16, 2 x 32, 2 x 64, 1 x 96)"
    assert coatnet.key[:12] in str(Genotype(coatnet.stages))


def test_strides(coatnet):
    assert coatnet.strides == (4, 8, 16, 32)
    assert uninas.blocks.network("convnext").strides == (4, 8, 16, 32)


def test_equal_widths_are_checked_with_the_norm_that_sees_them():
    """The norm of a pooling first sub-block sees the channels that come in, not the stage's."""
    block = Block((SubBlock(conv(), norm="group"),))
    genotype = Genotype((Stage(12, (block,), Downsample("pool")),))  # 64 channels come in: 8 groups fit
    assert uninas.build(genotype, 2).stages[0][0].subblocks[0].prepare[0].num_channels == 64  # type: ignore
    with pytest.raises(GenotypeError, match="12 channels cannot be split into 8 groups"):
        Genotype((Stage(12, (block,), Downsample("conv")),))
    with pytest.raises(GenotypeError, match="12 channels cannot be split into 8 groups"):
        Genotype((Stage(12, (Block((SubBlock(conv(), norm=None),)),)),), head=Head("group"))
    assert WIDTH % 2 == 0
