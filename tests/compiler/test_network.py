"""The network object, as users of timm and OpenMMLab handle it."""

import copy

import pytest
import torch
from graphs import WIDTH, random_graph, wrap
from torch import nn

import uninas
from uninas import Genotype, GenotypeError
from uninas.compiler import PASSES
from uninas.genotype import Block, Downsample, GraphBuilder, Stage, Stem, StemConv, SubBlock
from uninas.genotype.downsample import DOWNSAMPLING

SMALL = {"widths": (16, 16, 32, 32), "depths": (1, 2, 1, 1)}
SIZES = [(64, 64), (65, 97), (33, 47), (96, 32)]


@pytest.fixture(scope="module")
def genotype() -> Genotype:
    return uninas.blocks.network("coatnet", **SMALL, input_size=64)


def kinds(stem_stride: int, *names: str) -> Genotype:
    """Kinds of downsampling, one behind the other."""
    b = GraphBuilder()
    block = Block((SubBlock(b.build(b.add("conv", b.input, kernel=3))),))
    width, stages = 8, []
    for kind in names:
        width += 0 if kind == "none" else 8
        stages.append(Stage(width, (block, block), Downsample(kind)))
    return Genotype(tuple(stages), Stem((StemConv(8, 3, stem_stride),)))


def test_logits_and_pooled_features(genotype):
    x = torch.randn(2, 3, 64, 96)
    net = uninas.build(genotype, num_classes=7).eval()
    assert net(x).shape == (2, 7)
    headless = uninas.build(genotype, num_classes=0).eval()
    pooled = headless(x)
    assert pooled.shape == (2, 32)
    assert headless.num_features == net.num_features == 32
    assert headless.num_classes == 0
    linear = [m for m in net.modules() if isinstance(m, nn.Linear)]
    assert len(linear) == 1
    torch.testing.assert_close(nn.functional.linear(pooled, linear[0].weight, linear[0].bias), net(x))
    assert net.forward_features(x).shape == (2, 32, 2, 3)


NETWORKS = {
    **{name: uninas.blocks.network(name, **SMALL) for name in uninas.blocks.NETWORKS},
    "every layer": kinds(2, "project", "conv", "none", "patch", "basic", "pool"),
    "plain pools": kinds(2, "conv", "plain_pool", "pool"),
    "every unit": kinds(1, "plain_conv", "bottleneck", "inverted", "mbconv", "attention"),
}


def test_every_kind_of_downsampling_is_there():
    used = {stage.downsample.kind for name in NETWORKS for stage in NETWORKS[name].stages}
    assert used == set(DOWNSAMPLING)


@pytest.mark.parametrize("name", NETWORKS)
def test_declared_channels_and_strides(name):
    genotype = NETWORKS[name]
    net = uninas.build(genotype, features_only=True).eval()
    assert net.out_indices == tuple(range(len(genotype.stages)))
    for size in SIZES:
        features = net(torch.randn(1, 3, *size))
        assert isinstance(features, tuple)
        assert [f.shape[1] for f in features] == list(net.channels)
        for f, stride in zip(features, net.strides):
            for side, full in zip(f.shape[2:], size):
                assert full // stride <= side <= -(-full // stride)  # exact where divisible


@pytest.mark.parametrize("indices", [(0,), (1, 3), (0, 1, 2, 3), (2,), [0, 2]])
def test_out_indices(genotype, indices):
    x = torch.randn(1, 3, 65, 97)
    everything = uninas.build(genotype, features_only=True).eval()
    net = uninas.build(genotype, features_only=True, out_indices=indices).eval()
    found, expected = net(x), everything(x)
    assert len(found) == len(indices)
    for f, i in zip(found, indices):
        assert torch.equal(f, expected[i])
    assert net.channels == tuple(everything.channels[i] for i in indices)
    assert net.strides == tuple(everything.strides[i] for i in indices)
    assert len(net.stages) == max(indices) + 1  # what nothing reads is not there
    loss = sum(f.square().mean() for f in net.train()(torch.randn(2, 3, 64, 64)))
    loss.backward()
    assert all(p.grad is not None for p in net.parameters())


def test_every_parameter_gets_a_gradient(genotype):
    for name in NETWORKS:
        net = uninas.build(NETWORKS[name], num_classes=3)
        net(torch.randn(2, 3, 64, 64)).square().sum().backward()
        missing = [n for n, p in net.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
        assert not missing


def test_images_do_not_touch(genotype):
    net = uninas.build(genotype, 4).eval()
    x = torch.randn(3, 3, 40, 56)
    torch.testing.assert_close(torch.cat([net(x[i : i + 1]) for i in range(3)]), net(x), rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------------------------------------ fused and plain


def compare(genotype: Genotype, sizes: list[tuple[int, int]], classes: int, backward: bool) -> None:
    """Plain and rewritten, same seed: numbers and gradients within 1e-5 of their scale."""
    plain, rewritten = (uninas.build(genotype, classes, passes=passes) for passes in ((), PASSES))
    for size in sizes:
        x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
        outs = []
        for net in (plain, rewritten):
            net.zero_grad()
            out = net.train(backward)(x) if backward else net.eval()(x)
            if backward:
                (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()
            outs.append(out.detach())
        torch.testing.assert_close(outs[1], outs[0], rtol=1e-5, atol=1e-5 * float(outs[0].abs().max().clamp(min=1)))
        if backward:
            for (name, p), q in zip(plain.named_parameters(), rewritten.parameters()):
                scale = float(p.grad.abs().max().clamp(min=1))
                torch.testing.assert_close(
                    q.grad, p.grad, rtol=1e-4, atol=1e-5 * scale, msg=lambda m, n=name: f"{n}: {m}"
                )


@pytest.mark.parametrize("name", uninas.blocks.NETWORKS)
def test_rewritten_networks_equal_plain_ones(name):
    compare(uninas.blocks.network(name, **SMALL, input_size=64), [(64, 64), (96, 64), (33, 65)], 5, backward=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit", "coatnet"])
def test_published_networks_equal_plain_ones(name):
    with torch.no_grad():
        compare(uninas.blocks.network(name), [(224, 224), (256, 192)], 1000, backward=False)


# ------------------------------------------------------------------------------------------------ hooks


def test_hooks_on_joined_convolutions_fire():
    """Whoever hooks a convolution sees what the plain network would show, and changes nothing by looking."""
    b = GraphBuilder()
    parts = b.ports(b.add("chunk", b.input))
    joined = b.add("concat", *(b.add("conv", part, kernel=3) for part in parts))
    shared = [b.add("conv", joined) for _ in range(2)]
    genotype = wrap(b.build(b.add("add", *shared)))
    x = torch.randn(2, 3, 6, 5)
    plain, rewritten = (uninas.build(genotype, 3, passes=passes) for passes in ((), PASSES))
    names = {type(m).__name__ for m in rewritten.modules()}
    assert {"ParallelConv", "SharedInputConv"} <= names
    expected = rewritten(x)

    def watch(net: nn.Module) -> tuple[dict, list]:
        seen, handles = {}, []
        for name, module in net.named_modules():
            if isinstance(module, nn.Conv2d):
                handles += [
                    module.register_forward_pre_hook(lambda m, args, n=name: seen.update({f"before {n}": args[0]})),
                    module.register_forward_hook(lambda m, args, out, n=name: seen.update({f"behind {n}": out})),
                    module.register_full_backward_hook(
                        lambda m, gi, go, n=name: seen.update({f"gradient behind {n}": go[0]})
                    ),
                ]
        return seen, handles

    (shown, _), (found, handles) = watch(plain), watch(rewritten)
    for net in (plain, rewritten):
        net.zero_grad()
        net(x).square().sum().backward()
    assert set(found) == set(shown)
    assert len(found) == 3 * 5
    for name, value in shown.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5, msg=name)
    torch.testing.assert_close(rewritten(x), expected)
    for handle in handles:
        handle.remove()
    found.clear()
    assert torch.equal(rewritten(x), expected)
    assert not found


@pytest.mark.parametrize("kind", ["register_forward_pre_hook", "register_full_backward_pre_hook"])
def test_a_single_hook_of_any_kind_fires(kind):
    b = GraphBuilder()
    net = uninas.build(wrap(b.build(b.add("add", b.add("conv", b.input), b.add("conv", b.input)))), 3)
    conv = next(m for n, m in net.named_modules() if n.endswith("graph.conv_2"))
    seen = []
    getattr(conv, kind)(lambda *args: seen.append(len(args)))
    net(torch.randn(1, 3, 4, 4)).sum().backward()
    assert len(seen) == 1


def test_a_hook_may_change_the_output():
    b = GraphBuilder()
    genotype = wrap(b.build(b.add("add", b.add("conv", b.input), b.add("conv", b.input))))
    nets = [uninas.build(genotype, 3, passes=passes) for passes in ((), PASSES)]
    x = torch.randn(1, 3, 4, 4)
    before = nets[0](x)
    for net in nets:
        conv = next(m for n, m in net.named_modules() if n.endswith("graph.conv"))
        conv.register_forward_hook(lambda m, args, out: 2 * out)
    torch.testing.assert_close(nets[1](x), nets[0](x))
    assert not torch.allclose(nets[1](x), before)


class Adapted(nn.Module):
    """What an adapter puts in a convolution's place."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv, self.scale = conv, nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.scale * self.conv(x)


def test_a_joined_convolution_may_be_replaced():
    b = GraphBuilder()
    genotype = wrap(b.build(b.add("concat", *(b.add("conv", part) for part in b.ports(b.add("chunk", b.input))))))
    net = uninas.build(genotype, 3)
    assert any(type(m).__name__ == "ParallelConv" for m in net.modules())
    x = torch.randn(1, 3, 4, 4)
    expected = net(x)
    graph = net.stages[0][0].subblocks[0].graph  # type: ignore
    graph.conv = Adapted(graph.conv)
    torch.testing.assert_close(net(x), expected)
    net(x).sum().backward()
    assert graph.conv.scale.grad is not None
    torch.nn.utils.parametrizations.weight_norm(graph.conv_2)
    torch.testing.assert_close(net(x), expected)


# ------------------------------------------------------------------------------------------------ training aids


def drop_paths(net: nn.Module) -> list[float]:
    return [m.drop_prob for m in net.modules() if type(m).__name__ == "DropPath"]


def test_drop_path_rises_from_zero(genotype):
    assert drop_paths(uninas.build(genotype, 3)) == []
    net = uninas.build(genotype, 3, drop_path_rate=0.4)
    # 5 blocks: the first has rate 0; blocks 4 and 5 are transformers with two sub-blocks each
    assert drop_paths(net) == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.4, 0.4])
    backbone = uninas.build(genotype, features_only=True, out_indices=(1, 2), drop_path_rate=0.4)
    assert drop_paths(backbone) == pytest.approx([0.1, 0.2, 0.3, 0.3])


def test_drop_path_of_units_with_a_shortcut():
    net = uninas.build(NETWORKS["every unit"], 3, drop_path_rate=0.9)
    rates = {i: drop_paths(stage[0].down_drop_path) for i, stage in enumerate(net.stages)}  # type: ignore[arg-type]
    assert {i: bool(found) for i, found in rates.items()} == {0: False, 1: True, 2: False, 3: True, 4: True}
    assert rates[4] == pytest.approx([0.8])


def test_drop_path_works_while_training_only(genotype):
    plain, dropping = uninas.build(genotype, 3), uninas.build(genotype, 3, drop_path_rate=0.9)
    x = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(dropping.eval()(x), plain.eval()(x))
    dropping.train()
    assert not torch.allclose(dropping(x), dropping(x))


def test_no_drop_path_without_a_shortcut():
    """Dropping the only path would leave nothing."""
    graph = GraphBuilder()
    alone = graph.build(graph.add("conv", graph.input))
    stage = Stage(8, (Block((SubBlock(alone, residual=False), SubBlock(alone))),) * 2, Downsample("none"))
    genotype = Genotype((stage,), Stem((StemConv(8, 1),)))
    assert drop_paths(uninas.build(genotype, 3, drop_path_rate=0.2)) == [0.2]


def test_checkpointing_gives_the_same_gradients(genotype):
    plain = uninas.build(genotype, 3, drop_path_rate=0.3)
    saving = uninas.build(genotype, 3, drop_path_rate=0.3)
    saving.set_grad_checkpointing()
    x = torch.randn(2, 3, 64, 64)
    kept = []
    for net in (plain, saving):
        torch.manual_seed(0)
        count = [0]

        def pack(tensor, count=count):
            count[0] += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            out = net(x)
        kept.append(count[0])
        out.square().sum().backward()
    for (name, p), q in zip(plain.named_parameters(), saving.parameters()):
        torch.testing.assert_close(q.grad, p.grad, msg=name)
    assert kept[1] < kept[0] / 2
    saving.set_grad_checkpointing(False)
    assert saving.checkpointing is False
    torch.testing.assert_close(saving.eval()(x), plain.eval()(x), rtol=1e-3, atol=1e-3)


def test_checkpointing_works_in_a_compiled_network():
    """The same gradients as without, and a batch counts once in the running statistics."""
    genotype = wrap(*(block.subblocks[0].graph for block in (uninas.blocks.residual(8), uninas.blocks.transformer(8))))
    plain, saving = (uninas.build(genotype, 3) for _ in range(2))
    saving.set_grad_checkpointing()
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    plain(x).square().sum().backward()
    torch.compile(saving, backend="aot_eager")(x).square().sum().backward()
    for (name, p), q in zip(plain.named_parameters(), saving.named_parameters()):
        torch.testing.assert_close(q[1].grad, p.grad, rtol=1e-3, atol=1e-4, msg=name)
    statistics = [name for name, _ in plain.named_buffers() if "running" in name]
    assert statistics
    for name in statistics:
        torch.testing.assert_close(saving.get_buffer(name), plain.get_buffer(name), msg=name)


@pytest.mark.parametrize("count", [-1, 0, 1, 2, 4])
def test_frozen_stages(genotype, count):
    net = uninas.build(genotype, features_only=True)
    net.freeze_stages(count)
    frozen = [] if count < 0 else [net.stem, *list(net.stages)[:count]]
    trained = [m for m in [net.stem, *net.stages] if not any(m is f for f in frozen)]
    for mode in (True, False, True):
        net.train(mode)
        assert not any(m.training for part in frozen for m in part.modules())
        assert all(m.training == mode for part in trained for m in part.modules())
    assert not any(p.requires_grad for part in frozen for p in part.parameters())
    assert all(p.requires_grad for part in trained for p in part.parameters())
    before = copy.deepcopy(net.state_dict())
    features = net(torch.randn(2, 3, 64, 64))
    if trained:
        features[-1].square().sum().backward()
        assert all(p.grad is not None for part in trained for p in part.parameters())
    after = net.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}  # batch statistics
    expected = {"stem": count < 0, **{f"stages.{i}": i >= count for i in range(2)}}
    for prefix, moves in expected.items():
        assert any(name.startswith(prefix) for name in changed) == moves


@pytest.mark.parametrize("count", [5, -2, 1.0, "1", None, True])
def test_bad_frozen_stages(genotype, count):
    with pytest.raises(GenotypeError) as error:
        uninas.build(genotype, features_only=True).freeze_stages(count)
    assert error.value.path == "frozen_stages"


def test_layer_depth_of_every_parameter(genotype):
    net = uninas.build(genotype, 3)
    depths = {name: net.get_layer_depth(name) for name, _ in net.named_parameters()}
    assert {count for _, count in depths.values()} == {7}  # stem, 5 blocks, head
    expected = {
        "stem": 0,
        "stages.0.0": 1,
        "stages.1.0": 2,
        "stages.1.1": 3,
        "stages.2.0": 4,
        "stages.3.0": 5,
        "head": 6,
    }
    for name, (depth, _) in depths.items():
        assert depth == next(d for prefix, d in expected.items() if name.startswith(f"{prefix}.")), name
    assert list(depths.values()) == sorted(depths.values())
    assert {depth for depth, _ in depths.values()} == set(range(7))


def test_layer_depth_behind_a_prefix(genotype):
    net = uninas.build(genotype, features_only=True)
    assert net.get_layer_depth("backbone.stages.1.1.subblocks.0.graph.conv.weight", "backbone.") == (3, 7)
    with pytest.raises(GenotypeError, match=r"does not start with prefix 'backbone\.'"):
        net.get_layer_depth("stages.0.0.x", "backbone.")


def test_no_weight_decay_on_bias_tables(genotype):
    net = uninas.build(genotype, 3)
    names = dict(net.named_parameters())
    assert net.no_weight_decay()
    assert net.no_weight_decay() == {name for name in names if "rel_pos_bias" in name}


# ------------------------------------------------------------------------------------------------ other settings


@pytest.mark.parametrize("passes", [(), PASSES], ids=["plain", "rewritten"])
def test_mixed_precision(genotype, passes):
    """Autocast, training and inference, then full precision again: nothing kept in between is of the wrong kind."""
    net = uninas.build(genotype, 3, passes=passes)
    x = torch.randn(2, 3, 64, 64)
    expected = net.eval()(x).detach()
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            net.train()(x).float().square().sum().backward()
            with torch.no_grad():
                low = net.eval()(x)
        torch.testing.assert_close(low.float(), expected, rtol=0.1, atol=0.1 * float(expected.abs().max()))
        uninas_again = net(x)
        assert uninas_again.dtype is torch.float32
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_bfloat16_network(genotype):
    net = uninas.build(genotype, 3).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = net(x)
        found = net.bfloat16()(x.bfloat16())
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.1 * float(expected.abs().max()))


@pytest.mark.parametrize("size", [(32, 32), (1, 1), (32, 256), (5, 31)])
def test_small_and_narrow_images(genotype, size):
    plain, net = (uninas.build(genotype, 3, passes=passes).eval() for passes in ((), PASSES))
    x = torch.randn(2, 3, *size)
    out = net(x)
    assert torch.isfinite(out).all()
    torch.testing.assert_close(out, plain(x), rtol=1e-4, atol=1e-5)


def test_random_graphs_run_in_a_network():
    import random

    for seed in range(10):
        net = uninas.build(wrap(random_graph(random.Random(seed), 20)), 3)
        out = net(torch.randn(2, 3, 5, 7))
        assert out.shape == (2, 3)
        assert torch.isfinite(out).all()
        assert net.channels == (WIDTH,)
