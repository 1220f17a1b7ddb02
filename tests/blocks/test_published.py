"""The published networks as genotypes; that they are timm's is in tests/export/test_timm_weights.py."""

import pytest
import torch
from graphs import small_published

import uninas
from uninas import Genotype, GenotypeError
from uninas.blocks import KNOWN, NETWORKS, PUBLISHED, network

PARAMS_AND_MACS = {
    "resnet50": (25_557_032, 4.09e9),
    "mobilenet_v2": (3_504_872, 0.30e9),
    "efficientnet_b0": (5_288_548, 0.39e9),
    "convnext_tiny": (28_589_128, 4.46e9),
    "poolformer_s12": (11_915_176, 1.82e9),
    "coatnet_0": (27_435_562, 4.43e9),
}
"""Of the papers' or timm's tables, at 224 x 224."""


def test_names():
    assert set(KNOWN) == {*NETWORKS, *PUBLISHED} and len(KNOWN) == len(NETWORKS) + len(PUBLISHED)
    assert len({network(name).key for name in KNOWN}) == len(KNOWN) - 1  # `convnext` is ConvNeXt-T by another name
    assert network("convnext") == network("convnext_tiny")


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes(name):
    params, macs = PARAMS_AND_MACS[name]
    cost = uninas.cost(network(name))
    assert cost.params == params
    assert cost.macs == pytest.approx(macs, rel=0.015)
    assert network(name).name == name and network(name).strides[-1] == 32


@pytest.mark.parametrize("name", PUBLISHED)
def test_smaller_ones(name):
    genotype = network(name, **small_published(name), input_size=64)
    assert [stage.width for stage in genotype.stages] == list(small_published(name)["widths"])
    assert Genotype.from_dict(genotype.to_dict()) == genotype
    net = uninas.build(genotype, 5, drop_path_rate=0.1).train()
    assert sum(p.numel() for p in net.parameters()) == uninas.cost(genotype, 64, 5).params
    out = net(torch.randn(2, 3, 64, 96))
    assert out.shape == (2, 5)
    out.square().sum().backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), key


def test_tables_cover_the_design_size():
    for size, sides in ((224, (14, 7)), (256, (16, 8)), (100, (7, 4))):
        stages = network("coatnet_0", input_size=size).stages[2:]
        assert tuple(stage.downsample.size for stage in stages) == sides
        tables = [stage.blocks[1].subblocks[0].graph.ops["rel_pos_bias"].size for stage in stages]  # type: ignore
        assert tuple(tables) == sides


@pytest.mark.parametrize(
    ("name", "options", "path", "message"),
    [
        ("resnet50", {"blocks": ("R",) * 4}, "blocks", "resnet50 is as published; widths and depths may be given"),
        ("resnet50", {"stem": network("vit").stem}, "stem", "resnet50 is as published"),
        ("resnet50", {"widths": (64, 64)}, "widths", "a value for each of 4 stages, got (64, 64)"),
        ("resnet50", {"widths": (64, 64, 64, 66)}, "stages[3].downsample.kind", "66 channels"),
        ("mobilenet_v2", {"depths": (1, 1, 1, 1, 0, 1, 1)}, "depths[4]", "at least 1, got 0"),
        ("coatnet_0", {"input_size": 0}, "input_size", "at least 1, got 0"),
        ("resnet_50", {}, "name", "did you mean 'resnet50'"),
    ],
)
def test_bad_arguments(name, options, path, message):
    with pytest.raises(GenotypeError) as error:
        network(name, **options)
    assert message in str(error.value)
    assert error.value.path == path
