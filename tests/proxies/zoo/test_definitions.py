"""Values against the definitions, computed here in the slow and obvious way."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import uninas
from uninas import proxies
from uninas.proxies import ProxyFailure
from uninas.proxies.base import weights_of
from uninas.proxies.blocks import find_blocks
from uninas.proxies.zoo.az_nas import _entropy, _spectral_norm

from ..nets import CLASSES, images, make


def value(name: str, net: nn.Module, x: torch.Tensor, **options) -> float:
    return proxies.get(name)(net, x, torch.Generator().manual_seed(0), **options)


def relu_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Conv2d(4, 5, 3, bias=False), nn.ReLU(), nn.Flatten(),
        nn.Linear(80, CLASSES, bias=False),
    )  # fmt: skip


LABELS = torch.tensor([0, 1, 2, 3, 0, 1])


def loss_and_gradients(net: nn.Module, x: torch.Tensor, labels: torch.Tensor, parameters: list) -> list[torch.Tensor]:
    net.eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    return list(torch.autograd.grad(F.cross_entropy(net(x), labels), parameters))


def test_counts():
    net = relu_net()
    conv = 3 * 4 * 9 * 36 + 4 * 5 * 9 * 16
    assert value("macs", net, images()) == value("complexity", net, images()) == conv + 80 * CLASSES
    assert value("params", net, images()) == 3 * 4 * 9 + 4 * 5 * 9 + 80 * CLASSES
    assert value("trainable_layers", make("tied"), images()) == 11


@pytest.mark.parametrize("name", uninas.blocks.NETWORKS)
def test_attention_counts_as_its_matrix_products(name):
    genotype = uninas.blocks.network(name, widths=(16, 16, 32, 32), depths=(1, 1, 1, 1), input_size=64)
    found = value("macs", uninas.build(genotype, CLASSES), torch.zeros(1, 3, 64, 96))
    assert found == uninas.cost(genotype, (64, 96), CLASSES).macs


def test_naswot_counts_agreeing_gates():
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(192, 20), nn.GELU(), nn.Linear(20, CLASSES), nn.ReLU()), images()
    hidden = net[1](x.flatten(1))
    codes = torch.cat([hidden > 0, net[3](F.gelu(hidden)) > 0], 1)
    kernel = [[float((a == b).sum()) for a in codes] for b in codes]
    assert value("naswot", net, x) == pytest.approx(np.linalg.slogdet(np.array(kernel))[1], rel=1e-9)


def test_naswot_sees_functional_and_inplace_gates():
    class Functional(nn.Module):
        def __init__(self, gate):
            super().__init__()
            self.inner, self.outer, self.gate = nn.Linear(192, 20), nn.Linear(20, CLASSES), gate

        def forward(self, x):
            return self.outer(self.gate(self.inner(x.flatten(1))))

    def score(gate):
        torch.manual_seed(0)
        return value("naswot", Functional(gate), images())

    gates = [F.relu, torch.relu, torch.Tensor.relu_, lambda t: F.relu(t, inplace=True), nn.ReLU(inplace=True), F.silu]
    assert len({round(score(gate), 6) for gate in gates}) == 1
    with pytest.raises(ProxyFailure, match="no gates"):
        score(torch.tanh)


def test_naswot_of_equal_images_fails():
    with pytest.raises(ProxyFailure, match="samples alike"):
        value("naswot", relu_net(), images(1).expand(3, -1, -1, -1))


def test_jacov():
    net, x = make("convolutional"), images()
    for module in net.modules():
        module.training = isinstance(module, nn.BatchNorm2d)
    x.requires_grad_()
    jacobians = torch.autograd.grad(net(x).sum(), x)[0].flatten(1).numpy()
    v = np.linalg.eigvalsh(np.corrcoef(jacobians))
    expected = -np.sum(np.log(v + 1e-5) + 1 / (v + 1e-5))
    assert value("jacov", make("convolutional"), x.detach()) == pytest.approx(expected, rel=1e-3)


def test_gradnorm_and_snip():
    net, x = make("convolutional"), images()
    n = make("convolutional")
    gradients = loss_and_gradients(n, x, LABELS, list(n.parameters()))
    expected = math.sqrt(sum(float((g**2).sum()) for g in gradients))
    assert value("gradnorm", net, x, labels=LABELS) == pytest.approx(expected, rel=1e-4)
    weights = weights_of(n)
    expected = sum(
        float((w.detach() * g).abs().sum()) for w, g in zip(weights, loss_and_gradients(n, x, LABELS, weights))
    )
    assert value("snip", net, x, labels=LABELS) == pytest.approx(expected, rel=1e-4)


def test_grasp_is_a_finite_difference_of_gradients():
    net, x = make("convolutional").double(), images().double()
    other = make("convolutional").double()
    weights = weights_of(other)
    gradients = loss_and_gradients(other, x, LABELS, weights)
    step = 1e-6
    with torch.no_grad():
        for w, g in zip(weights, gradients):
            w.add_(g, alpha=step)
    moved = loss_and_gradients(other, x, LABELS, weights)
    originals = weights_of(net)
    expected = -sum(float((w.detach() * (m - g) / step).sum()) for w, m, g in zip(originals, moved, gradients))
    assert value("grasp", net, x, labels=LABELS) == pytest.approx(expected, rel=1e-3)


def test_synflow_is_conserved_from_layer_to_layer():
    """Every layer of a bias-free ReLU network carries the whole flow R."""
    net = relu_net()
    expected = 3 * float(positive(net)(torch.ones(1, 3, 8, 8).double()).detach().sum())
    assert value("synflow", net, images()) == pytest.approx(expected, rel=1e-9)


def positive(net: nn.Module) -> nn.Module:
    copy = relu_net()
    copy.load_state_dict({name: tensor.abs() for name, tensor in net.state_dict().items()})
    return copy.double()


def test_synflow_skips_norms():
    net = relu_net()
    with_norms = nn.Sequential(net[0], nn.BatchNorm2d(4), net[1], net[2], nn.GroupNorm(1, 5), *list(net)[3:])
    assert value("synflow", net, images()) == value("synflow", with_norms, images())


def test_zico():
    net, x = make("convolutional"), images()
    weights = weights_of(net)
    batches = [loss_and_gradients(net, half, labels, weights) for half, labels in zip(x.split(3), LABELS.split(3))]
    expected = 0.0
    for pair in zip(*batches):
        g = np.stack([t.numpy().ravel() for t in pair]).astype(np.float64)
        std, mean = g.std(0), np.abs(g).mean(0)
        expected += math.log((mean[std > 0] / std[std > 0]).sum())
    assert value("zico", make("convolutional"), x, labels=LABELS) == pytest.approx(expected, rel=1e-3)
    with pytest.raises(ProxyFailure, match="too few samples"):
        value("zico", net, x[:1])


def test_zen_undoes_batch_norm():
    """A batch norm takes a scale out of f, and its variance puts that back."""

    class Features(nn.Sequential):
        def forward(self, x):
            return super().forward(x).mean((2, 3))

    x = images(16)
    plain = value("zen", Features(nn.Conv2d(3, 64, 3), nn.Conv2d(64, 64, 3)), x)
    generator = torch.Generator().manual_seed(0)
    w1, w2 = (torch.randn(64, c, 3, 3, generator=generator) for c in (3, 64))
    noise = torch.randn(x.shape, generator=generator)

    def f(t):
        return F.conv2d(F.conv2d(t, w1), w2)

    expected = math.log(float((f(x) - f(x + 0.01 * noise)).abs().sum((1, 2, 3)).mean()))
    assert plain == pytest.approx(expected, rel=1e-4)
    normed = Features(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64, momentum=1.0), nn.Conv2d(64, 64, 3))
    assert value("zen", normed, x) == pytest.approx(plain, abs=0.1)


class Cells(nn.Module):
    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.stem, self.blocks, self.head = nn.Conv2d(3, 6, 3, padding=1), nn.Sequential(*blocks), nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class Linear1x1(nn.Module):
    def __init__(self, matrix: torch.Tensor) -> None:
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def forward(self, x):
        return torch.einsum("oc,bchw->bohw", self.matrix, x)


def test_az_nas_of_known_blocks():
    half, double = Linear1x1(0.5 * torch.eye(6)), Linear1x1(2 * torch.eye(6))
    net, x = Cells(half, double), images(64, 16)
    blocks = list(net.blocks)
    # scaling changes no shares: equal entropies, at most ln 6
    total = value("expressivity", net, x, blocks=blocks)
    features = net.stem(x).movedim(1, -1).flatten(0, 2).detach().double().numpy()
    shares = np.linalg.eigvalsh(np.cov(features.T))
    shares = shares / shares.sum()
    assert total == pytest.approx(-3 * (shares * np.log(shares)).sum(), rel=1e-5)
    assert value("progressivity", net, x, blocks=blocks) == pytest.approx(0, abs=1e-5)
    # g_in g_out^T = 0.5 * (identity + noise of many positions), and 2 * that
    expected = np.mean([2 - s - 1 / s for s in (0.5, 2.0)])
    assert value("trainability", net, x, blocks=blocks) == pytest.approx(expected, abs=0.1)
    identity = Cells(Linear1x1(torch.eye(6)), half)
    with pytest.raises(ProxyFailure, match="identity block"):
        value("trainability", identity, x, blocks=list(identity.blocks))


def test_entropy_is_the_same_by_either_gram_matrix():
    feature = torch.randn(5, 9, generator=torch.Generator().manual_seed(0)).double()
    eigenvalues = np.linalg.eigvalsh(np.cov(feature.numpy().T)).clip(0)
    shares = eigenvalues / eigenvalues.sum()
    assert _entropy(feature) == pytest.approx(-(shares * np.log(shares + 1e-8)).sum(), rel=1e-6)
    assert _entropy(feature) == pytest.approx(_entropy(torch.cat([feature, feature])), rel=1e-6)


def test_spectral_norm_across_resolutions():
    """A 2 x 2 patch convolution: the four input positions of each output position act as channels."""
    g_out = torch.randint(2, (32, 5, 4, 4), generator=torch.Generator().manual_seed(0)).mul(2).sub(1).float()
    weight = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    g_in = F.conv_transpose2d(g_out, weight, stride=2)
    expected = float(torch.linalg.matrix_norm(weight.flatten(1), 2))
    assert _spectral_norm(g_in, g_out) == pytest.approx(expected, rel=0.25)
    odd = g_in[..., :7, :7]  # 7 -> 4: zeros make up what is missing of 8
    assert _spectral_norm(odd, g_out) == pytest.approx(_spectral_norm(F.pad(odd, (0, 1, 0, 1)), g_out), rel=1e-5)


def test_blocks_of_timm_networks():
    import timm

    for name, options, count in (
        ("resnet18", {}, 8), ("test_vit", {"img_size": 32}, 6), ("convnext_atto", {}, 12), ("mobilenetv2_050", {}, 17),
        ("coatnet_nano_rw_224", {"img_size": 64}, 16),
    ):  # fmt: skip
        assert len(find_blocks(timm.create_model(name, **options))) == count, name


def test_marked_blocks_come_first():
    net = Cells(Linear1x1(torch.eye(6)), Linear1x1(torch.eye(6)))
    with pytest.raises(ProxyFailure, match="no blocks"):
        find_blocks(net)
    for block in net.blocks:
        block.is_block = True
    assert all(a is b for a, b in itertools.zip_longest(find_blocks(net), net.blocks))


def test_expressivity_and_progressivity_take_one_pass():
    net = Cells(Linear1x1(torch.eye(6)), Linear1x1(0.5 * torch.eye(6)))
    for block in net.blocks:
        block.is_block = True
    passes = []
    net.stem.register_forward_hook(lambda *_: passes.append(1))
    found = proxies.score(net, ["expressivity", "progressivity"], images())
    assert len(passes) == 1
    for name, score in found.items():
        assert score.value == value(name, net, images())


def test_relu6_is_a_gate():
    def net(gate: nn.Module) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 20), gate, nn.Linear(20, CLASSES))

    assert value("naswot", net(nn.ReLU6()), images()) == value("naswot", net(nn.ReLU()), images())
    with pytest.raises(ProxyFailure, match="no gates"):
        value("naswot", net(nn.Hardtanh()), images())


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("norm", [nn.utils.parametrizations.weight_norm, nn.utils.weight_norm])
def test_computed_weights_have_gradients_too(norm):
    """They were zero, as the weight that a layer holds is computed anew in every forward pass."""
    net, x = relu_net(), images()
    norm(net[2])
    parameters = [p for p in net.parameters() if p.dim() > 1]
    assert len(parameters) == 4
    expected = loss_and_gradients(net, x, LABELS, parameters)
    found = value("snip", net, x, labels=LABELS)
    assert found == pytest.approx(
        sum(float((p.detach() * g).abs().sum()) for p, g in zip(parameters, expected)), rel=1e-4
    )


@pytest.mark.parametrize("build", [nn.utils.parametrizations.weight_norm, lambda layer: layer])
def test_synflow_leaves_what_a_network_keeps_as_it_was(build):
    class Keeping(nn.Module):
        """In eval mode keeps what it computes of a parameter, as timm's LeViT does."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bias, self.kept = build(nn.Conv2d(3, CLASSES, 3)), nn.Parameter(torch.ones(1, 1)), {}

        def forward(self, x):
            self.kept.setdefault("bias", self.bias * 2)
            return self.conv(x).mean((2, 3)) + self.kept["bias"]

    net, x = Keeping(), images()
    before = value("gradnorm", net, x, labels=LABELS)
    assert value("synflow", net, x) > 0
    assert not net.kept
    assert value("gradnorm", net, x, labels=LABELS) == before
    assert net(x).dtype == torch.float32


def test_gates_that_see_no_images_do_not_count():
    class Biased(nn.Module):
        """A small network makes biases of positions, as in timm's MaxViT."""

        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 20)), nn.Linear(20, CLASSES)
            self.inner = nn.Linear(192, 20)

        def forward(self, x):
            bias = self.table(torch.arange(8.0).view(4, 2)).mean(0)
            return self.head(F.relu(self.inner(x.flatten(1)) + bias))

    torch.manual_seed(0)
    net, x = Biased(), images(7)
    opened = net.inner(x.flatten(1)) + net.table(torch.arange(8.0).view(4, 2)).mean(0) > 0
    kernel = [[float((a == b).sum()) for a in opened] for b in opened]
    assert value("naswot", net, x) == pytest.approx(np.linalg.slogdet(np.array(kernel))[1], rel=1e-9)
