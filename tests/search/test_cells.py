"""Spaces of cells: architecture strings, and files that are wrong."""

from __future__ import annotations

import copy
from random import Random

import pytest
import yaml

import uninas
from uninas import resources
from uninas.errors import SpaceError
from uninas.search.space.base import Space
from uninas.search.space.cells import CellSpace

DATA = yaml.safe_load(resources.find("spaces", "nasbench201").read_text())


def changed(**changes) -> dict:
    return {**copy.deepcopy(DATA), **changes}


@pytest.fixture(scope="module")
def space() -> CellSpace:
    return CellSpace.from_dict(DATA)


def test_the_shipped_space(space):
    assert space.name == "nasbench201"
    assert space.size_band is None
    assert [choice.name for choice in space.choices] == [
        *("edge 0 -> 1", "edge 0 -> 2", "edge 1 -> 2", "edge 0 -> 3", "edge 1 -> 3", "edge 2 -> 3")
    ]
    assert all(len(choice.options) == 5 for choice in space.choices)


def test_strings_round_trip(space):
    rng = Random(0)
    for _ in range(100):
        chosen = tuple(choice.draw(rng) for choice in space.choices)
        assert space.parse(space.write(chosen)) == chosen


def test_cells_without_a_path_are_no_networks(space):
    dead = ("nor_conv_3x3", "none", "skip_connect", "none", "none", "none")
    with pytest.raises(SpaceError, match="nothing reaches the output"):
        space.decode(dead)
    assert not space.is_complete(dead)


def test_neighbours_of_a_bare_path_stay_networks(space):
    """Every change of the one edge that brings something to `none` is passed over."""
    lone = space.decode(space.parse("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"))
    for seed in range(50):
        child = space.neighbour(lone, Random(seed)).genotype
        assert child.key != lone.key
        space.check(child)


def test_a_space_without_a_second_network():
    network = changed(edges={"skip": []}, nodes=2, starts={"only": "|skip~0|"})
    space = Space.from_dict(network)
    only = space.start("only")
    with pytest.raises(SpaceError, match=r"nothing found in 500 attempts .*nothing changed \(500 times\)"):
        space.neighbour(only, Random(0))
    assert space.sample(Random(0)) == only


def test_other_cells():
    edges = {"zero": None, "double": [{"op": "conv"}, {"op": "relu"}, {"op": "conv"}], "same": []}
    space = CellSpace.from_dict(changed(edges=edges, nodes=3, starts={}))
    assert space.starts == ()
    genotype = space.decode(("double", "zero", "double"))
    assert genotype.name == "|double~0|+|zero~0|double~1|"
    assert len(genotype.stages[0].blocks[0].subblocks[0].graph.ops) == 6
    with pytest.raises(SpaceError, match="has no start 'chain'; it has none"):
        space.start("chain")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodse": 3}, r"^nodse: unknown key; did you mean 'nodes'"),
        ({"nodes": 1}, r"^nodes: .*greater than or equal to 2, got 1"),
        ({"edges": {"none": None}}, r"^edges: at least one option must bring something"),
        ({"edges": {"a~b": []}}, r"^edges: 'a~b' cannot be written"),
        ({"edges": {"a": [{"op": "convolution"}]}}, r"^edges.a\[0\].*there is no operation"),
        ({"edges": {"a": [{"op": "relu"}, {"op": "conv", "kernel": 4}]}}, r"^edges.a\[1\].kernel: conv has no 4"),
        ({"edges": {"a": [{"kernel": 3}]}}, r"^edges.a\[0\].op: is missing"),
        ({"edges": {"a": 3}}, r"^edges.a: .*list, got 3"),
        ({"limits": {"max_param": 3}}, r"^limits.max_param: unknown key; did you mean 'max_params'"),
        ({"proxy": "naswto"}, r"^proxy: there is no proxy 'naswto'; did you mean 'naswot'"),
        ({"size_band": 1.5}, r"^size_band: .*less than or equal to 1, got 1.5"),
        ({"network": {"schema_version": 1}}, r"^network.stages: is missing"),
        (
            {"network": {**DATA["network"], "stem": {"convs": [{"widht": 3}]}}},
            r"^network.stem.convs\[0\].widht: unknown",
        ),
        ({"starts": {"a": "|none~0|"}}, r"^starts.a: .*describes 1 nodes"),
        (
            {"starts": {"a": DATA["starts"]["resnet"].replace("skip_connect", "skip")}},
            r"^starts.a: .*there is no 'skip'",
        ),
        ({"starts": {"a": "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"}}, r"^starts.a: nothing reaches"),
        ({"attempts": 0}, r"^attempts: .*greater than or equal to 1"),
    ],
)
def test_bad_files_name_the_place(change, message):
    with pytest.raises(SpaceError, match=message):
        CellSpace.from_dict(changed(**change))


def test_missing_keys():
    data = changed()
    del data["edges"]
    with pytest.raises(SpaceError, match=r"^edges: is missing"):
        CellSpace.from_dict(data)


def test_chains_that_do_not_fit_the_network():
    wide = changed(edges={"wide": [{"op": "conv", "ratio": 2}]}, starts={}, nodes=2)
    with pytest.raises(SpaceError, match="no choices of space 'nasbench201' drawn at random were a network"):
        CellSpace.from_dict(wide).sample(Random(0))
    with pytest.raises(SpaceError, match="does not fit into the network: stages"):
        CellSpace.from_dict(wide).decode(("wide",))


def test_the_name_survives_a_file(space, tmp_path):
    genotype = space.sample(Random(1))
    genotype.save(tmp_path / "cell.json")
    assert space.encode(uninas.Genotype.load(tmp_path / "cell.json")) == space.encode(genotype)


def test_a_space_may_have_only_some_of_the_networks(space):
    rng = Random(0)
    drawn = sorted({space.sample(rng).name for _ in range(400)})
    data = {"extends": "nasbench201", "only": drawn, "starts": {"chain": None, "resnet": None, "first": drawn[0]}}
    part = Space.from_dict(data)
    genotype = part.start("first")
    for _ in range(20):
        genotype = part.neighbour(genotype, rng).genotype
        assert genotype.name in drawn and part.sample(rng).name in drawn
    outside = next(g for g in iter(lambda: space.sample(rng), None) if g.name not in drawn)
    with pytest.raises(SpaceError, match=rf"is not among the {len(drawn)} networks of this space"):
        part.check(outside)
    assert part.fingerprint()["only"] == drawn
    with pytest.raises(SpaceError, match=r"starts\.chain: .*is not among"):
        Space.from_dict({"extends": "nasbench201", "only": drawn[:3]})
    with pytest.raises(SpaceError, match="only"):
        Space.from_dict({"extends": "nasbench201", "only": []})
