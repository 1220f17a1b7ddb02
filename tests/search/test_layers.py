"""Spaces of inverted residuals: what names say, what the networks are, and files that are wrong."""

from __future__ import annotations

import copy
from random import Random

import pytest
import torch
import yaml

import uninas
from uninas import resources
from uninas.errors import SpaceError
from uninas.search.limits import Limits
from uninas.search.space.layers import LayerSpace

DATA = yaml.safe_load(resources.find("spaces", "mobilenet_v2").read_text())
STAGE = DATA["stages"][1]


def changed(**changes) -> dict:
    return {**copy.deepcopy(DATA), **changes}


@pytest.fixture(scope="module")
def space() -> LayerSpace:
    return LayerSpace.from_dict(DATA)


def tiny() -> LayerSpace:
    stages = [
        {"widths": [8], "depth": [1, 1], "downsample": "project"},
        {"widths": [8, 16], "depth": [1, 2]},
        {"widths": [16, 24], "depth": [1, 3]},
    ]
    return LayerSpace.from_dict(changed(stages=stages, max_layers=5, limits={}, starts={}))


def test_published_bounds(space):
    assert space.size_band == 0.85
    assert space.limits.max_macs == 450_000_000
    for seed in range(50):
        genotype = space.sample(Random(seed))
        assert sum(len(stage.blocks) for stage in genotype.stages) <= 14
        assert uninas.cost(genotype, 224).macs <= 450_000_000
        assert genotype.strides[-1] == 32


def test_the_start_resembles_the_published_network(space):
    """MobileNetV2 has 3.5 M parameters and 300 M MACs, of 17 layers and a convolution to 1280 channels."""
    genotype = space.start("mobilenet_v2")
    assert genotype.strides == (2, 4, 8, 16, 16, 32, 32)
    cost = uninas.cost(genotype, 224)
    assert 2.5e6 < cost.params < 3.5e6
    assert 250e6 < cost.macs < 350e6
    wide = uninas.cost(space.start("mobilenet_v2_wide"), 224)
    assert 0.85 * 450e6 <= wide.macs <= 450e6


def test_what_a_layer_is(space):
    first, second = space.start("mobilenet_v2").stages[1].blocks
    (inner,) = first.subblocks
    assert (inner.residual, inner.norm, second.subblocks[0].residual) == (False, None, True)
    assert [op.name for op in inner.graph.ops.values()] == [
        *("conv", "batch_norm", "relu", "dwconv", "batch_norm", "relu", "conv", "batch_norm")
    ]
    (plain,) = space.start("mobilenet_v2").stages[0].blocks[0].subblocks
    assert [op.name for op in plain.graph.ops.values()] == ["dwconv", "batch_norm", "relu", "conv", "batch_norm"]


def test_costs_and_numbers_of_built_networks():
    space = tiny()
    for seed in range(4):
        genotype = space.sample(Random(seed))
        network = uninas.build(genotype, 10)
        assert sum(p.numel() for p in network.parameters()) == uninas.cost(genotype, 64, 10).params
        for size in (64, 224):
            assert network(torch.randn(2, 3, size, size)).isfinite().all()


def test_missing_layers_are_not_written():
    space = tiny()
    with_gap = ("8", "e1k3", "16", "e2k5", "-", "24", "e6k3", "-", "e4k7")
    genotype = space.decode(with_gap)
    assert genotype.name == "8: e1k3 | 16: e2k5 | 24: e6k3 e4k7"
    assert space.encode(genotype) == ("8", "e1k3", "16", "e2k5", "-", "24", "e6k3", "e4k7", "-")
    assert space.decode(space.encode(genotype)) == genotype


def test_half_of_the_optional_layers_are_there():
    space = LayerSpace.from_dict(changed(max_layers=None, limits={}))
    depths = [sum(len(stage.blocks) for stage in space.sample(Random(seed)).stages) for seed in range(200)]
    assert min(depths) <= 10 and max(depths) >= 18
    assert 13.5 < sum(depths) / len(depths) < 14.5  # 7 to 21


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("8: e1k3 | 16: e2k5", "has 2 stages, not 3; stages are written 16: e1k3"),
        ("8: e1k3 | 16: e2k5 | 24 e6k3", "stage 3 of .* is not written as in .*: '24 e6k3'"),
        ("8: e1k3 | 16: | 24: e6k3", "stage 2 of .* is not written"),
        ("8: e1k3 | 16: e2k5 | 32: e6k3", r"stages\[2\].width has no '32'; did you mean '24'"),
        ("8: e1k3 | 16: e5k5 | 24: e6k3", r"stages\[1\].layers\[0\] has no 'e5k5'; did you mean"),
        ("8: e1k3 e1k3 | 16: e2k5 | 24: e6k3", "stage 1 of .* has 2 layers, not 1 to 1"),
        ("8: e1k3 | 16: e2k5 e1k3 | 24: e6k3 e6k3 e6k3", "6 layers are more than max_layers = 5"),
        ("8:  e1k3 | 16: e2k5 | 24: e6k3", "stage 1"),
        ("resnet", "has 1 stages"),
    ],
)
def test_bad_names(name, message):
    with pytest.raises(SpaceError, match=message):
        tiny().parse(name)


def test_more_layers_than_admitted_are_no_network():
    space = tiny()
    with pytest.raises(SpaceError, match="more than max_layers"):
        space.decode(("8", "e1k3", "16", "e2k5", "e2k5", "24", "e6k3", "e6k3", "e6k3"))


def test_max_layers_of_the_least_depths_leaves_widths_and_layers():
    space = LayerSpace.from_dict(changed(max_layers=7, limits={}, starts={}))
    genotype = space.sample(Random(0))
    assert [len(stage.blocks) for stage in genotype.stages] == [1] * 7
    assert [len(stage.blocks) for stage in space.neighbour(genotype, Random(1)).genotype.stages] == [1] * 7


def test_a_very_narrow_band():
    space = LayerSpace.from_dict(DATA)
    limits = Limits(min_macs=399_000_000, max_macs=401_000_000)
    for seed in range(5):
        limits.check(space.sample(Random(seed), limits))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stage": []}, r"^stage: unknown key; did you mean 'stages'"),
        ({"stages": []}, r"^stages: .*at least 1"),
        ({"stages": [{**STAGE, "width": 3}]}, r"^stages\[0\].width: unknown key; did you mean 'widths'"),
        ({"stages": [{**STAGE, "widths": []}]}, r"^stages\[0\].widths: .*at least 1"),
        ({"stages": [{**STAGE, "widths": [8, 0]}]}, r"^stages\[0\].widths\[1\]: .*greater than or equal to 1, got 0"),
        ({"stages": [{**STAGE, "widths": [8, 8]}]}, r"^stages\[0\]: widths: one is written twice"),
        ({"stages": [{**STAGE, "depth": [3, 1]}]}, r"^stages\[0\]: depth: the least comes first"),
        ({"stages": [{**STAGE, "depth": [0, 1]}]}, r"^stages\[0\].depth\[0\]: "),
        (
            {"stages": [{**STAGE, "downsample": "pol"}]},
            r"^stages\[0\]: downsample: there is no 'pol'; did you mean 'pool'",
        ),
        ({"stages": [{**STAGE, "downsample": "none"}]}, r"^stages\[0\]: downsample: there is no 'none'"),
        ({"expansions": [5]}, r"^expansions\[0\]: .*got 5"),
        ({"expansions": [4, 4]}, r"^expansions: one is written twice"),
        ({"kernels": []}, r"^kernels: .*at least 1"),
        ({"stem": {"convs": []}}, r"^stem.convs: a stem needs at least one"),
        ({"stem": {"convs": [{"width": 8, "kernal": 3}]}}, r"^stem.convs\[0\].kernal: unknown key; did you mean"),
        ({"head": {"norm": "bach"}}, r"^head.norm: there is no 'bach'; did you mean 'batch'"),
        ({"max_layers": 6}, r"^max_layers: the stages have at least 7 layers, more than 6"),
        ({"limits": {"max_macs": "lots"}}, r"^limits.max_macs: 'lots' is not a count"),
        ({"starts": {"a": "16: e1k3"}}, r"^starts.a: .*has 1 stages, not 7"),
        ({"kind": "cells"}, r"^kind: "),
    ],
)
def test_bad_files_name_the_place(change, message):
    with pytest.raises(SpaceError, match=message):
        LayerSpace.from_dict(changed(**change))
