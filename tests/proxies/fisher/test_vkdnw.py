from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from uninas.proxies.failures import ProxyFailure
from uninas.proxies.fisher import fast_backward
from uninas.proxies.fisher.information import fisher_information, needed_rank
from uninas.proxies.fisher.vkdnw import spectral_entropy, vkdnw

from ..nets import CLASSES, NETS, images, make


def fisher_by_definition(net: nn.Module, x: torch.Tensor, form: str, scalars: int = 128) -> torch.Tensor:
    """Straight from the formulas: float64, one sample and class at a time, full gradients, numpy's Cholesky."""
    net = net.double().eval()
    parameters = list(net.parameters())[:scalars]
    total = torch.zeros(len(parameters), len(parameters), dtype=torch.float64)
    for sample in x.double():
        z = net(sample[None])[0]
        rows = []
        for logit in z:
            gradients = torch.autograd.grad(logit, parameters, retain_graph=True, allow_unused=True)
            rows.append([0.0 if g is None else float(g.flatten()[0]) for g in gradients])
        jacobian = torch.tensor(rows, dtype=torch.float64)
        p = 0.95 * z.detach().softmax(0) + 0.05 / len(z)
        sigma = torch.diag(p) - torch.outer(p, p)
        if form == "published":
            values = sigma.numpy() + 1e-15 * np.eye(len(z))
            lower = torch.from_numpy(np.linalg.cholesky(values))
            sigma = lower.T @ lower
        total += jacobian.T @ sigma @ jacobian
    return total / len(x)


@pytest.mark.parametrize("form", ["theory", "published"])
@pytest.mark.parametrize("name", NETS)
def test_fisher_is_that_of_the_definition(name, form):
    x = images(8)
    result = vkdnw(make(name), x, fisher=form)
    expected = fisher_by_definition(make(name), x, form)
    assert (result.fisher - expected).norm() <= 1e-4 * expected.norm()
    assert (result.fisher.diagonal() - expected.diagonal()).abs().max() <= 1e-4 * expected.diagonal().max()
    assert result.score == pytest.approx(spectral_entropy(expected)[0], abs=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_plain_autograd_gives_the_same(name):
    x = images(8)
    fast, plain = (vkdnw(make(name), x, jacobian=how) for how in ("taps", "autograd"))
    assert (fast.fisher - plain.fisher).norm() <= 1e-4 * plain.fisher.norm()


@pytest.mark.parametrize("name", NETS)
def test_batched_backward_passes_give_the_same(name):
    x = images(8)
    one, two = vkdnw(make(name), x, class_chunk=1), vkdnw(make(name), x, class_chunk=2)
    assert (one.fisher - two.fisher).norm() <= 1e-5 * one.fisher.norm()


def test_every_scalar_counts_in_the_double_precision_network():
    net, x = make("hybrid").double(), images(8).double()
    result, expected = vkdnw(net, x), fisher_by_definition(make("hybrid"), images(8), "theory")
    assert (result.fisher - expected).abs().max() <= 1e-10 * expected.abs().max()
    assert (expected.diagonal() > 0).all()


def test_unused_parameters_are_zero_rows():
    names = [name for name, _ in make("tied").named_parameters()]
    unused = [i for i, name in enumerate(names) if "unused" in name]
    fisher = vkdnw(make("tied"), images(8)).fisher
    assert (fisher[unused] == 0).all() and (fisher[:, unused] == 0).all()


def test_first_selection_takes_the_first_tensors_and_random_follows_its_generator():
    x = images(8)
    everything = vkdnw(make("convolutional"), x).fisher
    assert torch.allclose(vkdnw(make("convolutional"), x, num_scalars=5).fisher, everything[:5, :5])
    seeds = [torch.Generator().manual_seed(s) for s in (0, 0, 1)]
    a, b, c = (vkdnw(make("convolutional"), x, num_scalars=5, selection="random", generator=g).fisher for g in seeds)
    assert torch.equal(a, b) and not torch.allclose(a, c)


def test_score_is_the_entropy_of_the_deciles():
    result = vkdnw(make("convolutional"), images(8))
    eigenvalues = np.linalg.eigvalsh(result.fisher.numpy()).clip(0)
    assert np.allclose(result.eigenvalues, eigenvalues)
    for quantiles in (9, 11):
        q = np.quantile(eigenvalues, np.linspace(0, 1, 11))
        t = q[1:-1] / q[1:-1].sum() if quantiles == 9 else q / q.sum()
        expected = -sum(v * math.log(v) for v in t if v > 0)
        assert vkdnw(make("convolutional"), images(8), quantiles=quantiles).score == pytest.approx(expected, rel=1e-9)
    assert result.single == len(list(make("convolutional").parameters())) + result.score


def test_flat_spectrum_scores_ln_9():
    assert spectral_entropy(torch.eye(20, dtype=torch.float64))[0] == pytest.approx(math.log(9))


def test_order_of_the_batch_does_not_matter():
    x = images(8)
    assert vkdnw(make("hybrid"), x).score == pytest.approx(vkdnw(make("hybrid"), x.flip(0)).score, rel=1e-4)


def test_network_is_handed_back_as_it_was():
    net = make("convolutional").train()
    net[1].eval()
    net[0].weight.requires_grad_(False)
    net[3].inner[0].weight.grad = torch.ones_like(net[3].inner[0].weight)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes = [m.training for m in net.modules()]
    rng = torch.get_rng_state()
    for x in (images(8), torch.randn(2, 5, 8, 8)):
        rng = torch.get_rng_state()
        try:
            vkdnw(net, x)
        except ProxyFailure as failure:
            assert failure.kind == "cannot run"
        assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
        assert [m.training for m in net.modules()] == modes
        assert [p.requires_grad for p in net.parameters()] == [False] + [True] * (len(list(net.parameters())) - 1)
        assert [name for name, p in net.named_parameters() if p.grad is not None] == ["3.inner.0.weight"]
        assert (net[3].inner[0].weight.grad == 1).all()
        assert torch.equal(torch.get_rng_state(), rng)
        assert not any("forward" in m.__dict__ or m._forward_hooks for m in net.modules())


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return torch.zeros(len(x), CLASSES)


class BatchMean(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


class BehindTheBack(nn.Module):
    """Uses a convolution's weight both through the module and without it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, CLASSES, 1)

    def forward(self, x):
        return self.conv(x).mean((2, 3)) + x.mean((2, 3)) @ self.conv.weight.flatten(1).T


def with_nan() -> nn.Module:
    net = make("convolutional")
    with torch.no_grad():
        net[0].weight[0, 0, 0, 0] = math.nan
    return net


@pytest.mark.parametrize(
    ("net", "kind"),
    [
        (lambda: nn.Conv2d(3, 4, 1), "output shape"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 1)), "output shape"),
        (with_nan, "not finite"),
        (Constant, "zero fisher"),
        (lambda: nn.Flatten(), "no parameters"),
        (lambda: nn.Sequential(nn.Conv2d(3, 6, 3), BatchMean(), nn.Flatten(), nn.Linear(216, 4)), "samples mixed"),
        (lambda: nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, track_running_stats=False), nn.Flatten(),
                               nn.Linear(216, 4)), "samples mixed"),
        (BehindTheBack, "samples mixed"),
    ],
)  # fmt: skip
def test_failures_have_names(net, kind):
    with pytest.raises(ProxyFailure) as caught:
        vkdnw(net(), images(8))
    assert caught.value.kind == kind


def test_plain_autograd_scores_what_the_taps_refuse():
    net, x = BehindTheBack(), images(8)
    expected = fisher_by_definition(net, x, "theory")
    assert torch.allclose(vkdnw(net.float(), x, jacobian="autograd").fisher, expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize(
    "wrong", [{"fisher": "empirical"}, {"quantiles": 10}, {"selection": "last"}, {"num_scalars": 0}, {"probes": 1}]
)
def test_arguments_outside_their_choices_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        vkdnw(make("tied"), images(8), **wrong)


@pytest.mark.parametrize(("scalars", "quantiles", "needed"), [(128, 9, 116), (128, 11, 128), (11, 9, 10), (10, 9, 10)])
def test_the_rank_that_quantiles_need(scalars, quantiles, needed):
    """All that is read of the spectrum is above the eigenvalues that may be missing, and no fewer would do."""
    assert needed_rank(scalars, quantiles) == needed
    lowest = 0.1 if quantiles == 9 else 0.0
    for rank, positive in ((needed, True), (needed - 1, False)):
        eigenvalues = np.arange(scalars) >= scalars - rank
        read = np.quantile(eigenvalues, lowest, method="lower")
        assert read == positive


def test_too_few_samples_for_the_rank_are_a_failure_and_not_rounding_noise():
    scalars = len(list(make("convolutional").parameters()))
    least = -(-needed_rank(scalars) // (CLASSES - 1))
    assert vkdnw(make("convolutional"), images(least)).score > 0
    with pytest.raises(ProxyFailure, match=f"at least {least} images") as caught:
        vkdnw(make("convolutional"), images(least - 1))
    assert caught.value.kind == "rank deficient"
    with pytest.raises(ProxyFailure, match="rank deficient"):
        vkdnw(make("convolutional"), images(2), jacobian="autograd")
    with pytest.raises(ProxyFailure, match="rank deficient"):
        vkdnw(make("convolutional"), images(2), probes=2)
    assert vkdnw(make("convolutional"), images(2), num_scalars=5).eigenvalues.shape == (5,)
    assert fisher_information(make("convolutional"), images(2)).shape == (1, scalars, scalars)


def test_scalars_that_the_network_does_not_use_need_no_rank():
    used = 9  # of 11
    assert needed_rank(11) == 10
    assert vkdnw(make("tied"), images(used // (CLASSES - 1))).eigenvalues[:2].tolist() == [0, 0]


def test_eigenvalues_of_rounding_are_zero():
    rows = torch.randn(8, 20, generator=torch.Generator().manual_seed(0)).double()
    score, eigenvalues = spectral_entropy(rows.T @ rows)
    assert (eigenvalues[:12] == 0).all() and (eigenvalues[12:] > 0).all()
    exact = np.concatenate([np.zeros(12), np.sort(np.linalg.svd(rows.numpy())[1] ** 2)])
    q = np.quantile(exact, np.linspace(0.1, 0.9, 9))
    t = q[q > 0] / q.sum()
    assert score == pytest.approx(-(t * np.log(t)).sum(), rel=1e-9)


class Beside(nn.Module):
    """Uses a weight outside of its module too, as much as `strength` says, on images that begin with a positive pixel.

    `loud` makes another weight outweigh all others in the norm of a row.
    """

    def __init__(self, strength: float, loud: float = 1.0) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 6, 1), nn.Linear(6, CLASSES)
        self.strength, self.loud = strength, loud
        self.scale = nn.Parameter(torch.ones(CLASSES))

    def forward(self, x):
        open_ = (x[:, :1, 0, 0] > 0).float()
        features = self.conv(x).mean((2, 3)) + self.strength * open_ * (x.mean((2, 3)) @ self.conv.weight.flatten(1).T)
        return self.head(features) + self.loud * self.scale


def first_pixels(x: torch.Tensor, signs: list[float]) -> torch.Tensor:
    x = x.clone()
    x[:, 0, 0, 0] = torch.tensor(signs)
    return x


@pytest.mark.parametrize(
    ("net", "signs"),
    [
        (lambda: Beside(0.25), [-1.0] + [1.0] * 7),  # nothing wrong with the first image
        (lambda: Beside(1.0, loud=10.0), [1.0] * 8),  # a small part of the norm of a row
    ],
)
def test_a_weight_that_is_used_elsewhere_too_is_noticed(net, signs):
    torch.manual_seed(0)
    net, x = net(), first_pixels(images(8), signs)
    expected = fisher_by_definition(net, x, "theory")
    wrong = fisher_information(net.float(), x, check=False)[0]
    assert ((wrong - expected).abs().diagonal() > 0.1 * expected.diagonal()).any()
    with pytest.raises(ProxyFailure, match="samples mixed"):
        vkdnw(net, x)


def test_the_check_is_against_plain_autograd(monkeypatch):
    """Not against the same network with the same replaced layers, which would be wrong alike."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(4 * 36, CLASSES))
    assert vkdnw(net, images(8)).score > 0
    monkeypatch.setitem(fast_backward._FORWARDS, nn.GELU.forward, lambda module: lambda x: 0.9 * x)
    with pytest.raises(ProxyFailure, match="samples mixed"):
        vkdnw(net, images(8))


class WeightWithoutSamples(nn.Module):
    """Biases of positions by a small network on their coordinates, as in MaxViT; its weights see no samples."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 2, stride=2)
        self.mlp = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 6))
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        coordinates = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij"), -1)
        return self.head((x + self.mlp(coordinates.flatten(0, 1).to(x) / 4)).relu().mean(1))


def with_head_norm() -> nn.Module:
    """As timm's LeViT and RepViT: a batch norm over features without positions."""
    norm = nn.BatchNorm1d(6)
    nn.init.uniform_(norm.running_mean), nn.init.uniform_(norm.running_var, 0.5, 2)  # type: ignore[arg-type]
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), norm, nn.Linear(6, CLASSES)
    )


def with_weight_norm(norm) -> nn.Module:
    conv = norm(nn.Conv2d(3, 6, 3))
    return nn.Sequential(conv, nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, CLASSES))


@pytest.mark.parametrize(
    "build",
    [
        WeightWithoutSamples,
        with_head_norm,
        lambda: with_weight_norm(nn.utils.parametrizations.weight_norm),
        lambda: with_weight_norm(nn.utils.weight_norm),
    ],
    ids=["a table", "batch norm 1d", "parametrized weight norm", "weight norm"],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_what_is_refused_by_nobody(build):
    torch.manual_seed(0)
    net, x = build().eval(), images(8)
    with torch.no_grad():
        logits = net(x)
    found = vkdnw(net, x).fisher
    plain = vkdnw(net, x, jacobian="autograd").fisher
    with torch.no_grad():
        assert torch.equal(net(x), logits)
    expected = fisher_by_definition(net, x, "theory")
    for fisher in (found, plain):
        assert (fisher - expected).norm() <= 1e-4 * expected.norm()
