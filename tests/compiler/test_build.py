"""`build`: weights from the seed and nothing else, and a clear error for every bad argument."""

import copy
import io
import math
import pickle
import random

import numpy as np
import pytest
import torch
from graphs import one_graph, wrap
from torch import nn

import uninas
from uninas import Genotype, GenotypeError
from uninas.blocks.library import attention
from uninas.compiler import PASSES
from uninas.genotype import GraphBuilder
from uninas.ops.modules.attention import RelativePositionBias
from uninas.ops.modules.conv import ParallelConv
from uninas.ops.modules.regularize import ChannelScale

SMALL = {"widths": (16, 16, 32, 32), "depths": (1, 1, 1, 1)}


@pytest.fixture(scope="module")
def genotype() -> Genotype:
    """Everything that has weights: convolutions, norms, a bias table, a layer scale."""
    return uninas.blocks.network("coatnet", **SMALL, blocks=("E", "convnext", "T", "conv_attention"), input_size=64)


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_seed_decides(genotype):
    first = uninas.build(genotype, 5, seed=3)
    assert same_weights(first, uninas.build(genotype, 5, seed=3))
    assert not same_weights(first, uninas.build(genotype, 5, seed=4))
    for (name, a), b in zip(first.named_parameters(), uninas.build(genotype, 5, seed=4).parameters()):
        drawn = name.endswith("table") or (a.dim() > 1 and "norm" not in name)
        assert torch.equal(a, b) == (not drawn), name


def test_rewriting_does_not_change_the_weights(genotype):
    assert same_weights(uninas.build(genotype, 5, passes=()), uninas.build(genotype, 5, passes=PASSES))


def test_gradients_of_one_image_are_those_of_two_alike():
    """Behind attention a single image has strides with which the wrong layout of a grouped weight gives wrong ones."""
    one = GraphBuilder()
    grouped = one.build(one.add("conv", attention(one, one.input, heads=2, bias_size=None), groups=2))
    two = GraphBuilder()
    halves = two.ports(two.add("chunk", attention(two, two.input, heads=2, bias_size=None), parts=2))
    batched = two.build(two.add("concat", *(two.add("conv", half) for half in halves)))
    net = uninas.build(wrap(grouped, batched, residual=False), 5).eval()
    assert any(isinstance(module, ParallelConv) for module in net.modules())
    image = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    gradients = []
    for x in (image, image.expand(2, -1, -1, -1).contiguous()):
        net.zero_grad()
        net(x).square().sum().backward()
        gradients.append([p.grad.clone() / len(x) for p in net.parameters() if p.grad is not None])
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)


def test_equal_genotypes_get_equal_weights(genotype):
    """Names and the order of writing do not matter: parameters come in the order of the canonical form."""
    from graphs import benchmark

    disguised = genotype.map_graphs(lambda graph: benchmark("canonical_key").disguised(graph, random.Random(0)))
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(uninas.build(disguised, 5).eval()(x), uninas.build(genotype, 5).eval()(x))


def test_ids_do_not_decide_weights():
    """Not even those that name parts of a network."""
    nets = []
    for name in ("stem", "head", "down", "anything"):
        b = GraphBuilder()
        x = b.add("conv", b.input, id=name)
        nets.append(uninas.build(wrap(b.build(b.add("conv", b.add("gelu", x), id="last"))), 3))
    for net in nets[1:]:
        for ours, theirs in zip(net.parameters(), nets[0].parameters()):
            assert torch.equal(ours, theirs)


def test_what_two_networks_share_is_equal(genotype):
    """Networks that differ in one sub-block have the same weights everywhere else."""
    b = GraphBuilder()
    changed = genotype.with_graph((1, 0, 0), b.build(b.add("conv", b.input, kernel=3)))
    ours, theirs = uninas.build(genotype, 5).state_dict(), uninas.build(changed, 5).state_dict()
    here = "stages.1.0.subblocks.0.graph."
    rest = [name for name in ours if not name.startswith(here)]
    assert rest == [name for name in theirs if not name.startswith(here)]
    assert all(torch.equal(ours[name], theirs[name]) for name in rest)
    assert len(rest) < len(ours)


def test_a_backbone_has_the_weights_of_its_classifier(genotype):
    classifier = uninas.build(genotype, 5, seed=1).state_dict()
    backbone = uninas.build(genotype, seed=1, features_only=True, out_indices=(0, 1)).state_dict()
    assert backbone
    assert all(torch.equal(classifier[name], value) for name, value in backbone.items())


def seed_everything() -> None:
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)


def test_global_random_state_is_neither_read_nor_written(genotype):
    seed_everything()
    first = uninas.build(genotype, 5)
    after = torch.rand(3), random.random(), np.random.rand()
    seed_everything()
    expected = torch.rand(3), random.random(), np.random.rand()
    assert torch.equal(after[0], expected[0])
    assert after[1:] == expected[1:]
    torch.manual_seed(123)
    assert same_weights(first, uninas.build(genotype, 5))


def test_the_number_of_threads_does_not_matter(genotype):
    first = uninas.build(genotype, 5)
    torch.set_num_threads(2)
    try:
        assert same_weights(first, uninas.build(genotype, 5))
    finally:
        torch.set_num_threads(1)


def test_initial_weights():
    """Kaiming normal by fan in for convolutions and linears, zeros for biases, ones for norms."""
    net = uninas.build(uninas.blocks.network("coatnet", widths=(32, 64, 64, 96), depths=(1, 1, 1, 1)), 100)
    checked = 0
    for name, module in net.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            weight = module.weight
            expected = math.sqrt(2 / weight[0].numel())
            assert weight.std().item() == pytest.approx(expected, rel=8 / math.sqrt(weight.numel())), name
            assert abs(weight.mean().item()) < 6 * expected / math.sqrt(weight.numel()), name
            assert module.bias is None or not module.bias.any()
            checked += 1
        elif isinstance(module, (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)):
            assert (module.weight == 1).all()
            assert not module.bias.any()
            if isinstance(module, nn.BatchNorm2d):
                assert not module.running_mean.any()
                assert (module.running_var == 1).all()
                assert module.num_batches_tracked == 0
        elif isinstance(module, RelativePositionBias):
            assert module.table.std().item() == pytest.approx(0.02, rel=0.2)
        elif isinstance(module, ChannelScale):
            assert (module.weight == module.init).all()
    assert checked > 20


def test_initial_weights_for_training():
    """As `initialise` says: Xavier where no batch norm takes the scale away, else kaiming by fan out."""
    net = uninas.build(
        uninas.blocks.network("coatnet", widths=(32, 64, 64, 96), depths=(1, 1, 1, 1)), 100, init="train"
    )
    checked = {"plain": 0, "normed": 0, "linear": 0}
    for name, module in net.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            weight = module.weight
            transformer = name.startswith(("stages.2.0.", "stages.3.0.")) and ".graph." in name
            kind = "linear" if isinstance(module, nn.Linear) else "plain" if transformer else "normed"
            fan_out = weight.shape[0] * weight[0, 0].numel() // getattr(module, "groups", 1)
            expected = math.sqrt(2 / (fan_out + (0 if kind == "normed" else weight[0].numel())))
            assert weight.std().item() == pytest.approx(expected, rel=8 / math.sqrt(weight.numel())), name
            assert module.bias is None or not module.bias.any()
            checked[kind] += 1
        elif isinstance(module, RelativePositionBias):
            assert module.table.std().item() == pytest.approx(0.02, rel=0.2)
    assert min(checked.values()) > 0, checked


def test_both_schemes_draw_the_same_numbers(genotype):
    """From the seed alone, each times its own deviation: `search` is what is built unless something else is said."""
    first = uninas.build(genotype, 5, seed=3, init="train")
    assert same_weights(first, uninas.build(genotype, 5, seed=3, init="train", passes=()))
    search = uninas.build(genotype, 5, seed=3)
    assert same_weights(search, uninas.build(genotype, 5, seed=3, init="search"))
    assert not same_weights(search, first)
    for (name, a), b in zip(search.named_parameters(), first.parameters()):
        if a.dim() > 1 and not name.endswith("table"):
            torch.testing.assert_close(a / a.std(), b / b.std(), msg=name)


def test_no_weights_are_alike():
    net = uninas.build(uninas.blocks.network("resnet", **SMALL), 5)
    drawn = [p.flatten()[:8].tolist() for p in net.parameters() if p.dim() > 1]
    assert len({tuple(values) for values in drawn}) == len(drawn) > 8


def test_the_result_is_an_ordinary_module(genotype):
    net = uninas.build(genotype, 5)
    assert net.training
    assert all(p.device.type == "cpu" and p.dtype is torch.float32 and p.requires_grad for p in net.parameters())
    assert all(p.is_leaf for p in net.parameters())
    assert net.genotype == genotype


@pytest.mark.parametrize("passes", [(), PASSES], ids=["plain", "rewritten"])
def test_copies(genotype, passes):
    net = uninas.build(genotype, 5, passes=passes).eval()
    x = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        expected = net(x)
    stored = io.BytesIO()
    torch.save(net, stored)
    stored.seek(0)
    for again in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), torch.load(stored, weights_only=False)):
        with torch.no_grad():
            assert torch.equal(again(x), expected)
        assert again.genotype == genotype
        with torch.no_grad():
            for p in again.parameters():
                p.mul_(2)
            assert not torch.allclose(again(x), expected)
    with torch.no_grad():
        assert torch.equal(net(x), expected)


def test_state_dict_round_trip(genotype, tmp_path):
    trained, fresh = (uninas.build(genotype, 5, seed=seed).eval() for seed in (0, 1))
    torch.save(trained.state_dict(), tmp_path / "weights.pth")
    fresh.load_state_dict(torch.load(tmp_path / "weights.pth", weights_only=True), strict=True)
    x = torch.randn(2, 3, 64, 48)
    assert torch.equal(fresh(x), trained(x))


def test_state_dict_of_plain_and_rewritten_are_one(genotype):
    plain, rewritten = uninas.build(genotype, 5, seed=0, passes=()), uninas.build(genotype, 5, seed=1)
    rewritten.load_state_dict(plain.state_dict(), strict=True)
    x = torch.randn(2, 3, 64, 48)
    torch.testing.assert_close(rewritten.eval()(x), plain.eval()(x), rtol=1e-4, atol=1e-5)


def test_code_is_printable_and_clean(genotype):
    net = uninas.build(genotype, 5)
    graphs = [module for module in net.modules() if isinstance(module, torch.fx.GraphModule)]
    assert len(graphs) == len(list(genotype.subblocks))
    for module in graphs:
        module.graph.lint()
        assert "def forward(self, x)" in module.code
        module.recompile()
        assert not any(isinstance(arg, int) and arg > 8 for n in module.graph.nodes for arg in n.args)  # no sizes


def test_names_in_the_code_are_the_ids_of_the_graph(genotype):
    net = uninas.build(genotype, 5, passes=())
    for (_, sub), module in zip(genotype.subblocks, (m for m in net.modules() if isinstance(m, torch.fx.GraphModule))):
        assert {str(n.target) for n in module.graph.nodes if n.op == "call_module"} == set(sub.graph.ops)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_dropout_only_while_training(rate):
    b = GraphBuilder()
    net = uninas.build(wrap(b.build(b.add("dropout", b.input, p=rate))), 4)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(net.eval()(x), net(x))
    assert torch.equal(net.train()(x), net(x)) == (rate == 0)


BAD = {
    "num_classes": [-1, 2.0, "10", None, True],
    "seed": [1.5, "0", None, True],
    "drop_path_rate": [1, 1.5, -0.1, "0.1", None, float("nan"), True],
    "features_only": [1, "yes", None],
    "out_indices": [(), (4,), (-1,), (0, 0), (1, 0), (0.0,), ("0",), 3, "03", (True, 2)],
    "passes": [None, 5, ("fuse_attention",), "all"],
    "init": [None, "", "training", 1],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_bad_arguments(genotype, name, value):
    arguments = {"features_only": True, name: value} if name == "out_indices" else {name: value}
    with pytest.raises(GenotypeError) as error:
        uninas.build(genotype, **arguments)
    assert error.value.path == name


def test_out_indices_need_features_only(genotype):
    with pytest.raises(GenotypeError, match="out_indices: needs features_only=True"):
        uninas.build(genotype, out_indices=(0,))


@pytest.mark.parametrize("value", [None, "coatnet", {}, one_graph({"nodes": []})])
def test_only_a_genotype_is_built(value):
    with pytest.raises(GenotypeError) as error:
        uninas.build(value)
    assert error.value.path == "genotype"
