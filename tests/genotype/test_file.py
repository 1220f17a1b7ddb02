"""The genotype's file: round trips, what may be left out, and old files."""

import json
import random
from pathlib import Path

import pytest
import yaml
from graphs import WIDTH, graphs, one_graph, wrap
from hypothesis import given, settings
from hypothesis import strategies as st

import uninas
from uninas import Genotype, GenotypeError
from uninas.genotype import INPUT, Block, Downsample, GraphBuilder, Head, Ref, Stage, Stem, StemConv, SubBlock
from uninas.genotype.downsample import DOWNSAMPLING
from uninas.genotype.file import dumps
from uninas.ops import REGISTRY, make
from uninas.ops.layers import ACTIVATIONS, NORMS

ASSETS = Path(__file__).parent / "assets"

OLD_FILES = {
    "v1_everything.yaml": "cd16ea53d6c5f0df8a3147e1a155930801732604f21ad7914c9deba314c46437",
    "v1_coatnet.yaml": "d0750e8f05071d2bdcb31bb30f7c1e35f04aa62614ac96f22c9ec8e3a790793f",
    "v1_mobile.json": "3d8960e9b5a82c840cdf53dd95bc57f5cc1676bf1f98516a4ff89d2abb364e97",
    "v1_authors.yaml": "32cc4c8fe6deabf33eee1ddb10a014fad065d2aa770118b16a7112cbcccd0877",
    "v1_units.yaml": "ac316c9f31bafac556e1d566512f17bb3bd5987d0322019fa9977708d089f465",
}
"""Files of released versions, with the key they had then."""


@pytest.mark.parametrize("name", OLD_FILES)
def test_old_files_load_for_ever(name):
    assert Genotype.load(ASSETS / name).key == OLD_FILES[name]


def test_every_stored_file_is_tested():
    assert {path.name for path in ASSETS.iterdir()} == set(OLD_FILES)


def test_the_stored_files_have_everything():
    found = [Genotype.load(ASSETS / name) for name in OLD_FILES]
    subblocks = [sub for genotype in found for _, sub in genotype.subblocks]
    missing = sorted(set(REGISTRY) - {op.name for sub in subblocks for op in sub.graph.ops.values()})
    assert not missing, f"no stored file has {missing}: add one to {ASSETS}, its key (`uninas validate`) to OLD_FILES"
    assert {stage.downsample.kind for genotype in found for stage in genotype.stages} == set(DOWNSAMPLING)
    assert {sub.norm for sub in subblocks} == {None, *NORMS}
    assert {conv.pool for genotype in found for conv in genotype.stem.convs} == {None, "max"}
    assert any(genotype.head.width for genotype in found)


frames = st.fixed_dictionaries(
    {
        "norm": st.sampled_from([None, *NORMS]),
        "residual": st.booleans(),
        "activation": st.sampled_from([None, *ACTIVATIONS]),
    }
)
stem_convs = st.builds(
    lambda width, size, bias, norm, activation: StemConv(width, *size, bias, norm, activation),
    st.sampled_from([16, 32]),
    st.sampled_from([(1, 1), (3, 2), (5, 1), (2, 2), (4, 4)]),
    st.booleans(),
    st.sampled_from([None, *NORMS]),
    st.sampled_from([None, *ACTIVATIONS]),
)
heads = st.builds(
    Head,
    st.sampled_from([None, "layer", "group", "rms"]),
    st.sampled_from([None, *ACTIVATIONS]),
    st.sampled_from([0, 0.0, 0.1]),
    st.booleans(),
)


@st.composite
def genotypes(draw) -> Genotype:
    """Networks of one to three stages around random graphs."""
    stem = Stem(tuple(draw(st.lists(stem_convs, min_size=1, max_size=2))))
    stages, before = [], stem.width
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(sorted(DOWNSAMPLING)))
        width = before if kind == "none" else 2 * WIDTH
        blocks = [
            Block(tuple(SubBlock(draw(graphs(8)), **draw(frames)) for _ in range(draw(st.integers(1, 2)))))
            for _ in range(draw(st.integers(1, 2)))
        ]
        stages.append(Stage(width, tuple(blocks), Downsample(kind)))
        before = width
    return Genotype(tuple(stages), stem, draw(heads), draw(st.none() | st.text(max_size=20)))


@given(genotypes())
@settings(max_examples=60)
def test_dictionary_and_text_round_trip(genotype):
    data = genotype.to_dict()
    for again in (
        Genotype.from_dict(data),
        Genotype.from_dict(json.loads(json.dumps(data))),
        Genotype.from_dict(yaml.safe_load(dumps(genotype))),
    ):
        assert again == genotype
        assert again.key == genotype.key
        assert again.to_dict() == data
        assert (again.name or None) == (genotype.name or None)
        for (_, ours), (_, theirs) in zip(genotype.subblocks, again.subblocks):
            assert ours.graph.ops == theirs.graph.ops
            assert ours.graph.sources == theirs.graph.sources


@pytest.mark.parametrize("suffix", ["yaml", "yml", "json", "JSON", "txt"])
@pytest.mark.parametrize("name", ["1e5", "null", "on", "été\u0085 'quoted' #: -", "\U0001f600", "\0", None])
def test_file_round_trip(tmp_path, suffix, name):
    b = GraphBuilder()
    x = b.chain(b.input, ("layer_scale", {"init": 1e-5}), ("conv", {"ratio": "1/2"}), ("conv", {"ratio": 2}))
    genotype = Genotype((Stage(8, (Block((SubBlock(b.build(x)),)),)),), name=name)
    genotype.save(tmp_path / f"net.{suffix}")
    again = Genotype.load(str(tmp_path / f"net.{suffix}"))
    assert again == genotype
    assert again.name == name
    assert [path.name for path in tmp_path.iterdir()] == [f"net.{suffix}"]  # nothing temporary is left
    if suffix.lower() == "json":
        assert json.loads((tmp_path / f"net.{suffix}").read_text())["schema_version"] == 1


@pytest.mark.parametrize("name", ["\ud800", 5, b"net", ["net"]])
def test_a_name_is_text(name):
    with pytest.raises(GenotypeError, match="name: wants text"):
        Genotype((Stage(8, (Block((SubBlock(GraphBuilder().build(Ref(INPUT))),)),)),), name=name)


def test_saving_replaces_the_file(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text("what was there")
    wrap(GraphBuilder().build(Ref(INPUT))).save(path)
    assert len(Genotype.load(path).stages) == 1


def test_json_that_yaml_could_not_read(tmp_path):
    path = tmp_path / "net.json"
    path.write_text(json.dumps(uninas.blocks.network("convnext").to_dict(), indent="\t"))
    assert Genotype.load(path).name == "convnext"


@pytest.mark.parametrize("name", uninas.blocks.NETWORKS)
def test_equal_graphs_are_written_once(name):
    genotype = uninas.blocks.network(name)
    data = genotype.to_dict()
    assert len(data["graphs"]) == len({json.dumps(g) for g in data["graphs"].values()}) < len(list(genotype.subblocks))
    assert {sub["graph"] for stage in data["stages"] for b in stage["blocks"] for sub in b["subblocks"]} == set(
        data["graphs"]
    )


def test_shared_graphs_stay_shared():
    data = uninas.blocks.network("resnet").to_dict()
    found = {id(sub.graph) for _, sub in Genotype.from_dict(data).subblocks}
    assert len(found) == 1


def test_short_form():
    """Ids, inputs and the output may be left out; a node may be read before it is written."""
    data = one_graph(
        {
            "nodes": [
                {"op": "conv"},
                {"op": "gelu"},
                {"op": "conv", "kernel": 3},
                {"op": "chunk", "inputs": ["later"]},
                {"op": "concat", "inputs": ["chunk:1", "chunk:0"]},
                {"op": "conv", "id": "later", "inputs": ["conv_2"]},
                {"op": "gelu", "inputs": ["conv"]},
                {"op": "add", "inputs": ["gelu_2", "concat", "input"]},
            ]
        }
    )
    graph = Genotype.from_dict(data).stages[0].blocks[0].subblocks[0].graph
    assert list(graph.ops) == ["conv", "gelu", "conv_2", "chunk", "concat", "later", "gelu_2", "add"]
    assert graph.sources == {
        "conv": (Ref("input"),),
        "gelu": (Ref("conv"),),
        "conv_2": (Ref("gelu"),),
        "chunk": (Ref("later"),),
        "concat": (Ref("chunk", 1), Ref("chunk", 0)),
        "later": (Ref("conv_2"),),
        "gelu_2": (Ref("conv"),),
        "add": (Ref("gelu_2"), Ref("concat"), Ref("input")),
        "output": (Ref("add"),),
    }
    assert graph.ops["conv_2"] == make("conv", {"kernel": 3})


def test_implicit_ids_give_way_to_written_ones():
    nodes = [{"op": "gelu"}, {"op": "relu", "id": "gelu"}, {"op": "gelu"}]
    graph = Genotype.from_dict(one_graph({"nodes": nodes})).stages[0].blocks[0].subblocks[0].graph
    assert [op.name for op in graph.ops.values()] == ["gelu", "relu", "gelu"]
    assert list(graph.ops)[1] == "gelu"


def test_frame_defaults():
    genotype = Genotype.from_dict(one_graph({"nodes": []}))
    sub = genotype.stages[0].blocks[0].subblocks[0]
    assert (sub.norm, sub.residual, sub.activation) == ("layer", True, None)
    assert genotype.stages[0].downsample == Downsample("pool")
    assert (genotype.stem, genotype.head) == (Stem(), Head())
    assert sub.graph.sources == {"output": (Ref(INPUT),)}


@pytest.mark.parametrize("ratio", [4, "4", 4.0, "4/1"])
def test_ways_to_write_a_ratio(ratio):
    nodes = [{"op": "conv", "ratio": ratio}, {"op": "conv", "ratio": "1/4"}, {"op": "conv", "ratio": 0.25}]
    nodes.append({"op": "conv", "ratio": "4"})
    graph = Genotype.from_dict(one_graph({"nodes": nodes})).stages[0].blocks[0].subblocks[0].graph
    assert [int(4 * op.ratio) for op in graph.ops.values()] == [16, 1, 1, 16]


def test_yaml_written_by_hand(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(
        """
        schema_version: 1
        graphs:
          mlp: &mlp
            nodes:
            - {op: conv, ratio: 4}
            - op: layer_scale   # a number without a point
              init: 1e-6
            - {op: conv, ratio: 1/4}
        stages:
        - width: 8
          blocks: [{subblocks: [{graph: mlp}, {graph: *mlp}]}]
        """
    )
    first, second = (sub.graph for _, sub in Genotype.load(path).subblocks)
    assert first.key == second.key
    assert first.ops["layer_scale"] == make("layer_scale", {"init": 1e-6})


def test_head_dropout_is_one_number():
    keys = {Genotype.from_dict({**one_graph({"nodes": []}), "head": {"dropout": p}}).key for p in (0, 0.0, -0.0)}
    assert len(keys) == 1


def test_unused_graphs_are_checked_too():
    with pytest.raises(GenotypeError, match=r"graphs\.spare\.nodes\[0\]\.op: there is no operation 'nope'"):
        Genotype.from_dict({**one_graph({"nodes": []}), "graphs": {"spare": {"nodes": [{"op": "nope"}]}}})


def test_loading_is_quick(tmp_path):
    """Files are read again and again by workers: a large network in well under a second."""
    import time

    genotype = uninas.blocks.network("coatnet", depths=(8, 8, 8, 8))
    for where, _ in list(genotype.subblocks)[::2]:
        genotype = genotype.with_graph(where, _distinct(where, genotype.stages[where[0]].width))
    genotype.save(tmp_path / "net.yaml")
    start = time.process_time()
    assert Genotype.load(tmp_path / "net.yaml") == genotype
    assert time.process_time() - start < 2


def _distinct(where, width):
    b = GraphBuilder()
    rng = random.Random(str(where))
    x = b.input
    for _ in range(20):
        x = b.add(rng.choice(["gelu", "relu", "sigmoid", "max_pool", "layer_norm"]), x)
    return b.build(x)
