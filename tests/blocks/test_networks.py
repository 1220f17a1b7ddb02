"""The published networks: parameters and FLOPs against the authors', and what `network` refuses."""

import pytest
import timm
import torch

import uninas
from uninas import GenotypeError
from uninas.blocks import BLOCKS, NETWORKS, network
from uninas.genotype import GraphBuilder

MEASURED = {
    "resnet": (24.82e6, 9.04e9),
    "efficientnet": (23.86e6, 6.16e9),
    "vit": (26.40e6, 18.65e9),
    "coatnet": (26.87e6, 8.51e9),
}
"""Parameters and FLOPs (2 a MAC) of the paper's networks at 224 x 224, 1000 classes, from the authors' package. Their
parameters include a second norm in blocks without a second function, and their FLOPs are an estimate."""


@pytest.mark.parametrize("name", MEASURED)
def test_published_sizes(name):
    params, flops = MEASURED[name]
    cost = uninas.cost(network(name), input_size=224, num_classes=1000)
    assert cost.params == pytest.approx(params, rel=0.005)
    assert 2 * cost.macs == pytest.approx(flops, rel=0.03)


def test_convnext_is_timms():
    with torch.device("meta"):
        theirs = timm.create_model("convnext_tiny")
    ours = uninas.cost(network("convnext"))
    assert ours.params == sum(p.numel() for p in theirs.parameters())
    assert ours.macs == pytest.approx(4.47e9, rel=0.01)


def test_convnext_gives_timms_numbers():
    """With timm's weights put into ours, stem to head."""
    widths, depths = (8, 16, 24, 32), (1, 2, 1, 1)
    theirs = timm.create_model("convnext_tiny", dims=widths, depths=depths, num_classes=6).eval()
    net = uninas.build(network("convnext", widths=widths, depths=depths), num_classes=6).eval()
    for p in theirs.parameters():
        torch.nn.init.normal_(p, std=0.3)
    source = list(theirs.state_dict().values())
    target = net.state_dict()
    gammas = [v for k, v in theirs.state_dict().items() if k.endswith("gamma")]
    assert sorted(v.numel() for v in source) == sorted(v.numel() for v in target.values())
    others = iter([v for k, v in theirs.state_dict().items() if not k.endswith("gamma")])
    scales = iter(gammas)
    for name, value in target.items():
        value.copy_(next(scales if "layer_scale" in name else others).reshape(value.shape))
    x = torch.randn(2, 3, 64, 96)
    torch.testing.assert_close(net(x), theirs(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_widths_and_depths(name):
    genotype = network(name)
    assert genotype.name == name
    assert [stage.width for stage in genotype.stages] == list(NETWORKS[name].widths)
    assert [len(stage.blocks) for stage in genotype.stages] == list(NETWORKS[name].depths)
    assert genotype.strides == (4, 8, 16, 32)
    assert network(name).key == genotype.key
    assert network(name, widths=(64, 64, 64, 64), depths=(1, 1, 2, 1)).key != genotype.key


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("name", NETWORKS)
def test_any_block_in_any_network(name, block):
    genotype = network(name, widths=(16, 32, 32, 64), depths=(1, 1, 1, 1), blocks=(block,) * 4)
    assert uninas.build(genotype, 3, passes=()).eval()(torch.randn(1, 3, 40, 33)).shape == (1, 3)


@pytest.mark.parametrize(("size", "sides"), [(224, [56, 28, 14, 7]), (256, [64, 32, 16, 8]), (33, [9, 5, 3, 2])])
def test_bias_tables_cover_the_design_size(size, sides):
    genotype = network("vit", input_size=size)
    found = [stage.blocks[0].subblocks[0].graph.ops["rel_pos_bias"].size for stage in genotype.stages]  # type: ignore
    assert found == sides
    assert [uninas_side for _, _, (uninas_side, _) in _ends(genotype, size)] == sides


def _ends(genotype, size):
    from uninas.genotype import cost_parts

    parts = list(cost_parts(genotype, (size, size), 1))
    return [[part for part in parts if part[0].startswith(f"stages[{i}]")][-1] for i in range(4)]


@pytest.mark.parametrize(
    ("arguments", "path", "message"),
    [
        (("coatnett",), "name", "did you mean 'coatnet'?"),
        ((None,), "name", "no network None"),
        ((["vit"],), "name", "choose from: coatnet"),
        (("vit", {"widths": (96, 192)}), "widths", "a value for each of 4 stages, got (96, 192)"),
        (("vit", {"widths": ()}), "widths", "got ()"),
        (("vit", {"widths": 96}), "widths", "got 96"),
        (("vit", {"widths": (96, 192, 0, 768)}), "widths[2]", "at least 1, got 0"),
        (("vit", {"widths": (96, "x", 384, 768)}), "widths[1]", "got 'x'"),
        (("vit", {"depths": (1, 1, 1, 0)}), "depths[3]", "at least 1, got 0"),
        (("vit", {"depths": (1, 1.5, 1, 1)}), "depths[1]", "got 1.5"),
        (("vit", {"blocks": ("T", "T", "T")}), "blocks", "got ('T', 'T', 'T')"),
        (("vit", {"blocks": ("T", "Q", "T", "T")}), "blocks[1]", "there is no 'Q'"),
        (("vit", {"blocks": ("T", "T", ["T"], "T")}), "blocks[2]", "there is no ['T']"),
        (("vit", {"input_size": 0}), "input_size", "at least 1, got 0"),
        (("vit", {"input_size": (224, 224)}), "input_size", "got (224, 224)"),
        (("convnext", {"blocks": ("bottleneck",) * 4, "widths": (96, 190, 384, 768)}), None, "190 channels times 1/4"),
        (("vit", {"blocks": ("conv_attention",) * 4, "widths": (1, 2, 4, 8)}), "stages[0].width", "got 0"),
    ],
)
def test_bad_arguments(arguments, path, message):
    name, options = (*arguments, {})[:2]
    with pytest.raises(GenotypeError) as error:
        network(name, **options)
    assert error.value.path == (path or "stages[1].blocks[0].subblocks[0].graph.nodes[0].ratio")
    assert message in error.value.message


def test_a_block_of_ones_own():
    """What the README shows: a block is a graph, a network takes any graph."""
    b = GraphBuilder()
    x = b.chain(
        b.input, ("dwconv", {"kernel": 7}), "layer_norm", ("conv", {"ratio": 4}), "gelu", ("conv", {"ratio": "1/4"})
    )
    genotype = network("resnet", widths=(16, 16, 16, 16), depths=(1, 1, 1, 1)).map_graphs(lambda _: b.build(x))
    assert uninas.build(genotype, 2)(torch.randn(2, 3, 32, 32)).shape == (2, 2)
